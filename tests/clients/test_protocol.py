"""The channel protocol, checked from outside by a tool that knows nothing of this server, while others work on it."""

import base64
import itertools
import subprocess
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.live import LiveServer, environment
from tests.packages import package
from tests.upstreams import FolderServer, write_channel


@pytest.fixture(scope="module", params=[1, 2], ids=["1 worker", "2 workers"])
def busy(
    request: pytest.FixtureRequest, shared: Path, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[LiveServer]:
    """A server with a channel of every kind, one of them being synced and one uploaded to all the time."""
    root = tmp_path_factory.mktemp("upstream")
    subprocess.run(
        [sys.executable, str(shared / "tools" / "make_installable_channel.py"), str(root), "--spec", "pandas"],
        check=True,
        capture_output=True,
        env=environment(),
    )
    data = tmp_path_factory.mktemp("data")
    with FolderServer(root) as upstream, LiveServer(data, upstream=upstream.url, workers=request.param) as server:
        files = sorted(root.glob("*/*.conda"))
        server.json("upload", "approved-conda", *files[:12])
        server.json(
            "channel", "create", "team/all", "--kind", "virtual", "--privacy", "public",
            "--member", "approved-conda", "--member", "unapproved-conda",
        )  # fmt: skip
        server.json("channel", "create", "busy", "--kind", "hosted")
        with _work_on(server, tmp_path_factory.mktemp("files")):
            yield server


class _work_on:  # noqa: N801 - reads as what it does
    """Uploads to another channel, and syncs this one, until the end."""

    def __init__(self, server: LiveServer, folder: Path) -> None:
        self._server = server
        self._folder = folder
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._work)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join()

    def _work(self) -> None:
        for number in itertools.count():
            filename, body = package("busy", f"1.{number}")
            (self._folder / filename).write_bytes(body)
            self._server.json("upload", "busy", self._folder / filename)
            self._server.json("mirror", "sync", "unapproved-conda", "--subdir", "linux-64")
            if self._stop.is_set():
                return


def check(shared: Path, url: str, *more: str) -> None:
    done = subprocess.run(
        [sys.executable, str(shared / "tools" / "check_channel.py"), url, *more],
        capture_output=True,
        check=False,
        env=environment(),
        text=True,
    )
    failures = [line for line in done.stdout.splitlines() if line.startswith("FAIL")]
    assert done.returncode == 0, "\n".join(failures) + done.stderr
    assert " 0 failed" in done.stdout


@pytest.mark.parametrize(
    "path",
    [
        "conda/unapproved-conda",
        "conda/approved-conda",
        "conda/team/all",
        "conda/team/label/all",
        "conda/unapproved-conda/label/main",
        "get/approved-conda",
        "api/repo/unapproved-conda",
        "t/{token}/conda/unapproved-conda",
        "conda/t/{token}/unapproved-conda",
        "t/{token}/get/team/all",
    ],
)
def test_every_kind_alias_and_token_place_speaks_the_protocol(busy: LiveServer, shared: Path, path: str) -> None:
    check(shared, f"{busy.url}/{path.format(token=busy.token)}")


@pytest.mark.parametrize("scheme", ["Bearer", "Basic"])
def test_a_private_channel_speaks_the_protocol_to_whoever_may_read_it(
    busy: LiveServer, shared: Path, tmp_path: Path, scheme: str
) -> None:
    name = f"private-{scheme.lower()}"
    busy.json("channel", "create", name, "--kind", "hosted")
    write_channel(tmp_path, [("noarch", *package("one")), ("linux-64", *package("two", subdir="linux-64"))])
    busy.json("upload", name, *sorted(tmp_path.glob("*/*.conda")))
    basic = base64.b64encode(f"api:{busy.token}".encode()).decode()
    credentials = {"Bearer": busy.token, "Basic": basic}[scheme]
    check(shared, f"{busy.url}/conda/{name}", "--header", f"Authorization: {scheme} {credentials}")
