"""A command line signs in by a browser: the API that it asks, and the pages that its person answers."""

import re
from collections.abc import AsyncIterator
from datetime import timedelta

import pytest
from sqlalchemy import select, update

from headgate.access.users import UserChange
from headgate.bootstrap import Services
from headgate.db import tables
from headgate.db.tables_sign_in import device_sign_in
from headgate.kernel import clock
from tests.http.browsing import BASE, Browser, browsing, said

PASSWORD = "correct horse battery"


class Device:
    """A command line, as far as this goes."""

    def __init__(self, browser: Browser) -> None:
        self._client = browser.client

    async def begin(self, machine: str = "build-7") -> dict[str, str]:
        answer = await self._client.post(f"{BASE}/api/v1/login/device", json={"machine": machine})
        assert answer.status_code == 201, answer.text
        begun: dict[str, str] = answer.json()
        return begun

    async def ask(self, device_code: str) -> dict[str, object]:
        answer = await self._client.post(f"{BASE}/api/v1/login/device/token", json={"device_code": device_code})
        document: dict[str, object] = answer.json()
        return document


@pytest.fixture
async def person(services: Services) -> AsyncIterator[Browser]:
    await services.core.access.create_user("test", "ada", PASSWORD, is_administrator=False)
    await services.snapshots.reload()
    async with browsing(services) as browser:
        await browser.sign_in("ada", PASSWORD)
        yield browser


@pytest.fixture
async def device(services: Services) -> AsyncIterator[Device]:
    async with browsing(services) as nobody:
        yield Device(nobody)


async def answer(person: Browser, code: str, word: str, **more: str) -> str:
    """Type the code, look at the question, and say yes or no; what the last page says."""
    proof = await person.proof()
    question = await person.post("/device", csrf_token=proof, code=code)
    if question.status_code != 200:
        return said(question)
    assert "build-7" in question.text
    done = await person.post("/device/answer", csrf_token=proof, code=code, answer=word, **more)
    found = re.search(r'role="status">([^<]*)<', done.text)
    return found[1] if found else said(done)


async def test_a_yes_gives_a_token_once(services: Services, person: Browser, device: Device) -> None:
    begun = await device.begin()
    assert re.fullmatch(r"[B-Z]{4}-[B-Z]{4}", begun["user_code"])
    assert begun["verification_url"] == f"{BASE}/device"
    assert (await device.ask(begun["device_code"]))["state"] == "waiting"
    assert await answer(person, begun["user_code"], "yes") == "Done. Go back to the terminal on build-7."
    made = await device.ask(begun["device_code"])
    assert (made["state"], made["user"]) == ("done", "ada")
    assert str(made["name"]).startswith("build-7 ")
    assert services.authenticator.token(str(made["token"]), "192.0.2.1").name == "ada"
    (token,) = await services.core.access.tokens.list(user="ada")
    assert token.expires_at is not None
    assert timedelta(days=29) < token.expires_at - clock.now() < timedelta(days=31)
    assert (await device.ask(begun["device_code"]))["code"] == "device-code-unknown"
    columns = tables.audit_event.c
    async with services.core.database.read() as connection:
        rows = await connection.execute(select(columns.action, columns.actor).order_by(columns.id))
        assert [tuple(row) for row in rows][-2:] == [
            ("device:approve", "ada"),
            ("token:create", "ada (device build-7)"),
        ]


async def test_a_code_may_be_typed_carelessly(person: Browser, device: Device) -> None:
    begun = await device.begin()
    typed = f" {begun['user_code'].lower().replace('-', ' ')} "
    assert (await answer(person, typed, "yes")).startswith("Done")


async def test_a_no_ends_it(person: Browser, device: Device) -> None:
    begun = await device.begin()
    assert await answer(person, begun["user_code"], "no") == "Refused. build-7 gets nothing."
    assert (await device.ask(begun["device_code"]))["code"] == "device-denied"
    assert "No device waits" in await answer(person, begun["user_code"], "yes")


async def test_a_code_counts_once_and_for_ten_minutes(services: Services, person: Browser, device: Device) -> None:
    first, late = await device.begin(), await device.begin()
    await answer(person, first["user_code"], "yes")
    assert "No device waits" in await answer(person, first["user_code"], "yes")
    async with services.core.database.write() as connection:
        past = update(device_sign_in).where(device_sign_in.c.user_code == late["user_code"].replace("-", ""))
        await connection.execute(past.values(expires_at=clock.now()))
    assert "No device waits" in await answer(person, late["user_code"], "yes")
    assert (await device.ask(late["device_code"]))["code"] == "device-code-unknown"


async def test_neither_code_stands_in_for_the_other(person: Browser, device: Device) -> None:
    begun = await device.begin()
    assert (await device.ask(begun["user_code"]))["code"] == "device-code-unknown"
    assert "No device waits" in await answer(person, begun["device_code"], "yes")
    assert "No device waits" in await answer(person, "", "yes")


async def test_only_who_is_signed_in_is_asked(services: Services, device: Device) -> None:
    begun = await device.begin()
    async with browsing(services) as nobody:
        for path in ("/device", "/device/answer"):
            sent = await nobody.post(path, code=begun["user_code"], answer="yes")
            assert sent.headers["location"] == "/sign-in?next=%2Fdevice"
    assert (await device.ask(begun["device_code"]))["state"] == "waiting"


async def test_no_address_brings_a_code_along(person: Browser, device: Device) -> None:
    begun = await device.begin()
    assert begun["user_code"] not in (await person.get(f"/device?code={begun['user_code']}")).text


async def test_request_from_elsewhere_needs_one_more_word(services: Services, person: Browser, device: Device) -> None:
    begun = await device.begin()
    async with services.core.database.write() as connection:
        await connection.execute(update(device_sign_in).values(address="198.51.100.66"))
    question = await person.post("/device", csrf_token=await person.proof(), code=begun["user_code"])
    assert "198.51.100.66" in question.text
    assert "another address than this browser's, 203.0.113.7" in question.text
    assert await answer(person, begun["user_code"], "yes") != "Done. Go back to the terminal on build-7."
    assert (await device.ask(begun["device_code"]))["state"] == "waiting"
    assert (await answer(person, begun["user_code"], "yes", is_mine="yes")).startswith("Done")


async def test_disabled_person_gives_no_token(services: Services, person: Browser, device: Device) -> None:
    begun = await device.begin()
    await answer(person, begun["user_code"], "yes")
    await services.core.access.users.change("test", "ada", UserChange(is_disabled=True))
    assert (await device.ask(begun["device_code"]))["code"] == "user-disabled"
    assert await services.core.access.tokens.list(user="ada") == []


async def test_too_many_wait(device: Device, person: Browser) -> None:
    for _ in range(10):
        await device.begin()
    refused = await person.client.post(f"{BASE}/api/v1/login/device", json={"machine": "one-more"})
    assert (refused.status_code, refused.json()["code"]) == (429, "device-codes-many")


@pytest.mark.parametrize("machine", ["", "a b", "<b>", "x" * 65, "é"])
async def test_machine_that_cannot_be(person: Browser, machine: str) -> None:
    refused = await person.client.post(f"{BASE}/api/v1/login/device", json={"machine": machine})
    assert refused.status_code == 422
