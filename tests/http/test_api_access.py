"""Every route: nobody gets 401, the wrong token 403, the right one an answer."""

from base64 import b64encode
from datetime import timedelta
from typing import Any

import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.access.ldap.service import LdapChange
from headgate.access.permissions import Permission, ScopeAction
from headgate.access.views import Place as ViewPlace
from headgate.access.views import ViewWish
from headgate.advisories.curating import new_claim
from headgate.advisories.findings import AdvisoryStatus
from headgate.bootstrap import Services
from headgate.channels.exempting import Wish
from headgate.channels.policing import Target
from headgate.doors.api.app import PREFIX, build_api
from headgate.policy.exemptions import ExemptionKind
from tests.certificates import certificate_pem
from tests.http.conftest import PASSWORD, Callers
from tests.packages import package

FILE = "noarch/demo-1.0-0.conda"
# (route as OpenAPI names it, status for who may, body)
ROUTES: list[tuple[str, int, object]] = [
    ("POST /channels", 201, {"name": "new", "kind": "hosted"}),
    ("GET /channels/team", 200, None),
    ("PATCH /channels/team", 200, {"privacy": "private"}),
    ("DELETE /channels/team", 204, None),
    ("GET /channels/team/artifacts", 200, None),
    (f"DELETE /channels/team/artifacts/{FILE}", 204, None),
    (f"POST /channels/team/artifacts/{FILE}/yank", 200, None),
    (f"POST /channels/team/artifacts/{FILE}/unyank", 200, None),
    ("GET /channels/team/revisions", 200, None),
    ("GET /channels/team/patches/noarch", 200, None),
    ("PUT /channels/team/patches/noarch", 200, {"remove": []}),
    ("GET /channels/team/patches", 200, None),
    ("POST /channels/team/patches?filename=our-patches-1.0-0.conda", 422, b""),
    ("POST /channels/team/patches/noarch/preview", 200, {"remove": []}),
    ("POST /channels/team/patches/3/undo", 404, {}),
    ("GET /channels/team/packages", 200, None),
    ("GET /channels/team/packages/demo", 200, None),
    ("POST /channels/team/packages/demo/deprecations", 201, {"spec": "demo <2", "reason": "Use demo 2."}),
    ("DELETE /channels/team/packages/demo/deprecations?spec=demo", 404, None),
    ("PUT /channels/team/packages/demo/owners/user/bob", 200, {"may_publish": True}),
    ("DELETE /channels/team/packages/demo/owners/user/bob", 404, None),
    ("POST /channels/team/batches/preview", 200, {"action": "yank", "wants": ["demo"]}),
    ("POST /channels/team/batches", 200, {"action": "yank", "wants": ["demo"], "comment": "It crashes."}),
    ("POST /channels/team/freeze", 200, {"comment": "the release"}),
    ("POST /channels/team/unfreeze", 409, {}),
    ("GET /channels/team/waiting", 200, None),
    ("GET /channels/team/retention", 200, None),
    ("GET /retention", 200, None),
    ("POST /channels/team/rollback/preview", 200, {"revisions": {"noarch": 1}}),
    ("POST /channels/team/rollback", 200, {"revisions": {"noarch": 1}, "comment": "as it was"}),
    ("GET /channels/outer/world/mirrors", 200, None),
    ("POST /channels/outer/world/mirrors", 201, {"urls": ["https://other.example/x"]}),
    ("GET /channels/outer/world/mirrors/main", 200, None),
    ("PUT /channels/outer/world/mirrors/main", 200, {"urls": ["https://other.example/x"]}),
    ("PATCH /channels/outer/world/mirrors/main", 200, {"subdirs": ["noarch"]}),
    ("DELETE /channels/outer/world/mirrors/main", 204, None),
    ("POST /channels/outer/world/mirrors/main/test", 200, None),
    ("GET /network", 200, None),
    ("GET /ca", 200, None),
    ("POST /ca", 201, {"name": "corporate", "certificates": certificate_pem()}),
    ("DELETE /ca/spare", 204, None),
    ("POST /channels/outer/world/mirrors/main/filters/dry-run", 200, {"exclude_specs": ["numpy"]}),
    ("GET /channels/outer/world/mirrors/main/filtered", 200, None),
    ("POST /channels/outer/world/fetch", 202, {}),
    ("GET /channels/outer/world/mirror", 200, None),
    ("POST /channels/outer/world/sync", 202, {}),
    ("POST /channels/team/exports", 202, {}),
    ("GET /channels/team/exports/none", 404, None),
    ("GET /channels/team/exports/none/manifest", 404, None),
    ("GET /channels/team/exports/none/content", 404, None),
    ("DELETE /channels/team/exports/none", 404, None),
    ("POST /channels/team/imports", 202, {}),
    ("GET /channels/team/imports/none", 404, None),
    ("GET /bundles/keys", 200, None),
    ("POST /bundles/keys", 201, {"name": "outside", "key": "ab" * 32}),
    ("DELETE /bundles/keys/spare", 204, None),
    ("GET /signing", 200, None),
    ("POST /signing", 201, {}),
    ("POST /signing/rotate", 409, {"role": "root"}),
    ("PUT /signing/root", 409, {"root": {}}),
    ("GET /bundles/dropped", 200, None),
    ("POST /bundles/scan", 202, {}),
    ("DELETE /tokens/ada/viewer", 204, None),
    ("DELETE /tokens/2", 204, None),
    ("POST /tokens/2/rotate", 200, {}),
    ("GET /users", 200, None),
    ("POST /users", 201, {"name": "grace", "groups": ["Developers"]}),
    ("GET /users/bob", 200, None),
    ("PATCH /users/bob", 200, {"is_disabled": True}),
    ("DELETE /users/bob", 204, None),
    ("GET /users/ada/sessions", 200, None),
    ("DELETE /users/ada/sessions", 204, None),
    ("DELETE /users/ada/sessions/1", 404, None),
    ("GET /oidc-providers", 200, None),
    ("POST /oidc-providers", 201, {"name": "new", "issuer": "https://sso.example", "client_id": "headgate"}),
    ("GET /oidc-providers/sso", 404, None),
    ("PATCH /oidc-providers/sso", 404, {"is_welcoming": False}),
    ("DELETE /oidc-providers/sso", 404, None),
    ("POST /oidc-providers/sso/test", 404, None),
    ("DELETE /views/1", 204, None),
    ("GET /groups", 200, None),
    ("POST /groups", 201, {"name": "Networkers"}),
    ("DELETE /groups/Developers", 204, None),
    ("PUT /groups/Developers/members/user/bob", 204, None),
    ("DELETE /groups/Developers/members/user/ada", 204, None),
    ("GET /roles", 200, None),
    ("POST /roles", 201, {"name": "looker", "permissions": ["channel:read"]}),
    ("DELETE /roles/spare", 204, None),
    ("GET /grants", 200, None),
    ("POST /grants", 201, {"kind": "user", "principal": "bob", "role": "publisher", "channel": "team"}),
    ("DELETE /grants/1", 204, None),
    ("GET /advisories", 200, None),
    ("GET /advisories/CVE-1", 404, None),
    ("POST /advisories/import", 202, {"demo": ["demo"]}),
    ("GET /advisories/imports/none", 404, None),
    ("GET /advisory-feeds", 200, None),
    ("POST /advisory-feeds", 201, {"name": "new", "url": "https://feeds.example/all.zip"}),
    ("GET /advisory-feeds/pypi", 200, None),
    ("PATCH /advisory-feeds/pypi", 200, {"interval_minutes": 90}),
    ("DELETE /advisory-feeds/pypi", 204, None),
    ("POST /advisory-feeds/pypi/refresh", 202, None),
    ("GET /advisory-names", 200, None),
    ("PUT /advisory-names/demo", 200, {"purls": ["pkg:pypi/demo"]}),
    ("DELETE /advisory-names/demo", 204, None),
    ("GET /curations", 200, None),
    ("POST /curations", 201, {"advisory": "CVE-1", "status": "cleared"}),
    ("DELETE /curations/1", 204, None),
    ("GET /curations/openvex", 200, None),
    ("GET /curations/export", 200, None),
    ("GET /channels/team/coverage", 200, None),
    ("GET /channels/team/affected", 200, None),
    ("POST /api/osv/v1/query", 200, {"package": {"purl": "pkg:conda/demo@1.0"}}),
    ("POST /api/osv/v1/querybatch", 200, {"queries": []}),
    ("GET /api/osv/v1/vulns/CVE-1", 404, None),
    ("GET /channels/team/why?file=demo-1.0-0.conda", 200, None),
    ("GET /channels/team/unsatisfiable", 200, None),
    ("GET /policies", 200, None),
    ("POST /policies", 201, {"document": {"name": "new"}}),
    ("GET /policies/old-builds", 200, None),
    ("PUT /policies/old-builds", 200, {"document": {"name": "old-builds", "mode": "off"}}),
    ("DELETE /policies/old-builds", 204, None),
    ("GET /policies/old-builds/versions", 200, None),
    ("POST /policies/old-builds/attachments", 201, {"channel": "team"}),
    ("DELETE /policies/everywhere/attachments?scope=*", 200, None),
    ("POST /policies/simulate", 200, {"channel": "team", "document": {"name": "draft"}}),
    ("GET /exemptions", 200, None),
    ("POST /exemptions", 201, {"kind": "spec", "target": "numpy", "reason": "needed", "channel": "team"}),
    ("DELETE /exemptions/1", 204, None),
    ("GET /audit/events", 200, None),
    ("GET /audit/events/1", 200, None),
    ("GET /audit/export", 200, None),
    ("GET /audit/requests", 200, None),
    ("GET /audit/verify", 200, None),
    ("GET /reports/advisories", 200, None),
    ("GET /reports/advisory-days", 200, None),
    ("GET /reports/affected?target=demo", 200, None),
    ("GET /reports/approvals", 200, None),
    ("GET /reports/downloads", 200, None),
    ("GET /reports/licences?channel=team", 200, None),
    ("GET /reports/stale?channel=team", 200, None),
    ("GET /reports/storage", 200, None),
    ("GET /reports/syncs", 200, None),
    ("GET /audit/streams", 200, None),
    ("POST /audit/streams", 201, {"name": "siem", "url": "syslog+udp://127.0.0.1"}),
    ("DELETE /audit/streams/gone", 404, None),
    ("GET /audit/evidence", 200, None),
    ("GET /incidents", 200, None),
    ("POST /incidents", 201, {"target": "demo", "reason": "evil"}),
    ("GET /incidents/1", 404, None),
    ("POST /incidents/1/lift", 404, {"reason": "over"}),
    ("GET /ldap-directories", 200, None),
    ("POST /ldap-directories", 201, {"name": "branch", "urls": ["ldaps://branch.example"], "user_base": "dc=x"}),
    ("GET /ldap-directories/corp", 200, None),
    ("PATCH /ldap-directories/corp", 200, {"page_size": 50}),
    ("PUT /ldap-directories/corp", 200, {"urls": ["ldaps://other.example"], "user_base": "dc=x"}),
    ("DELETE /ldap-directories/corp", 204, None),
    ("POST /ldap-directories/corp/sync", 202, {"force": False}),
    ("POST /ldap-directories/corp/test", 200, {"login": "ada"}),
    ("POST /promotions/preview", 409, {"wants": ["app"], "source": "team", "target": "outer/world"}),
    ("POST /promotions", 409, {"wants": ["app"], "source": "team", "target": "outer/world"}),
    ("GET /channels/team/request-rules", 200, None),
    ("PUT /channels/team/request-rules", 200, {"approvals": 2}),
    ("GET /backups", 200, None),
    ("POST /backups", 409, None),
    ("GET /jobs", 200, None),
    ("GET /jobs/none", 404, None),
    ("GET /jobs/none/log", 404, None),
    ("POST /jobs/none/pause", 404, None),
    ("POST /jobs/none/resume", 404, None),
    ("POST /jobs/none/stop", 404, None),
    ("POST /jobs/none/retry", 404, None),
]
# Open to more than those who manage; tested by themselves below, in test_api_principals.py, test_api_uploads.py,
# test_api_asking.py,
# test_sessions.py, test_devices.py, test_api_lists.py or test_api_mutations.py.
OTHERS = {
    "GET /access/explain",
    "GET /channels",
    "DELETE /me/sessions/{id}",
    "GET /me",
    "GET /me/sessions",
    "DELETE /pipelines/{name}",
    "GET /pipelines",
    "GET /pipelines/{name}",
    "GET /promotions",
    "GET /signing/root",
    "GET /promotions/{id}",
    "GET /search",
    "GET /tokens",
    "GET /views",
    "POST /me/password",
    "POST /channels/{channel}/artifacts",
    "POST /login/device",
    "POST /login/device/token",
    "PATCH /pipelines/{name}",
    "POST /pipelines",
    "POST /promotions",
    "POST /promotions/preview",
    "POST /promotions/{id}/undo",
    "GET /requests",
    "GET /requests/{id}",
    "GET /requests/{id}/preview",
    "POST /requests",
    "POST /requests/preview",
    "POST /requests/{id}/approve",
    "POST /requests/{id}/ask-changes",
    "POST /requests/{id}/comments",
    "POST /requests/{id}/reject",
    "POST /requests/{id}/submit",
    "POST /requests/{id}/withdraw",
    "GET /waiting",
    "POST /tokens",
    "PUT /views",
    "PUT /channels/{channel}/packages/{package}/note",
}


def generic(route: str) -> str:
    """`GET /channels/team` as OpenAPI names it."""
    return (
        route.partition("?")[0]
        .replace("old-builds", "{name}")
        .replace("policies/everywhere", "policies/{name}")
        .replace("exemptions/1", "exemptions/{id}")
        .replace("incidents/1", "incidents/{id}")
        .replace("events/1", "events/{number}")
        .replace("streams/gone", "streams/{name}")
        .replace("outer/world", "{channel}")
        .replace("team", "{channel}")
        .replace(FILE, "{subdir}/{filename}")
        .replace("patches/noarch", "patches/{subdir}")
        .replace("packages/demo", "packages/{package}")
        .replace("owners/user/bob", "owners/{kind}/{principal}")
        .replace("patches/3", "patches/{id}")
        .replace("mirrors/main", "mirrors/{name}")
        .replace("ada/viewer", "{user}/{name}")
        .replace("members/user/bob", "members/{kind}/{member}")
        .replace("members/user/ada", "members/{kind}/{member}")
        .replace("users/bob", "users/{name}")
        .replace("tokens/2", "tokens/{id}")
        .replace("users/ada", "users/{name}")
        .replace("sessions/1", "sessions/{id}")
        .replace("views/1", "views/{id}")
        .replace("/sso", "/{name}")
        .replace("Developers", "{name}")
        .replace("spare", "{name}")
        .replace("corp", "{name}")
        .replace("grants/1", "grants/{id}")
        .replace("none", "{job_id}")
        .replace("CVE-1", "{id}")
        .replace("feeds/pypi", "feeds/{name}")
        .replace("names/demo", "names/{name}")
        .replace("curations/1", "curations/{id}")
    )


async def fill(services: Services) -> None:
    """Something of each kind to change."""
    access = services.core.access
    await access.views.save("test", 1, ViewWish(ViewPlace.AUDIT, "Policies", "action:policy", is_shared=True))
    await access.groups.create("test", "Developers")
    await access.groups.add("test", "Developers", user="ada")
    spare = certificate_pem().encode()
    await services.core.authorities.add("test", "spare", spare, is_everywhere=False)
    await access.grants.create_role("test", "spare", [Permission.AUDIT_READ])
    await services.core.trust.add("test", "spare", "0f" * 32)
    await access.grants.add_grant("test", PrincipalKind.GROUP, "Developers", "downloader", Scope("team"))
    await services.advisories.feeds.add("test", "pypi", "https://feeds.example/all.zip")
    await services.advisories.curations.curate("test", [new_claim("CVE-9", AdvisoryStatus.ACTIVE)])
    policies = services.core.policies
    await policies.apply("test", {"name": "old-builds", "rule": [{"kind": "maximum-age", "days": 9, "action": "warn"}]})
    await policies.apply("test", {"name": "everywhere", "mode": "off"})
    await policies.attach("test", "everywhere", Target(is_everywhere=True))
    await services.core.exemptions.add(
        "test", Wish(kind=ExemptionKind.SPEC, target="demo", reason="ours", owner="ada", channel="team")
    )
    # Nobody listens there, so a test of it fails at once.
    values = {"urls": ["ldaps://127.0.0.1:1"], "user_base": "dc=x"}
    await services.core.ldap.add("test", "corp", LdapChange(values))
    await services.snapshots.reload()


def test_every_route_is_listed_here(services: Services) -> None:
    paths = build_api(services).openapi()["paths"]
    known = {f"{method.upper()} {path.removeprefix(PREFIX)}" for path, methods in paths.items() for method in methods}
    assert {generic(route) for route, _, _ in ROUTES} | OTHERS == known


async def test_routes_are_closed_but_to_those_who_may(
    callers: Callers, services: Services, hosted: str, mirror: str
) -> None:
    """All of them in one go: refusals and GETs change nothing. What changes something is let through in
    test_api_mutations.py, each with a database of its own.
    """
    filename, content = package()
    await callers.admin.post(f"/channels/{hosted}/artifacts", params={"filename": filename}, content=content)
    await fill(services)
    for route, status, body in ROUTES:
        method, path = route.split(" ")
        path = path if not path.startswith("/api/") else f"http://headgate.test{path}"
        sent: dict[str, Any] = {"content": body} if isinstance(body, bytes) else {"json": body}
        refused = await callers.anonymous.request(method, path, **sent)
        assert (refused.status_code, refused.json()["code"]) == (401, "credentials-needed"), route
        assert "www-authenticate" in refused.headers, route
        for caller in (callers.adder, callers.member):
            refused = await caller.request(method, path, **sent)
            assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied"), route
        if method == "GET":
            allowed = await callers.admin.request(method, path, json=body)
            assert allowed.status_code == status, route


async def test_upload_is_closed_but_to_those_who_may(callers: Callers, hosted: str) -> None:
    filename, content = package()
    path = f"/channels/{hosted}/artifacts?filename={filename}"
    assert (await callers.anonymous.post(path, content=content)).status_code == 401
    assert (await callers.viewer.post(path, content=content)).status_code == 403
    assert (await callers.member.post(path, content=content)).status_code == 403
    assert (await callers.adder.post(path, content=content)).status_code == 201


async def test_unknown_channel_looks_private_to_those_who_may_not_know(callers: Callers, hosted: str) -> None:
    for path in (f"/channels/{hosted}", "/channels/nothing"):
        assert (await callers.anonymous.get(path)).status_code == 401
        assert (await callers.member.get(path)).status_code == 403
    unknown = await callers.admin.get("/channels/nothing")
    assert (unknown.status_code, unknown.json()["code"]) == (404, "channel-unknown")


async def test_lists_show_only_readable_channels(callers: Callers, hosted: str) -> None:
    for name, privacy in [("open", "public"), ("staff", "authenticated")]:
        await callers.admin.post("/channels", json={"name": name, "kind": "hosted", "privacy": privacy})

    async def names(caller: object) -> list[str]:
        answer = await caller.get("/channels")  # type: ignore[attr-defined]
        return [one["name"] for one in answer.json()["items"]]

    assert await names(callers.anonymous) == ["open"]
    assert await names(callers.member) == ["open", "staff"]
    assert await names(callers.viewer) == ["open", "staff", hosted]
    assert await names(callers.adder) == []


async def test_me_says_who_calls(callers: Callers) -> None:
    assert (await callers.anonymous.get("/me")).status_code == 401
    shown = (await callers.viewer.get("/me")).json()
    assert shown == {
        "name": "ada",
        "is_administrator": True,
        "kind": "user",
        "groups": [],
        "must_change_password": False,
        "token": {
            "name": "viewer",
            "permissions": ["view"],
            "channels": None,
            "addresses": None,
            "expires_at": shown["token"]["expires_at"],
        },
        "csrf_token": None,
    }


async def test_credentials_in_every_form(callers: Callers, services: Services) -> None:
    _, text = await services.core.access.create_token("test", "ada", "forms")
    await services.snapshots.reload()
    basic = [f"ada:{PASSWORD}", f"anything:{text}"]
    forms = [{name: text} for name in ("X-API-Key", "X-ApiKey", "X-Auth")] + [{"authorization": f"Bearer {text}"}]
    forms += [{"authorization": "Basic " + b64encode(one.encode()).decode()} for one in basic]
    for headers in forms:
        answer = await callers.anonymous.get("/me", headers=headers)
        assert (answer.status_code, answer.json().get("name")) == (200, "ada"), headers


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"authorization": "Bearer nonsense"}, "token-unknown"),
        ({"x-api-key": "hg-x-y"}, "token-unknown"),
        ({"authorization": "Basic !!"}, "basic-invalid"),
        ({"authorization": b"Basic \xe9\xe9"}, "basic-invalid"),
        ({"authorization": "Basic " + b64encode(b"ada:wrong").decode()}, "password-wrong"),
        ({"authorization": "Digest x"}, "scheme-unknown"),
    ],
)
async def test_bad_credentials_are_never_taken_for_none(callers: Callers, headers: dict[str, str], code: str) -> None:
    answer = await callers.anonymous.get("/channels", headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (401, code)


async def test_token_of_one_channel_stays_there(callers: Callers, hosted: str, services: Services) -> None:
    _, text = await services.core.access.create_token("test", "ada", "narrow", channels=[hosted])
    await services.snapshots.reload()
    narrow = callers.with_token(text)
    assert (await narrow.get(f"/channels/{hosted}")).status_code == 200
    assert (await narrow.post("/channels", json={"name": "other", "kind": "hosted"})).status_code == 403
    assert (await narrow.get("/tokens")).status_code == 403
    assert (await narrow.get("/jobs")).status_code == 403


async def test_virtual_channel_shows_only_what_its_maker_may_read(
    callers: Callers, hosted: str, services: Services
) -> None:
    await callers.admin.post("/channels", json={"name": "open", "kind": "hosted", "privacy": "public"})
    await callers.admin.post("/channels", json={"name": "all", "kind": "virtual", "members": ["open"]})
    _, text = await services.core.access.create_token("test", "ada", "narrow", channels=["all"])
    await services.snapshots.reload()
    refused = await callers.with_token(text).patch("/channels/all", json={"members": [hosted]})
    assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied")


async def test_token_makes_no_wider_token(callers: Callers, services: Services) -> None:
    _, text = await services.core.access.create_token(
        "test", "ada", "short", permissions=[ScopeAction.ADMIN, ScopeAction.VIEW], lifetime=timedelta(days=5)
    )
    await services.snapshots.reload()
    short = callers.with_token(text)
    assert (await short.post("/tokens", json={"name": "a"})).status_code == 403
    usual = await short.post("/tokens", json={"name": "usual", "permissions": ["view"]})
    assert usual.json()["expires_at"] == (await short.get("/me")).json()["token"]["expires_at"]
    bodies = [{"permissions": ["view"], "expires_days": 9}, {"permissions": ["add"], "expires_days": 2}]
    for body in bodies:
        assert (await short.post("/tokens", json={"name": "a", **body})).status_code == 403
    made = await short.post("/tokens", json={"name": "a", "permissions": ["view"], "expires_days": 2})
    assert made.status_code == 201, made.text
