"""Policies: which there are, where they hold, what they say in plain sentences, and what they were before."""

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.channels.policies import EVERYWHERE
from headgate.channels.policing import PolicyState, Target
from headgate.channels.revising import Standing, read_standing
from headgate.doors.web.judging import world_of
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, change, require_typed, signed_in
from headgate.kernel.errors import Invalid
from headgate.policy.model import Mode
from headgate.policy.wording import render_policy, sentence_of

_MIRROR = "mirror "
_MOST_VERSIONS = 50


@dataclass(frozen=True, slots=True)
class _Line:
    """One line of a difference: `added`, `removed`, or in between."""

    kind: str
    text: str


@signed_in
async def show_policies(viewer: Viewer) -> Response:
    """All policies."""
    viewer.require(Permission.POLICY_READ)
    found = await viewer.services.core.policies.list_policies()
    standing = await read_standing(viewer.services.core.database, world_of(viewer))
    return viewer.page(
        "policies.html",
        policies=found,
        held=_held(standing),
        pending=standing.pending,
        may_manage=viewer.may(Permission.POLICY_MANAGE),
    )


@signed_in
async def show_policy(viewer: Viewer) -> Response:
    """One policy; `?version=2` shows what that version changed."""
    viewer.require(Permission.POLICY_READ)
    name = viewer.request.path_params["name"]
    service = viewer.services.core.policies
    policy, versions = await service.get(name), await service.list_versions(name)
    standing = await read_standing(viewer.services.core.database, world_of(viewer))
    return viewer.page(
        "policy.html",
        policy=policy,
        sentences=[sentence_of(rule) for rule in policy.policy.document.get("rule", ())],
        text=render_policy(policy.policy.document),
        versions=versions[:_MOST_VERSIONS],
        changed=_changed(versions, viewer.request.query_params.get("version")),
        held=_held(standing)[name],
        pending=standing.pending,
        channels=[one.name for one in viewer.channels()],
        may_manage=viewer.may(Permission.POLICY_MANAGE),
        everywhere=EVERYWHERE,
    )


@change
async def attach_policy(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Let it hold somewhere."""
    viewer.require(Permission.POLICY_MANAGE)
    name, scope = form.get("name", ""), form.get("scope", "").strip()
    await viewer.services.core.policies.attach(viewer.actor, name, _target(scope))
    await viewer.services.snapshots.reload()
    undo = Undo("/policies/detach", {"name": name, "scope": scope})
    return viewer.go(_path(name), f"Policy {name} holds in {_shown(scope)}.", undo)


@change
async def detach_policy(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Let it hold there no more."""
    viewer.require(Permission.POLICY_MANAGE)
    name, scope = form.get("name", ""), form.get("scope", "")
    await viewer.services.core.policies.detach(viewer.actor, name, scope)
    await viewer.services.snapshots.reload()
    undo = Undo("/policies/attach", {"name": name, "scope": scope})
    return viewer.go(_path(name), f"Policy {name} holds no more in {_shown(scope)}.", undo)


@change
async def set_mode(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Enforce it, only watch, or switch it off: a new version."""
    viewer.require(Permission.POLICY_MANAGE)
    name, mode = form.get("name", ""), form.get("mode", "")
    if mode not in set(Mode):
        raise Invalid("policy-invalid", f"A policy is off, in audit or enforced, not {mode[:40]!r}.")
    policy = (await viewer.services.core.policies.get(name)).policy
    await viewer.services.core.policies.apply(viewer.actor, {**policy.document, "mode": mode})
    await viewer.services.snapshots.reload()
    undo = Undo("/policies/mode", {"name": name, "mode": policy.mode.value})
    return viewer.go(_path(name), f"Policy {name} is {_MODES[Mode(mode)]} now.", undo)


@change
async def delete_policy(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """With its history; only one that holds nowhere."""
    viewer.require(Permission.POLICY_MANAGE)
    name = form.get("name", "")
    require_typed(form, name)
    await viewer.services.core.policies.delete(viewer.actor, name)
    await viewer.services.snapshots.reload()
    return viewer.go("/policies", f"Policy {name} is deleted.")


_MODES = {Mode.OFF: "off", Mode.AUDIT: "in audit: it holds nothing back", Mode.ENFORCE: "enforced"}


def _held(standing: Standing) -> Counter[str]:
    """How many records each policy holds back."""
    held: Counter[str] = Counter()
    for (_, rule), number in standing.held.items():
        held[rule.partition("/")[0]] += number
    return held


def _changed(versions: Sequence[PolicyState], wanted: str | None) -> tuple[int, list[_Line]] | None:
    """What a version changed of the one before it."""
    texts = {one.version: render_policy(one.policy.document) for one in versions}
    if wanted is None or not wanted.isdecimal() or int(wanted) not in texts:
        return None
    number = int(wanted)
    lines = difflib.ndiff(texts.get(number - 1, "").splitlines(), texts[number].splitlines())
    kinds = {"+ ": "added", "- ": "removed", "  ": "kept"}
    return number, [_Line(kinds[line[:2]], line[2:]) for line in lines if line[:2] in kinds]


def _target(scope: str) -> Target:
    if scope == EVERYWHERE:
        return Target(is_everywhere=True)
    if scope.endswith("/*"):
        return Target(prefix=scope)
    if scope.startswith(_MIRROR):
        return Target(mirror=scope.removeprefix(_MIRROR))
    return Target(channel=scope)


def _shown(scope: str) -> str:
    return "all channels" if scope == EVERYWHERE else scope


def _path(name: str) -> str:
    return f"/policies/{quote(name)}"


ROUTES = [
    Route("/policies", show_policies),
    Route("/policies/attach", attach_policy, methods=["POST"]),
    Route("/policies/detach", detach_policy, methods=["POST"]),
    Route("/policies/mode", set_mode, methods=["POST"]),
    Route("/policies/delete", delete_policy, methods=["POST"]),
    Route("/policies/{name}", show_policy),
]
