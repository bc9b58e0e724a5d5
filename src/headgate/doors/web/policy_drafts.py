"""Writing a policy: its rules as a form and in plain sentences, the same as text, and beside it what it would do."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import quote

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.approvals.environments import Environment
from headgate.channels.revisions import read_world
from headgate.channels.simulation import Simulation
from headgate.channels.trying import try_specs
from headgate.conda.solving import Solved
from headgate.doors.web.viewing import Viewer, change, signed_in
from headgate.kernel.errors import Invalid
from headgate.policy.model import Mode, parse_policy, read_document
from headgate.policy.wording import EXAMPLES, render_policy, sentence_of
from headgate.reports.effects import draft_policy, foresee

_NEW = {
    "name": "new-policy",
    "mode": "audit",
    "rule": [
        {"kind": "minimum-age", "days": 7, "action": "hold"},
        {"kind": "advisory-severity", "at_least": "high", "action": "block"},
    ],
}
# More rules than that are written as text: a form has its limits.
_MOST_FIELDS = 20
_MOST_SHOWN = 12
_DAYS = 30


@dataclass(frozen=True, slots=True)
class _Rule:
    """A rule as the form shows it; `number` counts from 0."""

    number: int
    sentence: str
    action: str
    exceptions: str


@dataclass(slots=True)
class _Draft:
    """A policy that is being written. `wrong`: why it cannot be saved; `is_rewritten`: the form changed the text."""

    text: str
    document: dict[str, Any] | None = None
    wrong: Sequence[str] = ()
    is_rewritten: bool = False
    rules: list[_Rule] = field(default_factory=list)

    @property
    def digest(self) -> str:
        """Tells whether the text was written since the form was shown."""
        return hashlib.sha256(self.text.encode()).hexdigest()[:16]

    @property
    def mode(self) -> str:
        """Its mode."""
        return str((self.document or {}).get("mode", "enforce"))


@dataclass(frozen=True, slots=True)
class _Effect:
    """What a draft would do to a channel; `failure`: why nobody can tell."""

    channel: str
    result: Simulation | None = None
    solved: tuple[Solved, Solved] | None = None
    failure: str = ""
    broken: Sequence[Environment] = ()
    days: int = _DAYS

    @property
    def downloads(self) -> int:
        """How often what would disappear was downloaded lately."""
        return 0 if self.result is None else sum(one.downloads for one in self.result.disappearing)


@signed_in
async def show_new(viewer: Viewer) -> Response:
    """A new one, which begins as something useful that holds nothing back."""
    viewer.require(Permission.POLICY_MANAGE)
    return _editor(viewer, _read({"text": render_policy(_NEW)}), None)


@signed_in
async def show_edit(viewer: Viewer) -> Response:
    """One that is there."""
    viewer.require(Permission.POLICY_MANAGE)
    policy = await viewer.services.core.policies.get(viewer.request.path_params["name"])
    channel = next((one.scope for one in policy.attachments if viewer.services.catalog.find(one.scope)), "")
    given = {"text": render_policy(policy.policy.document), "channel": channel}
    return _editor(viewer, _read(given), policy.policy.name, given)


@change
async def show_draft(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """The draft after a change of its form or text."""
    viewer.require(Permission.POLICY_MANAGE)
    draft = _read(form)
    effect = None if viewer.is_partial else await _tried(viewer, draft, form)
    return _editor(viewer, draft, form.get("known") or None, form, effect)


@change
async def show_effect(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """What it would do."""
    return viewer.part("policy_effect.html", effect=await _tried(viewer, _read(form), form))


@change
async def save_draft(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Make the policy, or its next version."""
    viewer.require(Permission.POLICY_MANAGE)
    draft, known = _read(form), form.get("known") or None
    if draft.document is None or draft.wrong:
        return _editor(viewer, draft, known, form, status=422)
    name = str(draft.document.get("name"))
    if known is not None and known != name:
        wrong = [f"The name of a policy stays: this one is {known}."]
        return _editor(viewer, replace(draft, wrong=wrong), known, form, status=422)
    saved = await viewer.services.core.policies.apply(viewer.actor, draft.document)
    await viewer.services.snapshots.reload()
    return viewer.go(f"/policies/{quote(name)}", f"Policy {name} is saved: version {saved.version}.")


def _editor(
    viewer: Viewer,
    draft: _Draft,
    known: str | None,
    form: Mapping[str, str] | None = None,
    effect: _Effect | None = None,
    *,
    status: int = 200,
) -> Response:
    given = form or {}
    channels = [one.name for one in viewer.channels() if viewer.may(Permission.POLICY_READ, one)]
    return viewer.page(
        "policy_edit.html",
        status,
        part="policy_rules.html",
        draft=draft,
        known=known,
        kinds=sorted(EXAMPLES),
        modes=list(Mode),
        actions=("warn", "hold", "block"),
        channels=channels,
        channel=given.get("channel") or (channels[0] if channels else ""),
        specs=given.get("specs", ""),
        effect=effect,
    )


def _read(form: Mapping[str, str]) -> _Draft:
    """The draft that a form holds: its text, or what the fields say of it when nobody wrote in the text."""
    draft = _Draft(form.get("text", "").replace("\r\n", "\n"))
    try:
        draft.document = read_document(draft.text.encode())
    except Invalid as error:
        draft.wrong = [error.message]
        return draft
    tables = draft.document.get("rule", [])
    rules = [one for one in tables if isinstance(one, dict)] if isinstance(tables, list) else []
    if form.get("was") == draft.digest and len(rules) == len(tables):
        before = render_policy(draft.document)
        _take_fields(draft.document, rules, form)
        draft.document["rule"] = rules
        after = render_policy(draft.document)
        if after != before:
            draft.text, draft.is_rewritten = after, True
    try:
        parse_policy(draft.document)
    except Invalid as error:
        draft.wrong = error.reasons or [error.message]
    draft.rules = [
        _Rule(number, sentence_of(rule), str(rule.get("action", "")), ", ".join(map(str, rule.get("except") or ())))
        for number, rule in enumerate(rules[:_MOST_FIELDS])
    ]
    return draft


def _take_fields(document: dict[str, Any], rules: list[dict[str, Any]], form: Mapping[str, str]) -> None:
    if form.get("mode") in set(Mode):
        document["mode"] = form["mode"]
    for number, rule in enumerate(rules[:_MOST_FIELDS]):
        if f"action-{number}" in form:
            rule["action"] = form[f"action-{number}"]
        if f"except-{number}" in form:
            exceptions = [one.strip() for one in form[f"except-{number}"].split(",") if one.strip()]
            rule.pop("except", None)
            if exceptions:
                rule["except"] = exceptions
    wish, _, number_text = form.get("do", "").partition("-")
    if wish == "remove" and number_text.isdecimal() and int(number_text) < len(rules):
        del rules[int(number_text)]
    if wish == "add" and form.get("kind") in EXAMPLES:
        rules.append({"kind": form["kind"], **EXAMPLES[form["kind"]]})


async def _tried(viewer: Viewer, draft: _Draft, form: Mapping[str, str]) -> _Effect | None:
    name = form.get("channel", "")
    if not name:
        return None
    channel = viewer.channel(Permission.CHANNEL_READ, name)
    viewer.require(Permission.POLICY_READ, channel)
    if draft.document is None or draft.wrong:
        return _Effect(name, failure="It can be tried once it has no mistakes.")
    database = viewer.services.core.database
    async with database.read() as connection:
        world = await read_world(connection)
    trial = await draft_policy(database, draft.document, channel.name)
    target = world.channels.get(channel.id, channel)
    effect = await foresee(database, viewer.services.audit.downloads, world, target, trial, days=_DAYS)
    specs = [one.strip() for one in form.get("specs", "").split(",") if one.strip()][:20]
    try:
        solved = await try_specs(database, world, channel, trial, specs, "linux-64") if specs else None
    except Invalid as error:
        return _Effect(name, effect.result, failure=error.message, broken=effect.broken)
    return _Effect(name, effect.result, solved, broken=effect.broken)


ROUTES = [
    Route("/policies/new", show_new),
    Route("/policies/draft", show_draft, methods=["POST"]),
    Route("/policies/effect", show_effect, methods=["POST"]),
    Route("/policies/save", save_draft, methods=["POST"]),
    Route("/policies/{name}/edit", show_edit),
]
