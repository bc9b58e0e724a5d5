"""The web workers, kept alive."""

import os
import time
from typing import Any, Final

import structlog
from granian.server.mp import MPServer

_LONG_S: Final = 60.0
_FIRST_PAUSE_S: Final = 0.5
_LONGEST_PAUSE_S: Final = 30.0
_POLL_S: Final = 0.1

log = structlog.get_logger(__name__)


class WebProcesses(MPServer):
    """granian's workers, started anew however often they die, after a pause that doubles while they die young.

    granian itself ends the server when a worker dies twice within seconds: one request that costs two workers their lives
    would cost everybody the service.
    """

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        self._respawns: dict[int, tuple[float, float]] = {}
        self._server = os.getpid()

    def signal_handler_interrupt(self, *args: Any, **kwargs: Any) -> None:
        """Told to stop: the server, or a worker that has this handler from it until it has one of its own.

        Such a worker serves nobody yet. It would forget the signal, start, and be waited for until it is killed.
        """
        if os.getpid() != self._server:
            os._exit(0)
        super().signal_handler_interrupt(*args, **kwargs)  # type: ignore[no-untyped-call] # granian says no types here

    def _respawn_workers(self, workers: Any, spawn_target: Any, target_loader: Any, delay: float = 0) -> None:
        pauses = {number: self._pause_of(number) for number in workers}
        pause_s = max(pauses.values(), default=0.0)
        log.error("web_workers_died", workers=sorted(pauses), again_in_seconds=pause_s)
        if not self._rest(pause_s):
            return
        super()._respawn_workers(workers, spawn_target, target_loader, delay)
        self._respawns.update({number: (time.monotonic(), pause_s) for number in pauses})
        # What granian takes for a loop of crashes: a worker that is in here and dies.
        self.respawned_wrks.clear()

    def _pause_of(self, number: int) -> float:
        """How long to wait before this worker is started anew: at once when it had lived for long."""
        began, pause_s = self._respawns.get(number, (float("-inf"), 0.0))
        if time.monotonic() - began > _LONG_S:
            return 0.0
        return min(max(pause_s * 2, _FIRST_PAUSE_S), _LONGEST_PAUSE_S)

    def _rest(self, pause_s: float) -> bool:
        """Wait for the pause to pass; False when the server was told to stop meanwhile."""
        until = time.monotonic() + pause_s
        while time.monotonic() < until and not self.interrupt_signal:
            time.sleep(_POLL_S)
        return not self.interrupt_signal
