"""What bounds the requests of one server: its processes keep within the limits together.

DATA/outgoing/
├── breakers.json        hosts that gave no answer (breakers.py)
├── <owner>.slots        requests at once (slots.py)
└── <owner>.bandwidth    bytes per second (bandwidth.py)

`owner` is the number of the mirror whose own limits they are, 0 for all others together. What cannot be opened (a command
was run as another user) is not shared, and a warning says so: no request fails for it.
"""

from collections.abc import Callable
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog

from headgate.http.bandwidth import Bandwidth
from headgate.http.breakers import Breakers
from headgate.http.slots import Slots

T = TypeVar("T")

log = structlog.get_logger(__name__)


class Limits:
    """Hands out what each owner's requests share; without a `folder` this process is alone."""

    def __init__(self, folder: Path | None = None, *, failures: int = 8, rest_s: float = 10) -> None:
        self._folder = folder
        if folder is not None:
            with suppress(OSError):
                folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        self.breakers = Breakers(failures, rest_s, self._path("breakers.json"))
        self._slots: dict[int, Slots] = {}
        self._bandwidths: dict[tuple[int, int], Bandwidth] = {}

    def slots(self, owner: int) -> Slots:
        """The slots of an owner."""
        if owner not in self._slots:
            self._slots[owner] = _shared(Slots, self._path(f"{owner}.slots"))
        return self._slots[owner]

    def bandwidth(self, owner: int, bytes_per_second: int | None) -> Bandwidth | None:
        """The bandwidth of an owner; None for one without bounds."""
        if bytes_per_second is None:
            return None
        key = (owner, bytes_per_second)
        if key not in self._bandwidths:
            self._bandwidths[key] = _shared(partial(Bandwidth, bytes_per_second), self._path(f"{owner}.bandwidth"))
        return self._bandwidths[key]

    def close(self) -> None:
        """Close every file."""
        for slots in self._slots.values():
            slots.close()
        for bandwidth in self._bandwidths.values():
            bandwidth.close()
        self._slots.clear()
        self._bandwidths.clear()

    def _path(self, name: str) -> Path | None:
        return None if self._folder is None else self._folder / name


def _shared(make: Callable[[Path | None], T], path: Path | None) -> T:
    try:
        return make(path)
    except OSError as error:
        log.warning("limit_not_shared", path=str(path), reason=error.strerror)
        return make(None)
