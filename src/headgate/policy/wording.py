"""Policies for people: each rule as a plain sentence, and the whole as the text of a file."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

Table = Mapping[str, Any]

_ACTS = {"warn": "Warns of", "hold": "Holds back", "block": "Blocks"}
_KEYS_FIRST = ("name", "mode", "description")


def sentence_of(rule: Table) -> str:
    """What a rule, as its document has it, does."""
    kind = str(rule.get("kind", ""))
    what = _WHAT[kind](rule) if kind in _WHAT else f"what the rule {kind or 'without a kind'} says"
    acts = _ACTS.get(str(rule.get("action")), "Looks at")
    return f"{acts} {what}{_but(rule)}."


def render_policy(document: Table) -> str:
    """The document as a TOML file; reading it gives the same document."""
    plain = {key: document[key] for key in (*_KEYS_FIRST, *sorted(document)) if key in document and key != "rule"}
    lines = [f"{key} = {_toml(value)}" for key, value in plain.items()]
    for rule in document.get("rule", ()):
        lines += ["", "[[rule]]"]
        lines += [
            f"{key} = {_toml(rule[key])}" for key in ("kind", *(one for one in rule if one != "kind")) if key in rule
        ]
    return "\n".join(lines) + "\n"


def _toml(value: Any) -> str:
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(str(key))} = {_toml(one)}" for key, one in value.items()) + " }"
    if isinstance(value, list | tuple):
        return f"[{', '.join(map(_toml, value))}]"
    # JSON writes texts, numbers and truth as TOML does, but for DEL, which TOML wants escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")


def _but(rule: Table) -> str:
    return f", except {_any(rule['except'])}" if rule.get("except") else ""


def _any(words: Sequence[Any], last: str = "or") -> str:
    shown = [str(one) for one in words]
    return shown[0] if len(shown) == 1 else f"{', '.join(shown[:-1])} {last} {shown[-1]}" if shown else "nothing"


def _span(rule: Table) -> str:
    parts = [f"{rule[key]:g} {key if rule[key] != 1 else key[:-1]}" for key in ("days", "hours") if key in rule]
    return " and ".join(parts) or "no time"


def _size(number: float) -> str:
    for unit, most in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= most:
            return f"{number / most:g} {unit}"
    return f"{number:g} bytes"


def _match_spec(rule: Table) -> str:
    if rule.get("only"):
        return f"everything but {_any(rule['only'])}"
    kept = f", unless it is {_any(rule['include'])}" if rule.get("include") else ""
    return f"{_any(rule.get('exclude', ()))}{kept}"


def _license(rule: Table) -> str:
    if rule.get("only"):
        return f"packages under any licence but {_any(rule['only'])}"
    return f"packages under the licence {_any(rule.get('exclude', ()))}"


def _advisory(said: Callable[[Table], str]) -> Callable[[Table], str]:
    def what(rule: Table) -> str:
        status = f", of status {_any(rule['status'])}" if rule.get("status") else ""
        without = f", {_any(rule['except_advisories'], 'and')} apart" if rule.get("except_advisories") else ""
        sure = f", when the match is {rule['sureness']} or surer" if rule.get("sureness") else ""
        return f"packages with an advisory{said(rule)}{status}{without}{sure}"

    return what


def _severity(rule: Table) -> str:
    return f" of severity {rule.get('at_least')} or worse{' or of none that is known' if rule.get('unscored') else ''}"


def _score(rule: Table) -> str:
    limit = f"above {rule['above']:g}" if "above" in rule else f"of {rule.get('at_least', 0):g} or more"
    return f" whose CVSS score is {limit}{', or has none' if rule.get('unscored') else ''}"


def _dates(rule: Table) -> str:
    verb = "built" if rule.get("by") == "built" else "first in the index"
    bounds = [f"before {rule['from']}"] if "from" in rule else []
    bounds += [f"on {rule['to']} or later"] if "to" in rule else []
    return f"packages that were {verb} {_any(bounds)}"


def _sizes(rule: Table) -> str:
    bounds = [f"larger than {_size(rule['most_bytes'])}"] if "most_bytes" in rule else []
    bounds += [f"smaller than {_size(rule['least_bytes'])}"] if "least_bytes" in rule else []
    return f"files {_any(bounds)}"


def _scripts(rule: Table) -> str:
    scripts = f"{_any(rule['scripts'])} scripts" if rule.get("scripts") else "scripts at installation or activation"
    return f"packages that run {scripts}{'' if rule.get('unknown') == 'pass' else ', or of which that is not known'}"


def _origin(rule: Table) -> str:
    if rule.get("only"):
        return f"packages from anywhere but {_any(rule['only'])}"
    return f"packages from {_any(rule.get('exclude', ()))}"


def _reserved(rule: Table) -> str:
    names = f", or that is like {_any(rule['names'])}" if rule.get("names") else ""
    return f"packages from elsewhere under a name that a hosted channel here has{names}"


def _proof(noun: str) -> Callable[[Table], str]:
    def what(rule: Table) -> str:
        wanted = [
            f"{word} {_any(rule[key])}"
            for key, word in (("publishers", "by"), ("issuers", "known to"), ("channels", "for channel"))
            if rule.get(key)
        ]
        return f"packages without a verified {noun}{' ' if wanted else ''}{' '.join(wanted)}"

    return what


_WHAT: Mapping[str, Callable[[Table], str]] = {
    "match-spec": _match_spec,
    "license": _license,
    "advisory-status": _advisory(lambda _: ""),
    "advisory-ids": lambda rule: f"packages that {_any(rule.get('ids', ()))} affects",
    "advisory-severity": _advisory(_severity),
    "advisory-score": _advisory(_score),
    "advisory-epss": _advisory(
        lambda rule: f" that is exploited with a probability (EPSS) of {rule.get('at_least')} or more"
    ),
    "advisory-kev": _advisory(lambda _: " that is known to be exploited (CISA)"),
    "advisory-uncurated": _advisory(lambda _: " that nobody here has judged"),
    "advisory-not-checked": lambda _: "packages that could not be checked for advisories",
    "malicious": lambda _: "packages that are known to be malicious",
    "feed-age": lambda rule: f"everything while the newest feed of advisories is older than {_span(rule)}",
    "minimum-age": lambda rule: f"packages until they have been in the index for {_span(rule)}",
    "maximum-age": lambda rule: f"packages that have been in the index for {_span(rule)} or longer",
    "dates": _dates,
    "size": _sizes,
    "sha256": lambda rule: f"{len(rule.get('sha256', ()))} files by their sha256",
    "format-duplicates": lambda _: "a .tar.bz2 beside the same package as .conda",
    "latest-patch": lambda _: "versions of which there is a later patch release",
    "install-scripts": _scripts,
    "origin": _origin,
    "reserved-names": _reserved,
    "signature": _proof("signature"),
    "attestation": _proof("attestation"),
}

EXAMPLES: Mapping[str, Table] = {
    "match-spec": {"exclude": ["name <2"], "action": "block"},
    "license": {"exclude": ["agpl", "gpl3"], "action": "block"},
    "advisory-status": {"status": ["reported", "active"], "action": "block"},
    "advisory-ids": {"ids": ["CVE-2026-1234"], "action": "block"},
    "advisory-severity": {"at_least": "high", "action": "block"},
    "advisory-score": {"at_least": 7.0, "action": "block"},
    "advisory-epss": {"at_least": 0.5, "action": "block"},
    "advisory-kev": {"action": "block"},
    "advisory-uncurated": {"action": "warn"},
    "advisory-not-checked": {"action": "warn"},
    "malicious": {"action": "block"},
    "feed-age": {"days": 3, "action": "hold"},
    "minimum-age": {"days": 7, "action": "hold"},
    "maximum-age": {"days": 1800, "action": "warn"},
    "dates": {"from": "2024-01-01", "by": "built", "action": "block"},
    "size": {"most_bytes": 2_000_000_000, "action": "block"},
    "sha256": {"sha256": ["0" * 64], "action": "block"},
    "format-duplicates": {"action": "block"},
    "latest-patch": {"action": "warn"},
    "install-scripts": {"unknown": "pass", "action": "block"},
    "origin": {"only": ["hosted"], "action": "block"},
    "reserved-names": {"action": "block"},
    "signature": {"action": "hold"},
    "attestation": {"action": "hold"},
}
"""What a new rule of each kind begins as."""
