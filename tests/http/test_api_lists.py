"""No list reveals what one may not see: every GET that answers with several objects has a rule here.

What bob may see is called `apple`, what he may not `zebra`; the administrator sees both.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from headgate.access.grants import PrincipalKind, Scope
from headgate.access.ldap.service import LdapChange
from headgate.access.oidc_providers import OidcProvider, OidcSettings
from headgate.access.permissions import Permission
from headgate.access.sessions import Beginning
from headgate.access.tokens import TokenWish
from headgate.advisories.curating import new_claim
from headgate.advisories.findings import AdvisoryStatus
from headgate.bootstrap import Services
from headgate.channels.exempting import Wish
from headgate.channels.mirrors import Mirror
from headgate.channels.model import ChannelKind
from headgate.channels.search_cards import CardWriter
from headgate.conda.names import ChannelName
from headgate.doors.api.app import PREFIX, build_api
from headgate.policy.exemptions import ExemptionKind
from tests.certificates import certificate_pem
from tests.http.conftest import Callers
from tests.packages import package


@dataclass(frozen=True)
class Rule:
    """Which question about the secret is refused to bob, if any, and which is answered with what."""

    apple: str | None = None
    """A question that bob may ask: the answer speaks of apples alone."""
    zebra: str | None = None
    """A question that is refused to him."""
    everything: str | None = None
    """A question whose answer to the administrator speaks of zebras; unless given, the one that is refused to bob."""
    is_named: bool = True
    """False where an answer names neither, or is empty."""
    is_there: bool = True
    """False where there is nothing to be found."""


RULES = {
    "/access/explain": Rule(
        "/access/explain?permission=channel:read&channel=apple",
        "/access/explain?permission=channel:read&channel=zebra&user=zebra",
    ),
    "/advisories": Rule(None, "/advisories", is_named=False),
    "/advisories/{id}": Rule(None, "/advisories/ZEBRA-1", is_named=False, is_there=False),
    "/advisory-feeds": Rule(None, "/advisory-feeds"),
    "/advisory-names": Rule(None, "/advisory-names", is_named=False),
    "/audit/events": Rule(None, "/audit/events"),
    "/audit/requests": Rule(None, "/audit/requests", is_named=False),
    "/audit/streams": Rule(None, "/audit/streams", is_named=False),
    "/backups": Rule(None, "/backups", is_named=False),
    "/bundles/dropped": Rule(None, "/bundles/dropped", is_named=False),
    "/bundles/keys": Rule(None, "/bundles/keys"),
    "/ca": Rule(None, "/ca"),
    "/channels": Rule("/channels", None, "/channels"),
    "/channels/{channel}": Rule("/channels/apple-mirror", "/channels/zebra-mirror"),
    "/channels/{channel}/affected": Rule(None, "/channels/zebra/affected", is_named=False),
    "/channels/{channel}/artifacts": Rule("/channels/apple/artifacts", "/channels/zebra/artifacts"),
    "/channels/{channel}/unsatisfiable": Rule(
        "/channels/apple/unsatisfiable?platform=noarch", "/channels/zebra/unsatisfiable?platform=noarch", is_named=False
    ),
    "/channels/{channel}/coverage": Rule(None, "/channels/zebra/coverage"),
    "/channels/{channel}/mirror": Rule("/channels/apple-mirror/mirror", "/channels/zebra-mirror/mirror"),
    "/channels/{channel}/mirrors": Rule("/channels/apple-mirror/mirrors", "/channels/zebra-mirror/mirrors"),
    "/channels/{channel}/mirrors/{name}/filtered": Rule(
        "/channels/apple-mirror/mirrors/main/filtered", "/channels/zebra-mirror/mirrors/main/filtered", is_named=False
    ),
    "/channels/{channel}/packages": Rule("/channels/apple/packages", "/channels/zebra/packages", is_named=False),
    "/channels/{channel}/packages/{package}": Rule("/channels/apple/packages/apple", "/channels/zebra/packages/zebra"),
    "/channels/{channel}/patches": Rule("/channels/apple/patches", "/channels/zebra/patches", is_named=False),
    "/channels/{channel}/retention": Rule("/channels/apple/retention", "/channels/zebra/retention", is_named=False),
    "/channels/{channel}/revisions": Rule("/channels/apple/revisions", "/channels/zebra/revisions", is_named=False),
    "/channels/{channel}/why": Rule("/channels/apple/why?spec=apple", "/channels/zebra/why?spec=zebra"),
    "/curations": Rule(None, "/curations", is_named=False),
    "/exemptions": Rule(None, "/exemptions"),
    "/grants": Rule(None, "/grants"),
    "/groups": Rule(None, "/groups"),
    "/incidents": Rule(None, "/incidents", is_named=False),
    "/jobs": Rule(None, "/jobs"),
    "/jobs/{job_id}/log": Rule(None, "/jobs/{job}/log", is_named=False),
    "/ldap-directories": Rule(None, "/ldap-directories"),
    "/ldap-directories/{name}": Rule(None, "/ldap-directories/zebra"),
    "/me/sessions": Rule("/me/sessions", None, "/users/zebra/sessions"),
    "/network": Rule(None, "/network", is_named=False),
    "/oidc-providers": Rule(None, "/oidc-providers"),
    "/pipelines": Rule("/pipelines", None, "/pipelines"),
    "/policies": Rule(None, "/policies"),
    "/policies/{name}/versions": Rule(None, "/policies/zebra/versions", is_named=False),
    "/promotions": Rule("/promotions", None, "/promotions"),
    "/promotions/{id}": Rule("/promotions/1", "/promotions/2"),
    "/requests": Rule("/requests", None, "/requests"),
    "/requests/{id}": Rule("/requests/1", "/requests/2"),
    "/requests/{id}/preview": Rule("/requests/1/preview", "/requests/2/preview"),
    "/retention": Rule(None, "/retention", is_named=False),
    "/roles": Rule(None, "/roles"),
    "/search": Rule("/search?q=subdir:noarch", None, "/search?q=subdir:noarch"),
    "/signing": Rule(None, "/signing", is_named=False),
    "/tokens": Rule("/tokens", "/tokens?user=zebra", "/tokens"),
    "/users": Rule(None, "/users"),
    "/views": Rule("/views", None, "/views"),
    "/waiting": Rule("/waiting", None, "/requests"),  # the administrator's own do not wait for the administrator
    "/users/{name}/sessions": Rule("/users/bob/sessions", "/users/zebra/sessions"),
}


def resolved(schema: dict[str, Any], document: dict[str, Any]) -> dict[str, Any]:
    if "$ref" not in schema:
        return schema
    found: dict[str, Any] = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    return found


def is_list(schema: dict[str, Any], document: dict[str, Any]) -> bool:
    """An array of objects, or an object in which there is one."""
    inner = resolved(schema, document)
    if inner.get("type") == "array":
        return "$ref" in inner.get("items", {})
    return any(is_list(one, document) for one in inner.get("properties", {}).values() if one.get("type") == "array")


def lists(document: dict[str, Any]) -> Iterator[str]:
    for path, methods in document["paths"].items():
        content = methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {})
        if any(is_list(one.get("schema", {}), document) for one in content.values()):
            yield path.removeprefix(PREFIX)


async def fill(services: Services) -> str:
    """Something of each kind, of either word; the id of a job."""
    core = services.core
    access = core.access
    await access.users.create("test", "zebra")
    await access.groups.create("test", "zebra")
    await access.grants.create_role("test", "zebra", [Permission.AUDIT_READ])
    await access.tokens.create("test", "bob", TokenWish("apple"))
    await access.tokens.create("test", "zebra", TokenWish("zebra"))
    for word in ("apple", "zebra"):
        await core.channels.create("test", ChannelName(word), ChannelKind.HOSTED)
        mirrors = [Mirror(None, (f"https://{word}.example/main",))]
        await core.channels.create("test", ChannelName(f"{word}-mirror"), ChannelKind.MIRROR, mirrors=mirrors)
        await core.channels.create("test", ChannelName(f"{word}-target"), ChannelKind.HOSTED)
    await core.authorities.add("test", "zebra", certificate_pem().encode(), is_everywhere=False)
    await core.ldap.add("test", "zebra", LdapChange({"urls": ["ldaps://127.0.0.1:1"], "user_base": "dc=x"}))
    await services.advisories.feeds.add("test", "zebra", "https://zebra.example/all.zip")
    await services.advisories.curations.curate("test", [new_claim("ZEBRA-9", AdvisoryStatus.ACTIVE)])
    await core.policies.apply("test", {"name": "zebra"})
    await core.exemptions.add("test", Wish(kind=ExemptionKind.SPEC, target="zebra", reason="zebra", owner="zebra"))
    await core.trust.add("test", "zebra", "0f" * 32)
    await services.oidc.providers.add(
        "test", OidcProvider("zebra", "https://zebra.example", "headgate", None, OidcSettings())
    )
    await core.sessions.begin("bob", Beginning("192.0.2.1", "apple"))
    await core.sessions.begin("zebra", Beginning("192.0.2.1", "zebra"))
    for channel in ("apple", "apple-mirror", "apple-target"):
        await access.grants.add_grant("test", PrincipalKind.USER, "bob", "channel-manager", Scope(channel))
    await access.grants.add_grant("test", PrincipalKind.USER, "bob", "approver", Scope("apple-target"))
    await access.grants.add_grant("test", PrincipalKind.USER, "zebra", "downloader", Scope("zebra"))
    job = await services.jobs.sync("zebra", "zebra-mirror")
    await services.snapshots.reload()
    return job


def test_every_list_has_a_rule_and_every_rule_a_list(services: Services) -> None:
    assert sorted(lists(build_api(services).openapi())) == sorted(RULES)


async def test_lists_show_only_what_one_may_see(
    callers: Callers, services: Services, subtests: pytest.Subtests
) -> None:
    job = await fill(services)
    for word in ("apple", "zebra"):
        filename, content = package(word)
        uploaded = await callers.admin.post(f"/channels/{word}/artifacts?filename={filename}", content=content)
        assert uploaded.status_code == 201, uploaded.text
        wish = {"wants": [word], "source": word, "target": f"{word}-target", "platforms": ["linux-64"]}
        assert (await callers.admin.post("/promotions", json=wish)).status_code == 202
        assert (await callers.admin.post("/requests", json=wish)).status_code == 201
        pipeline = {"name": word, "stages": [word, f"{word}-target"]}
        assert (await callers.admin.post("/pipelines", json=pipeline)).status_code == 201
    for caller, word, place in ((callers.member, "apple", "search"), (callers.admin, "zebra", "audit")):
        view = {"place": place, "name": word, "query": f"q={word}", "is_shared": caller is callers.admin}
        assert (await caller.put("/views", json=view)).status_code == 200
    await CardWriter(services.core.database).catch_up()
    for path, rule in RULES.items():
        with subtests.test(path):
            await look_at(callers, rule, job)


async def look_at(callers: Callers, rule: Rule, job: str) -> None:
    secret = (rule.zebra or "").replace("{job}", job)
    for question in filter(None, (rule.apple, secret, rule.everything)):
        nobody = await callers.anonymous.get(question)
        assert nobody.status_code == 401 or not any(nobody.json().values())
        narrow = (await callers.adder.get(question)).json()
        assert narrow.get("items", []) == []
    if rule.apple is not None:
        shown = await callers.member.get(rule.apple)
        assert shown.status_code == 200, shown.text
        assert "zebra" not in shown.text
        assert "apple" in shown.text or not rule.is_named
        assert shown.json().get("items") != [] or not rule.is_named
    if secret:
        assert (await callers.member.get(secret)).status_code in {403, 404}
    whole = await callers.admin.get(rule.everything or secret)
    assert whole.status_code == (200 if rule.is_there else 404), whole.text
    assert "zebra" in whole.text or not rule.is_named


async def test_filters_reveal_nothing_either(callers: Callers, services: Services) -> None:
    await fill(services)
    for query in ("user=zebra", "user=nobody"):
        refused = await callers.member.get(f"/tokens?{query}")
        assert (refused.status_code, refused.json()["code"]) == (403, "permission-denied")
    assert (await callers.member.get("/tokens?name=zebra")).json()["items"] == []
    assert [one["name"] for one in (await callers.member.get("/tokens?name=apple")).json()["items"]] == ["apple"]
    listed = (await callers.admin.get("/grants?kind=user&principal=bob&channel=apple")).json()["items"]
    assert [(one["principal"], one["channel"]) for one in listed] == [("bob", "apple")]
    assert (await callers.admin.get("/tokens?is_live=false")).json()["items"] == []
