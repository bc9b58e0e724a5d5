"""Real proxies for tests: squid with users, and mitmproxy, which ends TLS."""

import os
import shutil
import socket
import subprocess
import tempfile
from collections.abc import Mapping
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest

from tests.live import free_port
from tests.waiting import eventually

_PATIENCE_S = 30.0


def find_program(name: str, variable: str | None = None) -> str:
    """The path of a program; skips without it, except in CI, where it must be there."""
    found = (os.environ.get(variable) if variable else None) or shutil.which(
        name, path=f"{os.environ['PATH']}:/usr/sbin"
    )
    if found is None:
        assert not os.environ.get("CI"), f"{name} must be there in CI"
        pytest.skip(f"{name} is not installed")
    return found


def listens(port: int) -> bool:
    """Whether somebody listens on a port of loopback."""
    with socket.socket() as probe:
        probe.settimeout(1)
        return probe.connect_ex(("127.0.0.1", port)) == 0


class _Process:
    """A program in the foreground of its own process, from `with` to its end."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.port = free_port()
        folder.mkdir(parents=True)
        self._process: subprocess.Popen[bytes] | None = None

    def command(self) -> list[str]:
        raise NotImplementedError

    def __enter__(self) -> Self:
        with (self.folder / "output").open("wb") as output:
            self._process = subprocess.Popen(
                self.command(), stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=self.folder
            )
        if not eventually(lambda: listens(self.port), _PATIENCE_S):
            self.__exit__(None, None, None)
            raise AssertionError((self.folder / "output").read_text())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process is not None
        self._process.terminate()
        try:
            self._process.wait(_PATIENCE_S)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()


class Squid(_Process):
    """A squid that lets in who has a password.

    Started by root it works as a user of its own, who may not enter pytest's folders: so it has one beside them.
    """

    def __init__(self, users: Mapping[str, str]) -> None:
        self._own = tempfile.TemporaryDirectory(prefix="squid-")
        folder = Path(self._own.name) / "squid"
        super().__init__(folder)
        self._program = find_program("squid")
        helper = next(
            (
                path
                for path in ("/usr/lib/squid/basic_ncsa_auth", "/usr/lib64/squid/basic_ncsa_auth")
                if Path(path).exists()
            ),
            None,
        )
        if helper is None:
            pytest.skip("squid's basic_ncsa_auth is not installed")
        passwords = folder / "passwords"
        passwords.write_text("".join(f"{user}:{_hashed(password)}\n" for user, password in users.items()))
        self._log = folder / "access.log"
        self._config = folder / "squid.conf"
        self._config.write_text(
            f"http_port 127.0.0.1:{self.port}\n"
            f"auth_param basic program {helper} {passwords}\n"
            "auth_param basic realm proxy\n"
            "acl signed_in proxy_auth REQUIRED\n"
            "http_access allow signed_in\n"
            "http_access deny all\n"
            "cache deny all\n"
            f"access_log stdio:{self._log} squid\n"
            f"cache_log {folder}/cache.log\n"
            f"pid_filename {folder}/squid.pid\n"
            f"coredump_dir {folder}\n"
            "logfile_rotate 0\n"
            "buffered_logs off\n"
            "shutdown_lifetime 0 seconds\n"
            "netdb_filename none\n"
            "pinger_enable off\n"
            "visible_hostname squid.test\n"
        )
        for path in (folder.parent, folder, *folder.iterdir()):
            path.chmod(0o777)

    def command(self) -> list[str]:
        return [self._program, "-N", "-f", str(self._config)]

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        self._own.cleanup()

    def url(self, user: str, password: str) -> str:
        """The proxy's URL for a user."""
        return f"http://{user}:{password}@127.0.0.1:{self.port}"

    def fetched(self) -> list[tuple[str, str, str]]:
        """(user, status, URL) of every request, the first first."""
        lines = self._log.read_text().splitlines() if self._log.exists() else []
        words = [line.split() for line in lines]
        return [(one[7], one[3], one[6]) for one in words]


class Mitmproxy(_Process):
    """A proxy that ends TLS with certificates of a CA of its own; it trusts the upstreams of `trusted` (PEM)."""

    def __init__(self, folder: Path, trusted: Path) -> None:
        super().__init__(folder)
        self._program = find_program("mitmdump", "HEADGATE_MITMDUMP")
        self._trusted = trusted

    def command(self) -> list[str]:
        return [
            self._program, "--listen-host", "127.0.0.1", "--listen-port", str(self.port),
            "--set", f"confdir={self.folder}", "--set", f"ssl_verify_upstream_trusted_ca={self._trusted}",
        ]  # fmt: skip

    @property
    def url(self) -> str:
        """The proxy's URL."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def authority(self) -> Path:
        """The certificate of its CA."""
        return self.folder / "mitmproxy-ca-cert.pem"


def _hashed(password: str) -> str:
    done = subprocess.run(
        [find_program("openssl"), "passwd", "-apr1", "-stdin"],
        input=password,
        capture_output=True,
        check=True,
        text=True,
    )
    return done.stdout.strip()
