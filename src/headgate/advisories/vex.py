"""VEX: OpenVEX 0.2.0 and CycloneDX read as claims; our curations written as OpenVEX. Pure.

| VEX                  | CycloneDX state                   | our status |
| not_affected         | not_affected, false_positive      | cleared    |
| affected             | exploitable                       | active     |
| fixed                | resolved, resolved_with_pedigree  | mitigated  |
| under_investigation  | in_triage                         | reported   |
"""

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any

from headgate.advisories.findings import AdvisoryStatus
from headgate.advisories.purls import Package, read_purl
from headgate.advisories.statements import Builds, Claim

JUSTIFICATIONS = (
    "component_not_present",
    "vulnerable_code_not_present",
    "vulnerable_code_not_in_execute_path",
    "vulnerable_code_cannot_be_controlled_by_adversary",
    "inline_mitigations_already_exist",
)
_OPENVEX = MappingProxyType(
    {
        "not_affected": AdvisoryStatus.CLEARED,
        "affected": AdvisoryStatus.ACTIVE,
        "fixed": AdvisoryStatus.MITIGATED,
        "under_investigation": AdvisoryStatus.REPORTED,
    }
)
_CYCLONEDX = MappingProxyType(
    {
        "not_affected": AdvisoryStatus.CLEARED,
        "false_positive": AdvisoryStatus.CLEARED,
        "exploitable": AdvisoryStatus.ACTIVE,
        "resolved": AdvisoryStatus.MITIGATED,
        "resolved_with_pedigree": AdvisoryStatus.MITIGATED,
        "in_triage": AdvisoryStatus.REPORTED,
    }
)
_CYCLONEDX_JUSTIFICATIONS = MappingProxyType(
    {
        "code_not_present": "vulnerable_code_not_present",
        "code_not_reachable": "vulnerable_code_not_in_execute_path",
        "requires_configuration": "vulnerable_code_cannot_be_controlled_by_adversary",
        "requires_dependency": "component_not_present",
        "requires_environment": "vulnerable_code_cannot_be_controlled_by_adversary",
        "protected_by_compiler": "inline_mitigations_already_exist",
        "protected_at_runtime": "inline_mitigations_already_exist",
        "protected_at_perimeter": "inline_mitigations_already_exist",
        "protected_by_mitigating_control": "inline_mitigations_already_exist",
    }
)
_TO_OPENVEX = MappingProxyType(
    {
        AdvisoryStatus.CLEARED: "not_affected",
        AdvisoryStatus.MITIGATED: "fixed",
        AdvisoryStatus.ACTIVE: "affected",
        AdvisoryStatus.REPORTED: "under_investigation",
        AdvisoryStatus.DISPUTED: "under_investigation",
    }
)


def is_openvex(document: Mapping[str, Any]) -> bool:
    """Whether a JSON document says that it is OpenVEX."""
    return "openvex" in str(document.get("@context", "")) and isinstance(document.get("statements"), list)


def parse_openvex(document: Mapping[str, Any]) -> Iterator[Claim]:
    """A claim per product of each statement that names a conda package by its purl."""
    for statement in document["statements"]:
        if not isinstance(statement, dict) or statement.get("status") not in _OPENVEX:
            continue
        advisory = _advisory(statement.get("vulnerability"))
        if advisory is None:
            continue
        fixed = {
            "advisory": advisory,
            "status": _OPENVEX[statement["status"]].value,
            "justification": _justification(statement.get("justification")),
            "note": _text(statement.get("impact_statement") or statement.get("action_statement")),
            "author": _text(statement.get("supplier") or document.get("author")),
            "stated": _text(statement.get("timestamp") or document.get("timestamp")),
        }
        for product in _dicts(statement.get("products")):
            for one in [*_dicts(product.get("subcomponents")), product]:
                yield from _claims(_purl_of(one), fixed)


def parse_cyclonedx(document: Mapping[str, Any]) -> Iterator[Claim]:
    """A claim per conda package that a vulnerability's `analysis` speaks of."""
    purls = {
        str(one.get("bom-ref", one["purl"])): one["purl"]
        for one in _components(document.get("components"))
        if isinstance(one.get("purl"), str)
    }
    for vulnerability in _dicts(document.get("vulnerabilities")):
        analysis = vulnerability.get("analysis")
        state = analysis.get("state") if isinstance(analysis, dict) else None
        if not isinstance(analysis, dict) or state not in _CYCLONEDX or _advisory(vulnerability.get("id")) is None:
            continue
        justification = _CYCLONEDX_JUSTIFICATIONS.get(str(analysis.get("justification")))
        fixed = {
            "advisory": vulnerability["id"],
            "status": _CYCLONEDX[str(state)].value,
            "justification": justification,
            "note": _text(analysis.get("detail")),
            "stated": _text(analysis.get("lastUpdated") or vulnerability.get("updated")),
        }
        for target in _dicts(vulnerability.get("affects")):
            reference = str(target.get("ref", ""))
            yield from _claims(purls.get(reference, reference.partition("#")[2] or reference), fixed)


def _components(value: Any, depth: int = 8) -> Iterator[dict[str, Any]]:
    for one in _dicts(value):
        yield one
        if depth:
            yield from _components(one.get("components"), depth - 1)


def _claims(purl: str | None, fixed: Mapping[str, Any]) -> Iterator[Claim]:
    read = read_purl(purl) if purl else None
    if read is None or read[0].ecosystem != "conda":
        return
    builds = read[2] or Builds()
    name, version = read[0].name, None if builds.version is None else f"=={builds.version}"
    key = claim_key(fixed["advisory"], name, version, builds.build, builds.sha256)
    yield Claim(key=key, name=name, version=version, build=builds.build, sha256=builds.sha256, **fixed)


def claim_key(*parts: str | None) -> str:
    """What makes a claim the same claim again: the advisory and what it speaks of."""
    return hashlib.sha256("\0".join(part or "" for part in parts).encode()).hexdigest()[:32]


def _advisory(value: Any) -> str | None:
    name = value.get("name") if isinstance(value, dict) else value
    return name if isinstance(name, str) and 3 <= len(name) <= 200 else None


def _purl_of(product: Mapping[str, Any]) -> str | None:
    identifiers = product.get("identifiers")
    purl = identifiers.get("purl") if isinstance(identifiers, dict) else None
    return purl if isinstance(purl, str) else _text(product.get("@id"))


def _justification(value: Any) -> str | None:
    return value if value in JUSTIFICATIONS else None


def _text(value: Any) -> str | None:
    return value[:2_000] if isinstance(value, str) and value else None


def _dicts(value: Any) -> list[dict[str, Any]]:
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def render_openvex(claims: Iterable[Claim], author: str, at: str) -> dict[str, Any]:
    """An OpenVEX 0.2.0 document of claims that name a package; those of status `unknown` say nothing in VEX."""
    statements = [_statement(one) for one in claims if one.name and one.status in _TO_OPENVEX]
    body = claim_key(at, *(one["vulnerability"]["name"] for one in statements))
    return {
        "@context": "https://openvex.dev/ns/v0.2.0",
        "@id": f"https://openvex.dev/docs/public/vex-{body}",
        "author": author,
        "timestamp": at,
        "version": 1,
        "statements": statements,
    }


def _statement(claim: Claim) -> dict[str, Any]:
    status = _TO_OPENVEX[AdvisoryStatus(claim.status)]
    notes: Sequence[str] = [
        text for text in ("Disputed." if claim.status == "disputed" else "", claim.note or "") if text
    ]
    statement: dict[str, Any] = {
        "vulnerability": {"name": claim.advisory},
        "products": [{"@id": _product(claim)}],
        "status": status,
    }
    if claim.stated:
        statement["timestamp"] = claim.stated
    if status == "affected":
        statement["action_statement"] = " ".join(notes) or "Do not use it; take a version that is not affected."
    elif notes:
        statement["impact_statement"] = " ".join(notes)
    if status == "not_affected":
        if claim.justification:
            statement["justification"] = claim.justification
        elif not notes:
            statement["impact_statement"] = "Cleared by the curators of this server."
    return statement


def _product(claim: Claim) -> str:
    purl = str(Package("conda", claim.name or ""))
    version = (claim.version or "").removeprefix("==")
    is_one = version and not any(sign in version for sign in "<>=!~*,| ")
    qualifiers = [f"build={claim.build}"] if claim.build and "*" not in claim.build else []
    qualifiers += [f"checksum=sha256:{claim.sha256}"] if claim.sha256 else []
    return purl + (f"@{version}" if is_one else "") + (f"?{'&'.join(qualifiers)}" if qualifiers else "")
