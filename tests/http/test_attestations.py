"""Attestations through the doors: taken with an upload, checked, served as they came, and heeded by the gate."""

import hashlib
from collections.abc import AsyncIterator
from typing import Any

import httpx
import msgspec
import pytest
import zstandard

from headgate.asgi import Application
from headgate.bootstrap import Services
from headgate.channels.model import ChannelKind, Privacy
from headgate.channels.policing import Target
from headgate.conda.names import ChannelName
from tests.http.conftest import Callers
from tests.packages import package
from tests.signing import ATTESTATIONS, FILE, PUBLISHER, SHA256, TARGET, needs_signing

GOOD = "conda-attestation.sigstore.json"
BROKEN = ["bundle_invalid_version.txt.sigstore", "bundle_no_log_entry.txt.sigstore", "dsse-2sigs.sigstore.json"]
ATTESTED_ONLY: dict[str, Any] = {
    "name": "attested",
    "mode": "enforce",
    "rule": [{"kind": "attestation", "publishers": ["https://github.com/prefix-dev/*"], "action": "block"}],
}


@pytest.fixture
async def conda(services: Services, callers: Callers) -> AsyncIterator[httpx.AsyncClient]:
    await services.core.channels.create("tests", ChannelName("team"), ChannelKind.HOSTED, privacy=Privacy.PUBLIC)
    await services.core.channels.create(
        "tests", ChannelName("all"), ChannelKind.VIRTUAL, privacy=Privacy.PUBLIC, members=[ChannelName("team")]
    )
    await services.snapshots.reload()
    transport = httpx.ASGITransport(Application(services))  # type: ignore[arg-type]
    async with httpx.AsyncClient(transport=transport, base_url="http://headgate.test/conda") as client:
        yield client


def real(name: str) -> bytes:
    return (ATTESTATIONS / name).read_bytes()


async def upload(callers: Callers, attestation: bytes | None, filename: str = FILE, body: bytes | None = None) -> Any:
    files = [("file", (filename, real(FILE) if body is None else body))]
    if attestation is not None:
        files.insert(0, ("attestation", ("bundle", attestation)))
    return await callers.admin.post("/channels/team/artifacts", files=files)


async def record_of(conda: httpx.AsyncClient, channel: str = "team") -> dict[str, Any] | None:
    index = await conda.get(f"/{channel}/linux-64/repodata_shards.msgpack.zst")
    digest = msgspec.msgpack.decode(zstandard.decompress(index.content))["shards"].get("signed-package")
    if digest is None:
        return None
    shard = await conda.get(f"/{channel}/linux-64/shards/{digest.hex()}.msgpack.zst")
    record: dict[str, Any] = msgspec.msgpack.decode(zstandard.decompress(shard.content))["packages.conda"][FILE]
    return record


@needs_signing
async def test_attestation_comes_with_the_upload_and_is_served_byte_for_byte(
    callers: Callers, conda: httpx.AsyncClient
) -> None:
    answer = await upload(callers, real(GOOD))
    assert answer.status_code == 201, answer.text
    sidecar = b"[" + real(GOOD).strip() + b"]"
    digest = hashlib.sha256(sidecar).hexdigest()
    record = await record_of(conda)
    assert record is not None
    assert record["attestations_sha256"] == digest
    for channel in ("team", "all"):
        for suffix in (".sigs", f".sigs.{digest}"):
            served = await conda.get(f"/{channel}/linux-64/{FILE}{suffix}")
            assert (served.status_code, served.content) == (200, sidecar)
    assert served.headers["etag"] == f'"{digest}"'
    assert "no-cache" in served.headers["cache-control"]
    why = (await callers.admin.get("/channels/team/why", params={"file": FILE})).json()["items"][0]
    assert why["attestation"] == {
        "state": "verified", "reason": "", "publishers": [PUBLISHER], "channels": [TARGET],
        "issuers": ["https://token.actions.githubusercontent.com"],
    }  # fmt: skip
    assert why["signature"]["state"] == "absent"


@needs_signing
@pytest.mark.parametrize("name", BROKEN)
async def test_upload_with_a_broken_attestation_is_refused_with_its_reason(
    callers: Callers, conda: httpx.AsyncClient, name: str
) -> None:
    answer = await upload(callers, real(name))
    assert (answer.status_code, answer.json()["code"]) == (422, "attestation-invalid"), answer.text
    assert answer.json()["reasons"]
    assert (await callers.admin.get("/channels/team/artifacts")).json()["items"] == []


async def test_upload_with_nonsense_for_an_attestation_is_refused(callers: Callers, conda: httpx.AsyncClient) -> None:
    filename, body = package("demo")
    answer = await upload(callers, b"nonsense", filename, body)
    assert (answer.status_code, answer.json()["code"]) == (422, "attestation-malformed")
    form = [("file", (filename, body)), ("attestation", ("a", b"{}"))]
    answer = await callers.admin.post("/channels/team/artifacts", files=form)
    assert (answer.status_code, answer.json()["code"]) == (422, "form-invalid")
    assert f"{filename} was taken." in answer.json()["reasons"]


async def test_a_file_that_nobody_attests_has_no_attestations(callers: Callers, conda: httpx.AsyncClient) -> None:
    filename, body = package("demo")
    assert (await upload(callers, None, filename, body)).status_code == 201
    for suffix in (".sigs", f".sigs.{'0' * 64}"):
        answer = await conda.get(f"/team/noarch/{filename}{suffix}")
        assert (answer.status_code, answer.json()["code"]) == (404, "attestation-unknown"), suffix
    assert (await conda.get(f"/team/noarch/{filename}.sigs.zz")).json()["code"] == "path-unknown"


@needs_signing
async def test_the_gate_lets_in_what_the_right_publisher_attests(
    services: Services, callers: Callers, conda: httpx.AsyncClient
) -> None:
    await services.core.policies.apply("tests", ATTESTED_ONLY)
    await services.core.policies.attach("tests", "attested", Target(channel="team"))
    await services.snapshots.reload()
    assert (await upload(callers, None)).status_code == 201
    assert await record_of(conda) is None
    blocked = await conda.get(f"/team/linux-64/{FILE}")
    assert blocked.status_code == 403
    assert "It has no attestation." in blocked.text
    assert (await upload(callers, real(GOOD))).status_code == 201
    assert await record_of(conda) is not None
    assert hashlib.sha256((await conda.get(f"/team/linux-64/{FILE}")).content).hexdigest() == SHA256


@needs_signing
async def test_attestations_of_a_blocked_file_are_blocked_with_it(
    services: Services, callers: Callers, conda: httpx.AsyncClient
) -> None:
    assert (await upload(callers, real(GOOD))).status_code == 201
    strange = ATTESTED_ONLY["rule"][0] | {"publishers": ["https://github.com/somebody-else/*"]}
    await services.core.policies.apply("tests", ATTESTED_ONLY | {"rule": [strange]})
    await services.core.policies.attach("tests", "attested", Target(channel="team"))
    await services.snapshots.reload()
    for channel in ("team", "all"):
        answer = await conda.get(f"/{channel}/linux-64/{FILE}.sigs")
        assert (answer.status_code, answer.json()["code"]) == (403, "policy-blocked")
        assert PUBLISHER in answer.text
