"""CA bundles and network settings of mirrors through the API."""

import base64
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.serialization import Encoding

from headgate.bootstrap import Services
from headgate.channels.mirror_service import find_mirror
from tests.certificates import Authority
from tests.http.conftest import Callers
from tests.packages import package
from tests.upstreams import FolderServer, write_channel


async def test_bundle_shows_whose_it_is_and_until_when(callers: Callers) -> None:
    first, second = Authority("First CA"), Authority("Second CA")
    added = await callers.admin.post("/ca", json={"name": "both", "certificates": first.pem + second.pem})
    assert added.status_code == 201, added.text
    [one, other] = added.json()["certificates"]
    assert (one["subject"], other["subject"], one["is_authority"]) == ("CN=First CA", "CN=Second CA", True)
    assert one["expires_at"].startswith(f"{first.certificate.not_valid_after_utc:%Y-%m-%dT%H:%M}")
    der = base64.b64encode(first.certificate.public_bytes(Encoding.DER)).decode()
    packed = await callers.admin.post("/ca", json={"name": "der", "certificates": der, "is_everywhere": True})
    assert packed.json()["certificates"] == [one]
    assert [found["name"] for found in (await callers.admin.get("/ca")).json()["items"]] == ["both", "der"]
    assert (await callers.admin.get("/network")).json()["ca"] == ["der"]


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"name": "No Such", "certificates": Authority("A").pem}, 422, "ca-name-invalid"),
        ({"name": "x", "certificates": "hello"}, 422, "certificate-invalid"),
        ({"name": "x", "certificates": Authority("Old CA", timedelta(days=-1)).pem}, 422, "certificate-invalid"),
        ({"name": "known", "certificates": Authority("A").pem}, 409, "ca-exists"),
    ],
)
async def test_bundle_that_cannot_be(callers: Callers, body: dict[str, Any], status: int, code: str) -> None:
    await callers.admin.post("/ca", json={"name": "known", "certificates": Authority("A").pem})
    refused = await callers.admin.post("/ca", json=body)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text


async def test_bundle_is_trusted_where_it_was_given_at_once(callers: Callers, services: Services, mirror: str) -> None:
    path = f"/channels/{mirror}/mirrors"
    await callers.admin.post(path, json={"urls": ["https://other.example/x"], "name": "other"})

    def trusted(name: str) -> list[str]:
        source = find_mirror(services.catalog.get(mirror), name)
        return list(services.routes.of(source).outgoing.network.authorities)

    narrow, wide = Authority("Narrow CA").pem, Authority("Wide CA").pem
    assert trusted("main") == []
    unknown = await callers.admin.patch(f"{path}/main", json={"settings": {"network": {"ca": ["narrow"]}}})
    assert (unknown.status_code, unknown.json()["code"]) == (404, "ca-unknown")
    await callers.admin.post("/ca", json={"name": "narrow", "certificates": narrow})
    assert trusted("main") == []
    given = await callers.admin.patch(f"{path}/main", json={"settings": {"network": {"ca": ["narrow"]}}})
    assert given.status_code == 200, given.text
    assert (trusted("main"), trusted("other")) == ([narrow], [])
    await callers.admin.post("/ca", json={"name": "wide", "certificates": wide, "is_everywhere": True})
    assert (trusted("main"), trusted("other")) == ([wide, narrow], [wide])
    refused = await callers.admin.delete("/ca/narrow")
    assert (refused.status_code, refused.json()["code"]) == (409, "ca-in-use")
    assert (await callers.admin.delete("/ca/wide")).status_code == 204
    assert (await callers.admin.delete("/ca/wide")).status_code == 404
    assert (trusted("main"), trusted("other")) == ([narrow], [])


async def test_mirrors_that_leave_alike_share_connections_until_one_is_changed(
    callers: Callers, services: Services, mirror: str
) -> None:
    path = f"/channels/{mirror}/mirrors"
    await callers.admin.post(path, json={"urls": ["https://other.example/x"], "name": "other"})

    def outgoing(name: str) -> Any:
        return services.routes.of(find_mirror(services.catalog.get(mirror), name)).outgoing

    assert outgoing("main") is outgoing("other")
    await callers.admin.patch(f"{path}/main", json={"settings": {"network": {"connections": 3}}})
    assert outgoing("main") is not outgoing("other")
    assert outgoing("main").network.connections == 3
    await callers.admin.patch(f"{path}/main", json={"settings": {"network": {"connections": None}}})
    assert outgoing("main") is outgoing("other")


async def test_client_key_is_sealed_and_kept(callers: Callers, services: Services, mirror: str) -> None:
    path = f"/channels/{mirror}/mirrors/main"
    certificate, key = Authority("CA").issue("client.example")
    both = {"client_certificate": certificate, "client_key": key}
    given = await callers.admin.patch(path, json={"settings": {"network": both}})
    assert given.status_code == 200, given.text
    assert given.json()["settings"]["network"]["client_key"] == "•••"
    assert (await callers.admin.put(path, json=given.json())).json() == given.json()
    _, network = services.routes.settings_of(find_mirror(services.catalog.get(mirror), "main"))
    assert (network.client_certificate, network.client_key) == (certificate, key)
    other = Authority("CA").issue("other.example")[1]
    refused = await callers.admin.patch(path, json={"settings": {"network": {"client_key": other}}})
    assert (refused.status_code, refused.json()["code"]) == (422, "certificate-invalid")
    assert other not in refused.text


async def test_bearer_token_is_not_led_to_another_host(callers: Callers, mirror: str) -> None:
    path = f"/channels/{mirror}/mirrors/main"
    await callers.admin.patch(path, json={"settings": {"network": {"bearer_token": "b3arer"}}})
    elsewhere = {"urls": ["https://elsewhere.example/main"]}
    refused = await callers.admin.patch(path, json=elsewhere)
    assert (refused.status_code, refused.json()["code"]) == (422, "secret-hidden")
    again = elsewhere | {"settings": {"network": {"bearer_token": "other"}}}
    assert (await callers.admin.patch(path, json=again)).status_code == 200


async def test_unverified_mirror_carries_a_warning(callers: Callers, mirror: str) -> None:
    path = f"/channels/{mirror}/mirrors/main"
    assert (await callers.admin.get(path)).json()["warnings"] == []
    changed = await callers.admin.patch(path, json={"settings": {"network": {"verify": False}}})
    assert "not verified" in changed.json()["warnings"][0]
    standing = (await callers.admin.get(f"/channels/{mirror}/mirror")).json()["mirrors"]
    assert standing[0]["warnings"] == changed.json()["warnings"]


async def trial(callers: Callers, url: str, **network: Any) -> dict[str, Any]:
    body = {"urls": [url], "subdirs": ["noarch"], "settings": {"network": network}}
    await callers.admin.post("/channels", json={"name": "tried", "kind": "mirror", "mirrors": [body]})
    answer = await callers.admin.post("/channels/tried/mirrors/main/test")
    assert answer.status_code == 200, answer.text
    [found] = answer.json()["trials"]
    assert answer.json()["is_good"] == found["is_good"]
    return {"sentence": found["sentence"]} | {step["step"]: step["state"] for step in found["steps"]}


async def test_trial_of_a_good_mirror_goes_all_the_way(callers: Callers, tmp_path: Path) -> None:
    filename, body = package()
    write_channel(tmp_path, [("noarch", filename, body)])
    with FolderServer(tmp_path) as upstream:
        found = await trial(callers, upstream.url)
    assert [found[step] for step in ("dns", "connection", "credentials", "repodata", "package")] == ["ok"] * 5
    assert [found[step] for step in ("proxy", "tls")] == ["skipped"] * 2
    assert upstream.paths[-1] == f"HEAD /noarch/{filename} HTTP/1.1" or filename in upstream.paths[-1]


async def test_trial_says_where_it_failed(callers: Callers, tmp_path: Path) -> None:
    filename, body = package()
    write_channel(tmp_path, [("noarch", filename, body)])
    (tmp_path / "noarch" / filename).unlink()
    with FolderServer(tmp_path) as upstream:
        found = await trial(callers, upstream.url)
    assert (found["repodata"], found["package"]) == ("ok", "failed")
    assert "404" in found["sentence"]


@pytest.mark.parametrize(
    ("url", "network", "step"),
    [
        ("http://no-such-host.invalid/x", {}, "dns"),
        ("http://127.0.0.1:1/x", {"retries": 0}, "connection"),
        ("http://conda.example/x", {"proxy": "http://127.0.0.1:1", "retries": 0}, "proxy"),
        ("http://conda.example/x", {"proxy": "http://no-such-proxy.invalid:1"}, "dns"),
    ],
)
async def test_trial_stops_at_the_step_that_failed(
    callers: Callers, url: str, network: dict[str, Any], step: str
) -> None:
    found = await trial(callers, url, **network)
    assert [name for name, state in found.items() if state == "failed"] == [step]
    assert found["package"] == "skipped"
