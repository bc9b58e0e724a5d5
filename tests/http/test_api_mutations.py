"""Every route that changes something: who may not changes nothing, and who may leaves audit events behind.

Walks the OpenAPI document: a route that is not in a table here fails.
"""

import json
from typing import Any

import httpx
import pytest
from sqlalchemy import Column, Table, func, select

from headgate.access.oidc_providers import OidcProvider, OidcSettings
from headgate.access.principals import Principal
from headgate.access.sessions import Beginning
from headgate.approvals.request_rows import Wanted
from headgate.approvals.requests import Asked
from headgate.backups.service import BackupPlan
from headgate.bootstrap import Services
from headgate.conda.names import ChannelName, Subdir
from headgate.db import tables
from headgate.doors.api.app import PREFIX, build_api
from tests.http.conftest import PASSWORD, Callers
from tests.http.test_api_access import FILE, ROUTES, fill, generic
from tests.packages import package

OTHER_PASSWORD = "quite another passphrase"
WISH = {"wants": ["demo"], "source": "team", "target": "inside", "platforms": ["linux-64"]}
CHANGES: dict[str, tuple[str, object]] = {
    generic(route): (route, body) for route, _, body in ROUTES if not route.startswith("GET") and "none" not in route
} | {
    "POST /channels/{channel}/artifacts": ("POST /channels/team/artifacts?filename=other-1.0-0.conda", b""),
    "POST /jobs/{job_id}/pause": ("POST /jobs/{job}/pause", None),
    "POST /jobs/{job_id}/resume": ("POST /jobs/{job}/resume", None),
    "POST /jobs/{job_id}/retry": ("POST /jobs/{job}/retry", None),
    "POST /jobs/{job_id}/stop": ("POST /jobs/{job}/stop", None),
    "DELETE /me/sessions/{id}": ("DELETE /me/sessions/1", None),
    "POST /me/password": ("POST /me/password", {"old_password": PASSWORD, "new_password": OTHER_PASSWORD}),
    "POST /promotions": ("POST /promotions", WISH),
    "POST /promotions/preview": ("POST /promotions/preview", WISH),
    "POST /promotions/{id}/undo": ("POST /promotions/{promotion}/undo", None),
    "POST /requests": ("POST /requests", WISH),
    "POST /requests/preview": ("POST /requests/preview", WISH),
    "POST /requests/{id}/approve": ("POST /requests/{request}/approve", {"digest": "{digest}"}),
    "POST /requests/{id}/ask-changes": ("POST /requests/{request}/ask-changes", {"comment": "Which?"}),
    "POST /requests/{id}/comments": ("POST /requests/{request}/comments", {"comment": "Please."}),
    "POST /requests/{id}/reject": ("POST /requests/{request}/reject", {"comment": "No."}),
    "POST /requests/{id}/submit": ("POST /requests/{draft}/submit", {}),
    "POST /requests/{id}/withdraw": ("POST /requests/{draft}/withdraw", {}),
    "POST /tokens": ("POST /tokens", {"name": "new"}),
    "PUT /views": ("PUT /views", {"place": "search", "name": "mine", "query": "numpy"}),
    "POST /pipelines": ("POST /pipelines", {"name": "new", "stages": ["outer/world", "team"]}),
    "PUT /channels/{channel}/packages/{package}/note": ("PUT /channels/team/packages/demo/note", {"text": "ask us"}),
}
# These only look, though they are POSTs.
LOOKS = {
    "POST /api/osv/v1/query",
    "POST /api/osv/v1/querybatch",
    "POST /channels/{channel}/mirrors/{name}/filters/dry-run",
    "POST /channels/{channel}/batches/preview",
    "POST /channels/{channel}/mirrors/{name}/test",
    "POST /channels/{channel}/patches/{subdir}/preview",
    "POST /channels/{channel}/rollback/preview",
    "POST /ldap-directories/{name}/test",
    "POST /policies/simulate",
    "POST /promotions/preview",
    "POST /requests/preview",
}
# A token that may only view may ask these.
READING = {"POST /api/osv/v1/query", "POST /api/osv/v1/querybatch", "POST /policies/simulate"}
# These only ask for a job, which writes down what it does in the transaction that does it.
BY_JOB = {
    "POST /advisories/import",
    "POST /advisory-feeds/{name}/refresh",
    "POST /backups",
    "POST /bundles/scan",
    "POST /channels/{channel}/exports",
    "POST /channels/{channel}/imports",
}
# A member may do these with what is their own.
OWN = {"DELETE /me/sessions/{id}", "POST /me/password", "POST /tokens", "PUT /views"}
# Whoever has no credentials yet begins here; and what only a worker can have made ready. See the tests of both.
ELSEWHERE = {
    "DELETE /pipelines/{name}",
    "PATCH /pipelines/{name}",
    "POST /oidc-providers/{name}/test",
    "POST /login/device",
    "POST /login/device/token",
    "DELETE /channels/{channel}/exports/{job_id}",
}
# What they change has to be there first; see the tests of signing.
SECOND_STEPS = {"POST /signing/rotate", "PUT /signing/root"}
# A token that may only add may do these.
ADDING = {"POST /channels/{channel}/artifacts", "PUT /channels/{channel}/packages/{package}/note"}
# What is written for the machine's sake, or on the way to a refusal.
UNWATCHED = {"epoch", "idempotency", "blob", "audit_event"}


async def prepared(callers: Callers, services: Services, route: str) -> tuple[str, str, dict[str, Any]]:
    """Something of each kind to change; the method, the path and what httpx sends."""
    filename, content = package()
    await callers.admin.post("/channels/team/artifacts", params={"filename": filename}, content=content)
    await fill(services)
    if route.endswith("unyank"):
        await callers.admin.post(f"/channels/team/artifacts/{FILE}/yank")
    job = await services.jobs.sync("test", "outer/world")
    if route.endswith(("retry", "resume")):
        await services.jobs.stop("test", job)
    number = await promoted(callers, services) if "promotions" in route else 0
    if route.endswith("lift"):
        await callers.admin.post("/incidents", json={"target": "demo", "reason": "evil"})
    if "oidc-providers" in route:
        await services.oidc.providers.add(
            "test", OidcProvider("sso", "https://sso.example", "headgate", None, OidcSettings())
        )
    if "sessions" in route:
        await services.core.sessions.begin("ada", Beginning("192.0.2.1", "a browser"))
        await services.snapshots.reload()
    if "backups" in route:
        services.core.backups.plan = BackupPlan(services.core.place.folder.root.parent / "backups")
    asked, body = CHANGES[route]
    if "requests" in route:
        asked, body = await requested(callers, services, asked, body)
    method, path = asked.replace("{job}", job).replace("{promotion}", str(number)).split(" ")
    content = package("other")[1]
    return method, path, {"content": content} if body == b"" else {"json": body}


async def promoted(callers: Callers, services: Services) -> int:
    """A promotion that can be undone, and a channel to promote into."""
    for name in ("inside", "other"):
        await callers.admin.post("/channels", json={"name": name, "kind": "hosted"})
    made = await callers.admin.post("/promotions", json={**WISH, "target": "other"})
    number: int = made.json()["id"]
    await services.promotions.apply(number)
    await services.snapshots.reload()
    return number


async def requested(callers: Callers, services: Services, asked: str, body: object) -> tuple[str, object]:
    """The route and its body for bob's request, a draft of ada's, and a channel to ask into."""
    for name in ("inside", "asked"):
        await callers.admin.post("/channels", json={"name": name, "kind": "hosted"})
    await services.snapshots.reload()
    wanted = Wanted(ChannelName("team"), ChannelName("asked"), ["demo"], [Subdir("linux-64")])
    made = await services.requests.create(Principal("bob", user_id=2), Asked(wanted))
    draft = await services.requests.create(Principal("ada", user_id=1), Asked(wanted), is_draft=True)
    if body == {"digest": "{digest}"}:
        body = {"digest": (await services.requests.look(wanted)).plan.digest}
    return asked.replace("{request}", str(made.id)).replace("{draft}", str(draft.id)), body


def watched(table: Table) -> list[Column[Any]]:
    """All but the last use of a token, which is written beside the requests."""
    return [column for column in table.columns if column.name not in {"used_at", "used_from"}]


async def state(services: Services) -> str:
    """Every row of what may be changed."""
    async with services.core.database.read() as connection:
        rows = {
            table.name: sorted(map(repr, await connection.execute(select(*watched(table)))))
            for table in tables.metadata.sorted_tables
            if table.name not in UNWATCHED
        }
    return json.dumps(rows, sort_keys=True)


async def events(services: Services) -> int:
    async with services.core.database.read() as connection:
        found: int = (await connection.execute(select(func.count()).select_from(tables.audit_event))).scalar_one()
    return found


async def refuse_events(services: Services) -> None:
    """From now on the database takes no audit event."""
    statements = ["CREATE TRIGGER no_events BEFORE INSERT ON audit_event BEGIN SELECT RAISE(ABORT, 'no events'); END"]
    if not services.core.database.is_sqlite:
        statements = [
            "CREATE FUNCTION no_events() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'no'; END $$",
            "CREATE TRIGGER no_events BEFORE INSERT ON audit_event FOR EACH ROW EXECUTE FUNCTION no_events()",
        ]
    async with services.core.database.write() as connection:
        for statement in statements:
            await connection.exec_driver_sql(statement)


async def allow_events(services: Services) -> None:
    """As before."""
    of = "" if services.core.database.is_sqlite else " ON audit_event"
    async with services.core.database.write() as connection:
        await connection.exec_driver_sql(f"DROP TRIGGER no_events{of}")


def test_every_route_that_changes_something_is_listed_here(services: Services) -> None:
    paths = build_api(services).openapi()["paths"]
    known = {
        f"{method.upper()} {path.removeprefix(PREFIX)}"
        for path, methods in paths.items()
        for method in methods
        if method != "get"
    }
    assert set(CHANGES) | ELSEWHERE == known


async def test_who_may_not_changes_nothing(callers: Callers, services: Services, hosted: str, mirror: str) -> None:
    """Refusals leave everything as it is, so one database serves for all of them."""
    (_, undo, _) = await prepared(callers, services, "POST /promotions/{id}/undo")
    request = (await requested(callers, services, "{draft}", None))[0]
    before, count = await state(services), await events(services)
    for route in sorted(set(CHANGES) - ELSEWHERE):
        asked_at = CHANGES[route][0].replace("{job}", "none").replace("{promotion}", undo.split("/")[2])
        method, path = asked_at.replace("{request}", request).replace("{draft}", request).split(" ")
        body = {"digest": "0" * 64} if route.endswith("approve") else CHANGES[route][1]
        sent: dict[str, Any] = {"content": package("other")[1]} if body == b"" else {"json": body}
        for caller, status in refused_at(callers, route):
            answer = await caller.request(method, absolute(path), **sent)
            assert answer.status_code == status, (route, answer.text)
            unknown = "promotion-unknown" if route.endswith("undo") else "request-unknown"
            codes = {401: "credentials-needed", 403: "permission-denied", 404: unknown}
            assert answer.json()["code"] == codes[status], route
    assert (await state(services), await events(services)) == (before, count)


def refused_at(callers: Callers, route: str) -> list[tuple[httpx.AsyncClient, int]]:
    """Who is refused, and how."""
    refused: list[tuple[httpx.AsyncClient, int]] = [(callers.anonymous, 401)]
    refused += [] if route in READING else [(callers.viewer, 403)]  # they are all but a GET
    # Of a promotion or request that one may not see, nobody learns that it is there.
    is_unseen = "/requests/{id}" in route or (route.endswith("{id}/undo") and "promotions" in route)
    unseen = 404 if is_unseen else 403
    refused += [] if route in ADDING else [(callers.adder, unseen)]
    return refused + ([] if route in OWN else [(callers.member, unseen)])


def one_of_each() -> list[str]:
    """A route for each noun: every one of them needs a database of its own, which takes its time."""
    return sorted({route.split("/")[1]: route for route in sorted(set(CHANGES) - ELSEWHERE - SECOND_STEPS)}.values())


@pytest.mark.parametrize("route", one_of_each())
async def test_a_change_leaves_an_event_or_does_not_happen(
    callers: Callers, services: Services, hosted: str, mirror: str, route: str
) -> None:
    method, path, sent = await prepared(callers, services, route)
    before, count = await state(services), await events(services)
    if route not in LOOKS | BY_JOB:
        await refuse_events(services)
        answer = await callers.admin.request(method, absolute(path), **sent)
        assert answer.status_code in {409, 500}, answer.text  # to SQLite, a trigger's no is a broken constraint
        assert await state(services) == before
        await allow_events(services)
    answer = await callers.admin.request(method, absolute(path), **sent)
    assert answer.is_success, answer.text
    if route in LOOKS:
        assert (await state(services), await events(services)) == (before, count)
    elif route not in BY_JOB:
        assert await events(services) > count


def absolute(path: str) -> str:
    """Where a route is that does not begin as the others do."""
    return path if not path.startswith("/api/") else f"http://headgate.test{path}"
