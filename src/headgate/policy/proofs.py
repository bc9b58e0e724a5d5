"""What is known of who vouches for a file: the outcome of a check of its signature or attestation."""

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Any


class ProofState(StrEnum):
    """What a check came to. Stored: these words never change."""

    VERIFIED = "verified"
    INVALID = "invalid"
    ABSENT = "absent"
    """There is nothing to check."""
    NOT_CHECKED = "not-checked"
    """There is something, and nobody here has looked at it."""


@dataclass(frozen=True, slots=True)
class Proof:
    """The outcome of a check.

    `reason` says why, unless it is verified or absent. `publishers`: the identities of certificates, or the public keys
    (hexadecimal), that vouch for it. `issuers`: who knows these identities. `channels`: those that it was made for.
    """

    state: ProofState
    reason: str = ""
    publishers: tuple[str, ...] = ()
    issuers: tuple[str, ...] = ()
    channels: tuple[str, ...] = ()

    @property
    def is_verified(self) -> bool:
        """True when somebody vouches for the file."""
        return self.state is ProofState.VERIFIED

    def as_json(self) -> dict[str, Any]:
        """What the API shows."""
        return {
            "state": self.state,
            "reason": self.reason,
            "publishers": list(self.publishers),
            "issuers": list(self.issuers),
            "channels": list(self.channels),
        }


ABSENT = Proof(ProofState.ABSENT)
Proofs = Mapping[str, Proof]
"""By file name; what is left out is absent."""
