"""Signing in: from where, with which token, how often wrong; and what outlives a change of rights."""

import statistics
import time
import tracemalloc
from base64 import b64encode
from dataclasses import replace
from typing import Any

import httpx
import pytest
import structlog

from headgate.access.grants import PrincipalKind, Scope
from headgate.access.tokens import TokenWish
from headgate.asgi import Application
from headgate.bootstrap import Services, build_services
from headgate.doors.credentials import ProxyRanges
from headgate.doors.metrics import render_metrics
from tests.http.conftest import PASSWORD, Callers
from tests.http.test_api_principals import failed, post, sign_in
from tests.waiting import eventually_async

OTHER_PASSWORD = "quite another passphrase"
OWN_TEXT = "Legacy-Key-7f3a-of-the-build-farm"


def basic(name: str, password: str) -> dict[str, str]:
    return {"authorization": "Basic " + b64encode(f"{name}:{password}".encode()).decode()}


class At:
    """The whole application, asked from an address."""

    def __init__(self, services: Services) -> None:
        self._application: Any = Application(services)

    async def get(self, path: str, address: str = "192.0.2.1", **sent: Any) -> httpx.Response:
        transport = httpx.ASGITransport(self._application, client=(address, 4711))
        async with httpx.AsyncClient(transport=transport, base_url="http://headgate.test") as client:
            return await client.get(path, **sent)


@pytest.fixture
def at(callers: Callers, services: Services) -> At:
    return At(services)


async def changed(services: Services, **settings: Any) -> Services:
    """The same place with other settings of access."""
    place = services.core.place
    access = place.settings.access.model_copy(update=settings)
    return build_services(replace(place, settings=place.settings.model_copy(update={"access": access})))


# Addresses.


@pytest.mark.parametrize(
    ("peer", "forwarded", "expected"),
    [
        ("198.51.100.1", "203.0.113.7", "198.51.100.1"),
        ("10.0.0.1", "203.0.113.7", "203.0.113.7"),
        ("10.0.0.1", "1.1.1.1, 203.0.113.7, 10.0.0.2", "203.0.113.7"),
        ("10.0.0.1", "203.0.113.7:5000", "203.0.113.7"),
        ("10.0.0.1", "[2001:db8::1]:5000", "2001:db8::1"),
        ("10.0.0.1", "203.0.113.7, nonsense", "10.0.0.1"),
        ("10.0.0.1", "10.0.0.9, 10.0.0.2", "10.0.0.9"),
        ("10.0.0.1", "", "10.0.0.1"),
    ],
)
def test_address_of_a_caller_behind_proxies(peer: str, forwarded: str, expected: str) -> None:
    scope = {"client": (peer, 1), "headers": [(b"x-forwarded-for", forwarded.encode())]}
    assert ProxyRanges(("10.0.0.0/8",)).address_of(scope) == expected
    assert ProxyRanges(()).address_of(scope) == peer


async def test_token_is_only_good_from_its_addresses(callers: Callers, at: At) -> None:
    made = await post(callers.member, "/tokens", name="farm", addresses=["192.0.2.0/24", "2001:db8::/32"])
    headers = {"authorization": f"Bearer {made['token']}"}
    assert (await at.get("/api/v1/me", headers=headers)).status_code == 200
    assert (await at.get("/api/v1/me", "2001:db8::9", headers=headers)).status_code == 200
    elsewhere = await at.get("/api/v1/me", "198.51.100.1", headers=headers | {"x-forwarded-for": "192.0.2.1"})
    assert failed(elsewhere) == (403, "token-address")
    wrong = await callers.member.post("/tokens", json={"name": "x", "addresses": ["10.0.0.1/8"]})
    assert failed(wrong) == (422, "address-range-invalid")


async def test_token_of_some_addresses_makes_none_for_others(callers: Callers, services: Services) -> None:
    narrow = await sign_in(callers, "bob", addresses=["127.0.0.0/8"])
    for addresses in (None, ["0.0.0.0/0"], ["::/0"]):
        answer = await narrow.post("/tokens", json={"name": "wide", "addresses": addresses})
        assert failed(answer) == (403, "permission-denied")
    assert (await narrow.post("/tokens", json={"name": "same", "addresses": ["127.0.0.1"]})).status_code == 201


# Lives, rotation, texts of one's own.


async def test_tokens_end_and_never_live_too_long(callers: Callers, services: Services) -> None:
    for days in (366, None):
        refused = await callers.admin.post("/tokens", json={"name": "long", "expires_days": days})
        assert failed(refused) == (422, "token-life-long")
    free = await changed(services, token_max_days=0)
    assert free.core.access.tokens.expiry(None) is None
    assert free.core.access.tokens.expiry("most") is None
    await free.core.database.close()


async def test_rotation_overlaps_and_gives_no_more_than_one_has(callers: Callers) -> None:
    made = await post(callers.member, "/tokens", name="ci", expires_days=30)
    old = callers.with_token(made["token"])
    rotated = (await callers.member.post(f"/tokens/{made['id']}/rotate", json={"overlap_hours": 1})).json()
    assert rotated["previous_ends_at"] is not None
    new = callers.with_token(rotated["token"])
    assert [(await one.get("/me")).status_code for one in (old, new)] == [200, 200]
    narrow = await sign_in(callers, "bob", permissions=["admin"])
    for other in (made["id"], 1):
        assert failed(await narrow.post(f"/tokens/{other}/rotate", json={})) == (403, "permission-denied")
    assert (await callers.member.delete(f"/tokens/{made['id']}")).status_code == 204
    assert [failed(await one.get("/me")) for one in (old, new)] == [(401, "token-unknown"), (401, "token-revoked")]


async def test_anothers_token_is_out_of_reach_by_id_as_by_name(callers: Callers, services: Services) -> None:
    [viewer] = await services.core.access.tokens.list(user="ada", name="viewer")
    told = [(await callers.member.delete(f"/tokens/{number}")).json() for number in (viewer.id, 4_711)]
    assert {one["code"] for one in told} == {"permission-denied"}
    assert len({one["detail"] for one in told}) == 1
    assert failed(await callers.admin.delete("/tokens/4711")) == (404, "token-unknown")
    assert (await callers.viewer.get("/me")).status_code == 200


async def test_text_of_ones_own_signs_in_and_is_unique(callers: Callers, at: At) -> None:
    await post(callers.member, "/tokens", name="legacy", text=OWN_TEXT)
    for headers in ({"x-api-key": OWN_TEXT}, basic("api", OWN_TEXT)):
        assert (await at.get("/api/v1/me", headers=headers)).json()["name"] == "bob"
    again = await callers.admin.post("/tokens", json={"name": "stolen", "text": OWN_TEXT})
    assert failed(again) == (409, "token-text-taken")
    weak = await callers.admin.post("/tokens", json={"name": "weak", "text": "a" * 20})
    assert failed(weak) == (422, "token-text-invalid")


async def test_who_guesses_texts_has_to_wait_and_who_used_theirs_not(callers: Callers, at: At) -> None:
    await post(callers.member, "/tokens", name="legacy", text=OWN_TEXT)
    right = {"x-api-key": OWN_TEXT}
    assert (await at.get("/api/v1/me", headers=right)).status_code == 200
    seen = {
        (await at.get("/api/v1/me", headers={"x-api-key": f"guess-number-{number:010}"})).status_code
        for number in range(110)
    }
    assert seen == {401, 429}
    assert (await at.get("/api/v1/me", headers=right)).status_code == 200
    assert (await at.get("/api/v1/me", "198.51.100.1", headers=right)).status_code == 200


async def test_key_in_the_query_only_where_it_is_allowed(callers: Callers, services: Services, at: At) -> None:
    made = await post(callers.member, "/tokens", name="query")
    path = f"/api/v1/me?key={made['token']}"
    assert failed(await at.get(path)) == (401, "key-in-query")
    open_minded = await changed(services, accept_key_in_query=True)
    await open_minded.start()
    try:
        assert (await At(open_minded).get(path)).json()["name"] == "bob"
    finally:
        await open_minded.close()


async def test_last_use_is_noted_and_moves_no_epoch(callers: Callers, services: Services, at: At) -> None:
    from headgate.db.engine import read_epochs

    made = await post(callers.member, "/tokens", name="used")
    async with services.core.database.read() as connection:
        before = await read_epochs(connection)
    await at.get("/api/v1/me", headers={"x-api-key": made["token"]})

    async def used_from() -> str | None:
        return (await services.core.access.tokens.get(made["id"])).used_from

    assert await eventually_async(used_from) == "192.0.2.1"
    async with services.core.database.read() as connection:
        assert await read_epochs(connection) == before


# Passwords.


async def test_first_password_opens_nothing_but_its_change(callers: Callers, at: At) -> None:
    await post(callers.admin, "/users", name="grace", password=PASSWORD)
    await post(callers.admin, "/channels", name="open", kind="hosted", privacy="public")
    first = basic("grace", PASSWORD)
    for path in ("/api/v1/channels", "/conda/open/noarch/repodata_shards.msgpack.zst"):
        answer = await at.get(path, headers=first)
        assert failed(answer) == (403, "password-must-change")
        assert "change-password" in answer.json()["detail"]
    assert (await callers.anonymous.get("/me", headers=first)).json()["must_change_password"] is True
    made = await callers.anonymous.post("/tokens", json={"name": "x"}, headers=first)
    assert failed(made) == (403, "password-must-change")
    body = {"old_password": PASSWORD, "new_password": OTHER_PASSWORD}
    assert (await callers.anonymous.post("/me/password", json=body, headers=first)).status_code == 204
    assert failed(await at.get("/api/v1/channels", headers=first)) == (401, "password-wrong")
    assert (await at.get("/api/v1/channels", headers=basic("grace", OTHER_PASSWORD))).status_code == 200


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        ({"old_password": "not the old one", "new_password": OTHER_PASSWORD}, 401, "password-wrong"),
        ({"old_password": PASSWORD, "new_password": PASSWORD}, 422, "password-same"),
        ({"old_password": PASSWORD, "new_password": "bob-bob-2026"}, 422, "password-weak"),
    ],
)
async def test_password_that_is_not_changed(callers: Callers, body: Any, status: int, code: str) -> None:
    assert failed(await callers.member.post("/me/password", json=body)) == (status, code)


async def test_password_for_another_must_be_changed_unless_said_otherwise(callers: Callers) -> None:
    for body, expected in [({}, True), ({"must_change_password": False}, False)]:
        answer = await callers.admin.patch("/users/bob", json={"password": OTHER_PASSWORD, **body})
        assert answer.json()["must_change_password"] is expected
    assert (await callers.member.get("/channels")).status_code == 200


async def test_wrong_passwords_lock_nobody_else_out(callers: Callers, at: At) -> None:
    for _ in range(8):
        last = await at.get("/api/v1/me", "198.51.100.1", headers=basic("bob", "a wrong password"))
    assert failed(last) == (429, "sign-in-locked")
    assert int(last.headers["retry-after"]) >= 1
    assert failed(await at.get("/api/v1/me", "198.51.100.1", headers=basic("bob", PASSWORD))) == (429, "sign-in-locked")
    assert (await at.get("/api/v1/me", "192.0.2.1", headers=basic("bob", PASSWORD))).status_code == 200
    assert (await at.get("/api/v1/me", "198.51.100.1", headers=basic("ada", PASSWORD))).status_code == 200


# Floods.


@pytest.mark.slow
@pytest.mark.parametrize("kind", ["names", "one name", "tokens", "own texts"])
async def test_ten_thousand_wrong_credentials(callers: Callers, services: Services, at: At, kind: str) -> None:
    scope: dict[str, Any] = {"headers": [], "client": ("198.51.100.1", 1), "query_string": b""}
    right = scope | {"headers": [(b"authorization", basic("bob", PASSWORD)["authorization"].encode())]}
    neighbour = right | {"client": ("192.0.2.1", 1)}
    assert (await services.sign_in.principal(neighbour)).name == "bob"

    def wrong(number: int) -> bytes:
        texts = {"tokens": f"Bearer hg-prefix{number:05}-nothing", "own texts": f"Bearer a-guessed-text-{number:08}"}
        name = "bob" if kind == "one name" else f"name{number}"
        return texts.get(kind, basic(name, f"guess {number}")["authorization"]).encode()

    async def flood(numbers: range) -> None:
        for number in numbers:
            with pytest.raises(Exception, match=r"Too many|wrong|not one of"):
                await services.sign_in.principal(scope | {"headers": [(b"authorization", wrong(number))]})
            if number % 500 == 0:
                assert (await services.sign_in.principal(neighbour)).name == "bob"

    with structlog.testing.capture_logs() as lines:
        await flood(range(1_000))
        tracemalloc.start()
        before = tracemalloc.get_traced_memory()[0]
        await flood(range(1_000, 10_000))
        grown = tracemalloc.get_traced_memory()[0] - before
        tracemalloc.stop()
    assert grown < 4 << 20
    assert len(lines) <= 60
    assert not any("guess" in str(line) for line in lines)
    assert "headgate_sign_in_failures_total" in render_metrics().decode()


@pytest.mark.slow
async def test_wrong_token_takes_as_long_whether_its_prefix_is_known_or_not(
    callers: Callers, services: Services
) -> None:
    made = await post(callers.member, "/tokens", name="known")
    head = made["token"].rpartition("-")[0]

    def median_ns(prefix: str) -> float:
        taken = []
        for number in range(2_000):
            began = time.perf_counter_ns()
            with pytest.raises(Exception, match="not one of"):
                services.authenticator.token(f"{prefix}-{number:032}", "192.0.2.1")
            taken.append(time.perf_counter_ns() - began)
        return statistics.median(taken)

    median_ns(head)
    known, unknown = median_ns(head), median_ns("hg-0000000000")
    assert 1 / 3 < known / unknown < 3


# Rights that must not outlive their reason.


@pytest.fixture
async def reader(callers: Callers, services: Services, hosted: str) -> httpx.AsyncClient:
    """A token of bob, who reads through a group."""
    access = services.core.access
    await access.groups.create("test", "Developers")
    await access.groups.add("test", "Developers", user="bob")
    await access.grants.add_grant("test", PrincipalKind.GROUP, "Developers", "downloader", Scope(hosted))
    _, text = await access.tokens.create("test", "bob", TokenWish("work", channels=[hosted, "other"]))
    await services.snapshots.reload()
    client = callers.with_token(text)
    assert (await client.get(f"/channels/{hosted}")).status_code == 200
    return client


@pytest.mark.parametrize("change", ["disabled", "left the group", "group deleted", "grant removed"])
async def test_rights_end_with_their_reason(
    callers: Callers, services: Services, hosted: str, reader: httpx.AsyncClient, change: str
) -> None:
    [grant] = [one for one in await services.core.access.grants.list_grants() if one.principal == "Developers"]
    ends: dict[str, tuple[str, str, Any]] = {
        "disabled": ("PATCH", "/users/bob", {"is_disabled": True}),
        "left the group": ("DELETE", "/groups/Developers/members/user/bob", None),
        "group deleted": ("DELETE", "/groups/Developers", None),
        "grant removed": ("DELETE", f"/grants/{grant.id}", None),
    }
    method, path, body = ends[change]
    assert (await callers.admin.request(method, path, json=body)).is_success
    assert (await reader.get(f"/channels/{hosted}")).status_code == (401 if change == "disabled" else 403)


async def test_new_channel_of_an_old_name_begins_closed(
    callers: Callers, services: Services, hosted: str, reader: httpx.AsyncClient
) -> None:
    only = await sign_in(callers, "ada", channels=[hosted])
    await post(callers.admin, "/grants", kind="user", principal="bob", role="publisher", channel=hosted, package="a*")
    await post(callers.admin, "/grants", kind="user", principal="bob", role="publisher", channel=f"{hosted}/*")
    assert (await callers.admin.delete(f"/channels/{hosted}")).status_code == 204
    await post(callers.admin, "/channels", name=hosted, kind="hosted")
    assert (await reader.get(f"/channels/{hosted}")).status_code == 403
    assert (await callers.member.get(f"/channels/{hosted}")).status_code == 403
    assert failed(await only.get("/me")) == (401, "token-revoked")
    assert [str(one.scope) for one in await services.core.access.grants.list_grants()] == [f"{hosted}/*"]
    [work] = list(await services.core.access.tokens.list(user="bob", name="work"))
    assert work.channels == ["other"]
    assert await actions(services, hosted) >= {"grant:remove", "token:narrow"}


async def actions(services: Services, channel: str) -> set[str]:
    from sqlalchemy import select

    from headgate.db import tables

    columns = tables.audit_event.c
    async with services.core.database.read() as connection:
        return set((await connection.execute(select(columns.action).where(columns.channel == channel))).scalars())
