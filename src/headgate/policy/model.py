"""Policies as people write them: a name, a mode, and rules with exceptions; read from TOML or JSON."""

import re
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum
from typing import Any

import msgspec

from headgate.kernel.errors import Invalid
from headgate.policy.rules.kinds import KINDS
from headgate.policy.rules.rule import Rule
from headgate.policy.specs import Spec
from headgate.policy.terms import Terms, invalid
from headgate.policy.verdicts import Outcome

MAX_DOCUMENT_BYTES = 1 << 20
_NAME = re.compile(r"[a-z0-9][a-z0-9._-]{0,63}")
_MOST_RULES = 500


class Mode(StrEnum):
    """Whether a policy counts. Stored."""

    OFF = "off"
    """It says nothing."""
    AUDIT = "audit"
    """It says what it would do, and does not do it."""
    ENFORCE = "enforce"


_ACTIONS = (Outcome.WARN, Outcome.HOLD, Outcome.BLOCK)


@dataclass(frozen=True, slots=True)
class RuleEntry:
    """A rule at its place in a policy; `label` names it in reasons: its kind, and which of the kind when there are several."""

    label: str
    rule: Rule
    action: Outcome
    exceptions: tuple[Spec, ...] = ()


@dataclass(frozen=True, slots=True)
class Policy:
    """A policy; `document` is what it was read from, as plain JSON values."""

    name: str
    mode: Mode
    description: str
    rules: tuple[RuleEntry, ...]
    document: Mapping[str, Any]


def read_document(body: bytes) -> dict[str, Any]:
    """The table that a file in TOML or JSON holds, its dates as text. Raises Invalid `policy-invalid`."""
    if len(body) > MAX_DOCUMENT_BYTES:
        raise invalid("The policy", f"it has {len(body)} bytes; at most {MAX_DOCUMENT_BYTES} are read.")
    try:
        text = body.decode("utf-8")
        table = msgspec.json.decode(text) if text.lstrip().startswith("{") else tomllib.loads(text)
    except (ValueError, RecursionError) as error:
        raise invalid("The policy", f"it is neither TOML nor JSON: {error}.") from error
    plain = _plain(table)
    if not isinstance(plain, dict):
        raise invalid("The policy", "it is not a table.")
    return plain


def parse_policy(document: Mapping[str, Any]) -> Policy:
    """Read a policy. Raises Invalid `policy-invalid`, whose reasons name each rule and key that is wrong."""
    complaints: list[str] = []
    terms = Terms("The policy", document)
    name, mode, description = "", Mode.OFF, ""
    entries: list[RuleEntry] = []
    try:
        name = _name(terms)
        mode = Mode(terms.choice("mode", tuple(Mode), Mode.ENFORCE))
        description = terms.text("description", " ").strip()
        tables = terms.tables("rule")
        terms.finish()
        entries = _entries(tables, complaints)
    except Invalid as error:
        complaints.insert(0, error.message)
    if complaints:
        raise Invalid("policy-invalid", f"The policy cannot be used: {complaints[0]}", complaints)
    return Policy(name, mode, description, tuple(entries), dict(document))


def _name(terms: Terms) -> str:
    name = terms.text("name")
    if not _NAME.fullmatch(name):
        raise terms.fail(f"`name` is {name[:80]!r}; it must be lower-case letters, digits, and . _ - between them.")
    return name


def _entries(tables: list[Any], complaints: list[str]) -> list[RuleEntry]:
    if len(tables) > _MOST_RULES:
        raise invalid("The policy", f"it has {len(tables)} rules; at most {_MOST_RULES} are possible.")
    kinds = [one.get("kind") if isinstance(one, dict) else None for one in tables]
    entries = []
    for number, table in enumerate(tables):
        kind = kinds[number]
        which = f" {kinds[: number + 1].count(kind)}" if kinds.count(kind) > 1 else ""
        where = f"Rule {number + 1} ({kind})" if isinstance(kind, str) else f"Rule {number + 1}"
        try:
            entries.append(_entry(where, f"{kind}{which}", table))
        except Invalid as error:
            complaints.append(error.message)
    return entries


def _entry(where: str, label: str, table: Any) -> RuleEntry:
    if not isinstance(table, dict):
        raise invalid(where, "it is not a table.")
    terms = Terms(where, table)
    kind = terms.choice("kind", sorted(KINDS))
    action = Outcome(terms.choice("action", _ACTIONS))
    exceptions = terms.specs("except")
    if "note" in table:
        terms.text("note")
    rule = KINDS[kind](terms)
    terms.finish()
    return RuleEntry(label, rule, action, exceptions)


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _plain(one) for key, one in value.items()}
    if isinstance(value, list):
        return [_plain(one) for one in value]
    if isinstance(value, datetime | date):
        return value.isoformat()
    return value
