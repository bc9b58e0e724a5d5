"""When the files of a mirror come here: the settings, as an administrator gives them."""

from enum import StrEnum
from typing import Annotated

import msgspec


class Mode(StrEnum):
    """What happens with the files that a mirror lists. Stored."""

    PASSIVE = "passive"
    """A file is fetched when it is first asked for."""
    ACTIVE = "active"
    """Every file is fetched after the sync that lists it."""
    REDIRECT = "redirect"
    """Files stay upstream, and clients are sent there."""


class FetchSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The mode, and what a passive mirror fetches ahead all the same."""

    mode: Mode = Mode.PASSIVE
    newest: Annotated[int, msgspec.Meta(ge=0, le=1000)] = 0
    """Passive: so many of the newest versions of each package; 0: none."""
    in_use: bool = False
    """Passive: `newest` (1 unless set) of those packages only that a file is here of already."""

    @property
    def is_ahead(self) -> bool:
        """Whether any file is fetched before it is asked for."""
        return self.mode is Mode.ACTIVE or (self.mode is Mode.PASSIVE and (self.newest > 0 or self.in_use))
