"""A real server in its own processes, for tests that need one."""

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from http.client import HTTPConnection, HTTPException
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from unittest import mock

from typer.testing import CliRunner

from headgate.cli.main import app

ROOT = Path(__file__).resolve().parents[1]
PASSWORD = "correct-horse-battery"


def free_port() -> int:
    """A port that nobody listens on just now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def environment(**more: str) -> dict[str, str]:
    """This process's variables without any of Headgate's, and `more`."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("HEADGATE_", "PROMETHEUS_"))}
    paths = os.pathsep.join(filter(None, [str(ROOT / "src"), os.environ.get("PYTHONPATH")]))
    return kept | {"PYTHONPATH": paths, "NO_COLOR": "1", "COLUMNS": "120"} | more


def headgate(
    *words: str | Path, env: Mapping[str, str] | None = None, stdin: str | None = None, is_apart: bool = False
) -> subprocess.CompletedProcess[str]:
    """Run a command of ours to its end: in this process where it can, for a new one takes its time; or apart from it."""
    variables = dict(env or environment())
    if is_apart or not _can_run_here():
        return _run_apart(words, variables, stdin)
    with mock.patch.dict(os.environ, variables, clear=True):
        done = CliRunner().invoke(app, [str(word) for word in words], prog_name="headgate", input=stdin)
    if done.exception is not None and not isinstance(done.exception, SystemExit):
        raise done.exception
    return subprocess.CompletedProcess(words, done.exit_code, done.stdout, done.stderr)


def _run_apart(
    words: Sequence[str | Path], variables: dict[str, str], stdin: str | None
) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "headgate", *map(str, words)],
        capture_output=True,
        check=False,
        env=variables,
        stdin=subprocess.DEVNULL if stdin is None else None,
        input=stdin,
        text=True,
        timeout=90,
    )


def _can_run_here() -> bool:
    """Commands change what belongs to the whole process, and need an event loop of their own."""
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return threading.current_thread() is threading.main_thread()
    return False


class LiveServer:
    """`headgate serve` on a data folder and a free port.

        with LiveServer(tmp_path / "data", upstream=folder.as_uri()) as server:
            server.run("channel", "list")

    It can be stopped or killed, and started again on the same folder and port. `out` and `err` are its log files.
    """

    def __init__(
        self, data: Path, *, upstream: str | None = None, workers: int = 1, env: Mapping[str, str] | None = None
    ) -> None:
        self.data = data
        self.port = free_port()
        self.url = f"http://127.0.0.1:{self.port}"
        self.out, self.err = data.with_name(f"{data.name}.out"), data.with_name(f"{data.name}.err")
        self.process: subprocess.Popen[bytes] | None = None
        self._options = ["--port", str(self.port), "--workers", str(workers)]
        self._options += ["--upstream", upstream] if upstream else []
        self._variables = {"HEADGATE_ADMIN_PASSWORD": PASSWORD, **(env or {})}
        self._token: str | None = None

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self.process is not None:
            self.stop()

    @property
    def token(self) -> str:
        """A token of the administrator that may do everything."""
        if self._token is None:
            words = ("token", "create", "--name", "tests", "--data", self.data, "--quiet")
            made = headgate(*words, env=environment(**self._variables))
            assert made.returncode == 0, made.stderr
            self._token = made.stdout.strip()
        return self._token

    @property
    def env(self) -> dict[str, str]:
        """What a command needs to talk to this server as the administrator."""
        return environment(HEADGATE_URL=self.url, HEADGATE_TOKEN=self.token)

    def run(self, *words: str | Path, env: Mapping[str, str] | None = None) -> subprocess.CompletedProcess[str]:
        """Run a command of ours against this server."""
        return headgate(*words, env=env or self.env)

    def json(self, *words: str | Path) -> Any:
        """The document that a command prints with `--json`; it must succeed."""
        done = self.run(*words, "--json")
        assert done.returncode == 0, done.stdout + done.stderr
        return json.loads(done.stdout)

    def start(self, timeout: float = 60) -> None:
        """Start, and return when it is ready."""
        assert self.process is None, "it runs already"
        with self.out.open("ab") as out, self.err.open("ab") as err:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "headgate", "serve", "--data", str(self.data), *self._options],
                stdin=subprocess.DEVNULL,
                stdout=out,
                stderr=err,
                env=environment(**self._variables),
            )
        give_up_at = time.monotonic() + timeout
        while not self.is_ready():
            if self.process.poll() is not None or time.monotonic() > give_up_at:
                self.kill()
                raise AssertionError(f"the server did not start:\n{self.out.read_text()}{self.err.read_text()}")
            time.sleep(0.05)

    def is_ready(self) -> bool:
        """True when it answers."""
        connection = HTTPConnection("127.0.0.1", self.port, timeout=5)
        try:
            connection.request("GET", "/health/ready")
            return connection.getresponse().status == 200
        except (OSError, HTTPException):
            return False
        finally:
            connection.close()

    def stop(self, timeout: float = 60) -> int:
        """SIGTERM; the exit code."""
        process, self.process = self.process, None
        assert process is not None, "it does not run"
        process.send_signal(signal.SIGTERM)
        try:
            return process.wait(timeout)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise

    def kill(self) -> None:
        """kill -9 of the server's main process; its children follow by themselves."""
        process, self.process = self.process, None
        assert process is not None, "it does not run"
        process.kill()
        process.wait()

    def children(self) -> list[int]:
        """Process ids of the web workers and the jobs worker."""
        assert self.process is not None, "it does not run"
        pid = self.process.pid
        found = Path(f"/proc/{pid}/task").glob("*/children")
        return sorted(int(word) for path in found for word in path.read_text().split())
