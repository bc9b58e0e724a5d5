"""Our own signing: keys made, records signed, keys replaced, and what conda would make of it at every step."""

import json
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import func, select

from headgate.asgi import Application
from headgate.bootstrap import Services
from headgate.channels.documents import Renderer
from headgate.channels.model import ChannelKind, Privacy
from headgate.conda.content_trust import (
    KEY_MGR,
    PKG_MGR,
    Metadata,
    advance_root,
    canonical,
    check_key_manager,
    explain_signatures,
    parse_root,
    public_of,
    sign,
)
from headgate.conda.names import ChannelName
from headgate.db import tables_signatures
from tests.http.conftest import Callers
from tests.packages import package


@pytest.fixture
async def conda(services: Services, callers: Callers) -> AsyncIterator[httpx.AsyncClient]:
    await services.core.channels.create("tests", ChannelName("team"), ChannelKind.HOSTED, privacy=Privacy.PUBLIC)
    await services.snapshots.reload()
    for name in ("one", "two"):
        filename, body = package(name)
        answer = await callers.admin.post("/channels/team/artifacts", params={"filename": filename}, content=body)
        assert answer.status_code == 201
    transport = httpx.ASGITransport(Application(services))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://headgate.test/conda") as client:
        yield client


async def document(services: Services) -> dict[str, Any]:
    renderer = Renderer(services.core.database, services.core.store, services.core.signing)
    rendered = await renderer.render("team", "noarch", "repodata.json")
    await services.snapshots.reload()
    found: dict[str, Any] = json.loads(services.core.store.path(rendered.sha256).read_bytes())
    return found


async def believed(conda: httpx.AsyncClient) -> Metadata:
    """The key manager that a client of the first root comes to believe."""
    root = parse_root((await conda.get("/team/1.root.json")).content)
    while (following := await conda.get(f"/team/{root.version + 1}.root.json")).status_code == 200:
        root = advance_root(root, following.content)
    assert (await conda.get("/team/root.json")).content == root.body
    return check_key_manager(root, (await conda.get("/team/key_mgr.json")).content)


def is_signed(found: dict[str, Any], manager: Metadata) -> bool:
    wanted = manager.delegation(PKG_MGR)
    records = found["packages.conda"]
    return bool(records) and all(
        explain_signatures(canonical(record), found["signatures"].get(filename, {}), wanted)[1] == ""
        for filename, record in records.items()
    )


async def turn_on(callers: Callers) -> httpx.Response:
    return await callers.admin.patch("/channels/team", json={"settings": {"is_signing": True}})


async def test_a_channel_signs_what_it_publishes(
    services: Services, callers: Callers, conda: httpx.AsyncClient
) -> None:
    refused = await turn_on(callers)
    assert (refused.status_code, refused.json()["code"]) == (409, "signing-missing")
    assert "signatures" not in await document(services)
    assert (await conda.get("/team/1.root.json")).json()["code"] == "signing-unknown"
    made = await callers.admin.post("/signing", json={})
    assert made.status_code == 201, made.text
    assert [one["is_held"] for one in made.json()["keys"]] == [True, True, True]
    assert (await turn_on(callers)).status_code == 200
    manager = await believed(conda)
    assert is_signed(await document(services), manager)
    assert (await callers.admin.get("/signing/root")).json() == (await conda.get("/team/1.root.json")).json()
    again = await callers.admin.post("/signing", json={})
    assert (again.status_code, again.json()["code"]) == (409, "signing-exists")


async def test_signatures_are_made_once_per_shard(
    services: Services, callers: Callers, conda: httpx.AsyncClient
) -> None:
    await callers.admin.post("/signing", json={})
    await turn_on(callers)
    first = await document(services)
    filename, body = package("three")
    await callers.admin.post("/channels/team/artifacts", params={"filename": filename}, content=body)
    await services.snapshots.reload()
    second = await document(services)
    assert second["signatures"].keys() - first["signatures"].keys() == {filename}
    assert first["signatures"].items() <= second["signatures"].items()
    async with services.core.database.read() as connection:
        count = select(func.count()).select_from(tables_signatures.signed_shard)
        assert (await connection.execute(count)).scalar_one() == 3


@pytest.mark.parametrize("role", ["pkg_mgr", "key_mgr", "root"])
async def test_a_key_is_replaced_and_clients_follow(
    services: Services, callers: Callers, conda: httpx.AsyncClient, role: str
) -> None:
    before = {one["role"]: one["public"] for one in (await callers.admin.post("/signing", json={})).json()["keys"]}
    await turn_on(callers)
    old = await document(services)
    answer = await callers.admin.post("/signing/rotate", json={"role": role})
    assert answer.status_code == 200, answer.text
    after = {one["role"]: one["public"] for one in answer.json()["keys"]}
    assert {name for name in after if after[name] != before[name]} == {role}
    manager = await believed(conda)
    new = await document(services)
    assert is_signed(new, manager)
    assert is_signed(old, manager) is (role != "pkg_mgr")
    async with services.core.database.read() as connection:
        columns = tables_signatures.signing_key.c
        row = (await connection.execute(select(columns.sealed).where(columns.public == before[role]))).one()
    assert row.sealed is None, "its private half is gone"


async def test_a_root_that_is_kept_elsewhere_signs_elsewhere(
    services: Services, callers: Callers, conda: httpx.AsyncClient
) -> None:
    mine, newer = Ed25519PrivateKey.generate(), Ed25519PrivateKey.generate()

    async def give_back(pending: dict[str, Any], *keys: Ed25519PrivateKey) -> httpx.Response:
        for key in keys:
            pending["signatures"][public_of(key)] = sign(key, pending["signed"])
        return await callers.admin.put("/signing/root", json={"root": pending})

    made = (await callers.admin.post("/signing", json={"root_key": public_of(mine)})).json()
    assert made["root"] is None
    assert (await turn_on(callers)).json()["code"] == "signing-missing"
    wrong = await give_back(json.loads(json.dumps(made["pending_root"])), newer)
    assert (wrong.status_code, wrong.json()["code"]) == (422, "content-trust-invalid")
    other = json.loads(json.dumps(made["pending_root"]))
    other["signed"]["version"] = 2
    assert (await give_back(other, mine)).json()["code"] == "content-trust-invalid"
    assert (await give_back(made["pending_root"], mine)).status_code == 200
    assert (await turn_on(callers)).status_code == 200
    rotated = (await callers.admin.post("/signing/rotate", json={"role": "key_mgr"})).json()
    assert rotated["root"]["version"] == 1
    assert is_signed(await document(services), await believed(conda)), "until it is signed, the old ones count"
    assert (await give_back(rotated["pending_root"], mine)).json()["root"]["version"] == 2
    assert is_signed(await document(services), await believed(conda))
    rotated = (await callers.admin.post("/signing/rotate", json={"role": "root", "root_key": public_of(newer)})).json()
    assert (await give_back(rotated["pending_root"], newer)).json()["code"] == "content-trust-invalid"
    assert (await give_back(rotated["pending_root"], mine, newer)).json()["root"]["version"] == 3
    assert (await believed(conda)).kind == KEY_MGR
    assert (await give_back(rotated["pending_root"], newer)).json()["code"] == "signing-no-pending"


async def test_requests_that_make_no_sense_are_refused(callers: Callers, conda: httpx.AsyncClient) -> None:
    for body, code in [
        ({"root_key": "short"}, "signing-key-invalid"),
        ({"days": 0}, "signing-days-invalid"),
    ]:
        answer = await callers.admin.post("/signing", json=body)
        assert (answer.status_code, answer.json()["code"]) == (422, code)
    answer = await callers.admin.post("/signing/rotate", json={"role": "root"})
    assert (answer.status_code, answer.json()["code"]) == (409, "signing-missing")
    assert (await callers.admin.get("/signing/root")).json()["code"] == "signing-missing"
    made = (await callers.admin.post("/signing", json={})).json()
    root = next(one["public"] for one in made["keys"] if one["role"] == "root")
    answer = await callers.admin.post("/signing/rotate", json={"role": "root", "root_key": root})
    assert (answer.status_code, answer.json()["code"]) == (409, "signing-key-used")


async def test_no_private_key_is_ever_shown(services: Services, callers: Callers, conda: httpx.AsyncClient) -> None:
    made = (await callers.admin.post("/signing", json={})).text
    async with services.core.database.read() as connection:
        rows = (await connection.execute(select(tables_signatures.signing_key.c.sealed))).scalars().all()
    assert len(rows) == 3
    for sealed in rows:
        assert sealed not in made + (await callers.admin.get("/signing")).text
        assert sealed.startswith("gAAAA"), "sealed by Fernet"
