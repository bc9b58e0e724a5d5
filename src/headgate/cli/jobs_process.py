"""The process that runs jobs, kept alive."""

import subprocess
import sys
import threading
import time
from pathlib import Path
from types import TracebackType
from typing import Self

import structlog

_LONG_S = 60.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.5, 30.0
_PATIENCE_S = 15.0

log = structlog.get_logger(__name__)


class JobsProcess:
    """`python -m headgate.worker DATA`, from `with` to its end.

    It is started anew when it dies, after a pause that doubles while it dies young. Its standard input is a pipe that
    only this process holds: it ends when that closes.
    """

    def __init__(self, root: Path) -> None:
        self._command = [sys.executable, "-m", "headgate.worker", str(root)]
        self._lock = threading.Lock()
        self._stopping = threading.Event()
        self._process = self._spawn()
        self._watching = threading.Thread(target=self._watch, daemon=True)

    def __enter__(self) -> Self:
        self._watching.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with self._lock:
            self._stopping.set()
            self._process.terminate()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._watching.join()

    def _spawn(self) -> subprocess.Popen[bytes]:
        # In a group of its own: a Ctrl-C in the terminal is ours to pass on, after the web workers have drained.
        return subprocess.Popen(self._command, stdin=subprocess.PIPE, process_group=0)  # noqa: S603 - our own module

    def _watch(self) -> None:
        pause_s = _FIRST_PAUSE_S
        while True:
            began = time.monotonic()
            status = self._process.wait()
            if self._stopping.is_set():
                return
            lived_s = time.monotonic() - began
            pause_s = _FIRST_PAUSE_S if lived_s > _LONG_S else min(pause_s * 2, _LONGEST_PAUSE_S)
            log.error("jobs_worker_died", status=status, lived_seconds=round(lived_s, 1), again_in_seconds=pause_s)
            if self._stopping.wait(pause_s):
                return
            with self._lock:
                if not self._stopping.is_set():
                    self._process = self._spawn()
