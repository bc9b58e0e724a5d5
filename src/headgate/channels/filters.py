"""What of a mirror is passed on: the settings, as an administrator gives them."""

from datetime import date
from typing import Any, Literal

import msgspec

from headgate.conda.specs import parse_spec
from headgate.kernel.errors import Invalid

Status = Literal["reported", "active", "mitigated", "cleared", "disputed", "unknown"]

_WAITING_FOR_ADVISORIES = (
    "cve_score_threshold", "cve_score_exceptions", "exclude_non_curated_cve", "exclude_cve_statuses"
)  # fmt: skip


class FilterSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which records of a mirror are passed on; all of them unless set."""

    only_specs: tuple[str, ...] = ()
    """Match specs: nothing else passes, but for dependencies."""
    include_dependencies: bool = False
    """With `only_specs`: what a solver needs to install each of them passes as well."""
    exclude_specs: tuple[str, ...] = ()
    """Match specs that do not pass."""
    include_specs: tuple[str, ...] = ()
    """Match specs that pass although `exclude_specs` names them."""
    include_licenses: tuple[str, ...] = ()
    """Licences or families: nothing else passes."""
    exclude_licenses: tuple[str, ...] = ()
    """Licences or families that do not pass."""
    date_from: date | None = None
    """Built on this day (UTC) or later."""
    date_to: date | None = None
    """Built on this day (UTC) or earlier."""
    dedupe_conda_legacy: bool = False
    """A `.tar.bz2` does not pass beside the same package as `.conda`."""
    only_signed: bool = False
    """Only what carries a signature or an attestation."""
    cve_score_threshold: float | None = None
    cve_score_exceptions: tuple[str, ...] = ()
    exclude_non_curated_cve: bool = False
    exclude_cve_statuses: tuple[Status, ...] = ()

    @property
    def key(self) -> str | None:
        """A text that is the same for the same filters; None when everything passes."""
        given = {name: value for name, value in msgspec.to_builtins(self).items() if value != _BARE[name]}
        return msgspec.json.encode(given, order="sorted").decode() if given else None

    def check(self) -> None:
        """Raises Invalid `filter-invalid`, `filter-unsupported`, `match-spec-invalid`."""
        waiting = [name for name in _WAITING_FOR_ADVISORIES if getattr(self, name) != getattr(NO_FILTERS, name)]
        if waiting:
            raise Invalid(
                "filter-unsupported", f"{waiting[0]} needs advisories, and this server does not have them yet."
            )
        if self.only_specs and (self.include_specs or self.exclude_specs):
            raise Invalid("filter-invalid", "only_specs goes together with neither include_specs nor exclude_specs.")
        if self.include_dependencies and not self.only_specs:
            raise Invalid("filter-invalid", "include_dependencies says something about only_specs; give some.")
        if self.include_licenses and self.exclude_licenses:
            raise Invalid("filter-invalid", "Give either include_licenses or exclude_licenses.")
        if self.date_from and self.date_to and self.date_from > self.date_to:
            raise Invalid("filter-invalid", f"date_from {self.date_from} is later than date_to {self.date_to}.")
        for text in (*self.only_specs, *self.include_specs, *self.exclude_specs):
            parse_spec(text)


NO_FILTERS = FilterSettings()
_BARE: dict[str, Any] = msgspec.to_builtins(NO_FILTERS)
