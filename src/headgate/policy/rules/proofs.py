"""Rules on who vouches for a package: signatures of its record (conda content trust), attestations of its bytes (CEP 27)."""

from collections.abc import Collection
from fnmatch import fnmatchcase

from headgate.policy.facts import Case
from headgate.policy.proofs import ABSENT, Proof, ProofState
from headgate.policy.rules.rule import Judgement, Rule, acts
from headgate.policy.terms import Terms


class SignatureRule(Rule):
    """Acts on records without a verified signature, or signed by none of `publishers` (public keys)."""

    kind = "signature"
    needs_proofs = True

    def __init__(self, terms: Terms) -> None:
        """Take `publishers`, in which `*` stands for anything; without it any key will do that the mirror trusts."""
        self._publishers = terms.words("publishers")

    def judge(self, case: Case) -> Judgement | None:
        """By the signatures that were verified here."""
        proof = case.facts.signatures.get(case.filename, ABSENT)
        return _unproven("signature", proof) or _strange("signed by", proof.publishers, self._publishers)


class AttestationRule(Rule):
    """Acts on files without a verified attestation, or attested by none of `publishers`, `issuers` or for none of `channels`."""

    kind = "attestation"
    needs_proofs = True

    def __init__(self, terms: Terms) -> None:
        """Take `publishers`, `issuers` and `channels`, in which `*` stands for anything; each is asked for if given."""
        self._publishers, self._issuers = terms.words("publishers"), terms.words("issuers")
        self._channels = terms.words("channels")

    def judge(self, case: Case) -> Judgement | None:
        """By the attestations that were verified here."""
        proof = case.facts.attestations.get(case.filename, ABSENT)
        return (
            _unproven("attestation", proof)
            or _strange("attested by", proof.publishers, self._publishers)
            or _strange("attested by an identity of", proof.issuers, self._issuers)
            or _strange("attested for channel", proof.channels, self._channels)
        )


def _unproven(noun: str, proof: Proof) -> Judgement | None:
    match proof.state:
        case ProofState.VERIFIED:
            return None
        case ProofState.ABSENT:
            return acts(f"It has no {noun}.", f"Use a package with a {noun}.".replace(" a a", " an a"))
        case ProofState.NOT_CHECKED:
            return acts(f"Its {noun} was not checked: {_ended(proof.reason)}", "Let it be checked.")
        case ProofState.INVALID:
            return acts(f"Its {noun} is not good: {_ended(proof.reason)}", "Use a package whose publisher can be told.")


def _strange(how: str, found: Collection[str], wanted: Collection[str]) -> Judgement | None:
    if not wanted or any(fnmatchcase(one, pattern) for one in found for pattern in wanted):
        return None
    who = ", ".join(sorted(found)) or "nobody who says a name"
    return acts(f"It is {how} {who}.", "Use a package of a publisher who is let in.")


def _ended(reason: str) -> str:
    return f"{reason.rstrip('. ')}."
