"""What of a mirror's upstream is checked, and whom it has to be signed by: the settings, as an administrator gives them."""

from enum import StrEnum

import msgspec

from headgate.conda.content_trust import parse_root
from headgate.kernel.errors import Invalid


class Check(StrEnum):
    """What happens with signatures, or attestations. Stored."""

    OFF = "off"
    """Nobody looks at them."""
    REPORT = "report"
    """They are checked, and what came of it is kept for policies and people."""
    REQUIRE = "require"
    """What has none that is good is not passed on."""


class TrustSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How signatures of records (conda content trust) and attestations of files (CEP 27) are treated."""

    content_trust: Check = Check.OFF
    root: str = ""
    """The root of content trust to begin with: a root.json as text. Later ones are found from there."""
    metadata_url: str = ""
    """Where `2.root.json` and `key_mgr.json` are; unless given, at the mirror's own URL."""
    accept_expired: bool = False
    """Roots and key managers count beyond their end: conda itself does not look at it."""
    attestations: Check = Check.REPORT

    def check(self) -> None:
        """Raises Invalid `content-trust-invalid` or `setting-invalid`."""
        if self.root:
            parse_root(self.root.encode())
        elif self.content_trust is not Check.OFF:
            raise Invalid("content-trust-invalid", "content_trust needs a root to begin with; give its root.json.")
        if self.metadata_url and not self.metadata_url.startswith(("http://", "https://", "file:///")):
            raise Invalid("setting-invalid", "metadata_url must be an http, https or file URL.")

    @property
    def is_signed(self) -> bool:
        """Whether signatures are verified."""
        return self.content_trust is not Check.OFF

    @property
    def is_attested(self) -> bool:
        """Whether attestations are verified."""
        return self.attestations is not Check.OFF

    @property
    def demands(self) -> frozenset[str]:
        """`signature` and `attestation`, if what has none is not passed on."""
        wanted = {"signature": self.content_trust, "attestation": self.attestations}
        return frozenset(noun for noun, check in wanted.items() if check is Check.REQUIRE)
