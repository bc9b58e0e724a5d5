"""What holds for every route: repeated requests, failures, and what OpenAPI says."""

import asyncio
from typing import Any

import httpx
import pytest

from headgate.bootstrap import Services
from headgate.doors.api.app import build_api
from tests.http.conftest import Callers

KEY = {"idempotency-key": "9f2c"}
BODY = {"name": "again", "kind": "hosted"}


async def test_repeated_request_gets_the_same_answer(callers: Callers) -> None:
    first = await callers.admin.post("/channels", json=BODY, headers=KEY)
    second = await callers.admin.post("/channels", json=BODY, headers=KEY)
    assert (first.status_code, second.status_code) == (201, 201)
    assert second.content == first.content
    assert "idempotency-replayed" not in first.headers
    assert second.headers["idempotency-replayed"] == "true"
    assert (await callers.admin.post("/channels", json=BODY)).status_code == 409


async def test_other_request_under_the_same_key_is_refused(callers: Callers) -> None:
    await callers.admin.post("/channels", json=BODY, headers=KEY)
    other = await callers.admin.post("/channels", json=BODY | {"privacy": "public"}, headers=KEY)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency-mismatch")
    narrower = await callers.viewer.post("/channels", json=BODY, headers=KEY)
    assert (narrower.status_code, narrower.json()["code"]) == (409, "idempotency-mismatch")


async def test_key_is_the_callers_own(callers: Callers) -> None:
    await callers.admin.post("/channels", json=BODY, headers=KEY)
    assert (await callers.member.post("/channels", json=BODY, headers=KEY)).status_code == 403
    assert (await callers.anonymous.post("/channels", json=BODY, headers=KEY)).status_code == 401


async def test_failed_request_may_be_made_again_under_its_key(callers: Callers) -> None:
    body = {"name": "all", "kind": "virtual", "members": ["again"]}
    assert (await callers.admin.post("/channels", json=body, headers=KEY)).status_code == 404
    await callers.admin.post("/channels", json=BODY)
    assert (await callers.admin.post("/channels", json=body, headers=KEY)).status_code == 201


async def test_of_requests_at_the_same_time_one_is_carried_out(callers: Callers) -> None:
    answers = await asyncio.gather(*(callers.admin.post("/channels", json=BODY, headers=KEY) for _ in range(5)))
    codes = {answer.json().get("code") for answer in answers if answer.status_code != 201}
    assert any(answer.status_code == 201 for answer in answers)
    assert codes <= {"idempotency-running"}


async def test_token_text_is_never_kept_for_repeats(callers: Callers) -> None:
    assert (await callers.admin.post("/tokens", json={"name": "x"}, headers=KEY)).status_code == 201
    assert (await callers.admin.post("/tokens", json={"name": "x"}, headers=KEY)).status_code == 409


@pytest.mark.parametrize(
    ("method", "path", "status", "code"),
    [
        ("GET", "/nothing", 404, "route-unknown"),
        ("PUT", "/me", 405, "method-not-allowed"),
        ("POST", "/channels/team/mirror", 405, "method-not-allowed"),
        ("GET", "/channels/", 404, "channel-unknown"),
        ("GET", "/jobs/x", 404, "job-unknown"),
    ],
)
async def test_failures_are_problem_documents(callers: Callers, method: str, path: str, status: int, code: str) -> None:
    answer = await callers.admin.request(method, path)
    assert answer.status_code == status
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert (problem["status"], problem["code"], problem["type"]) == (status, code, f"urn:headgate:error:{code}")
    assert problem["detail"] == problem["message"] != ""


@pytest.mark.parametrize("content", [b"{", b"\xff", b'"text"', b"{}" + b" " * (1 << 20)])
async def test_bodies_that_are_no_json_are_refused(callers: Callers, content: bytes) -> None:
    answer = await callers.admin.post("/channels", content=content, headers={"content-type": "application/json"})
    assert answer.status_code in {413, 422}
    assert answer.json()["code"] in {"request-invalid", "request-too-large"}


async def test_unforeseen_failure_is_answered_without_a_trace(
    services: Services, callers: Callers, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: Any, **__: Any) -> None:
        raise RuntimeError("s3cret")

    monkeypatch.setattr(type(services.jobs), "list_jobs", fail)
    answer = await callers.admin.get("/jobs")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal-error")
    assert "s3cret" not in answer.text
    assert "Traceback" not in answer.text


async def test_openapi_is_served(services: Services) -> None:
    transport = httpx.ASGITransport(build_api(services))
    async with httpx.AsyncClient(transport=transport, base_url="http://headgate.test") as client:
        document = (await client.get("/api/v1/openapi.json")).json()
        assert (await client.get("/docs")).status_code == 404
    assert document["openapi"].startswith("3.1")


async def test_operations_have_examples_and_say_how_they_fail(services: Services) -> None:
    document = build_api(services).openapi()
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            assert operation["description"], (method, path)
            assert {"401", "403", "422"} <= operation["responses"].keys(), (method, path)
            assert "application/problem+json" in operation["responses"]["422"]["content"], (method, path)
