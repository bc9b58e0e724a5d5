"""What pixi's engine does with a passive mirror, a hosted and a private channel."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from urllib.error import HTTPError
from urllib.request import urlopen

import pytest

from tests.clients.conftest import Rattler
from tests.live import LiveServer, environment
from tests.packages import package
from tests.upstreams import FolderServer, write_channel

SPECS = ["app"]


def small_channel(root: Path) -> None:
    made = [
        ("noarch", *package("app", depends=["lib >=2", "plain"], noarch="generic")),
        ("noarch", *package("plain", extension=".tar.bz2", noarch="generic")),
        ("linux-64", *package("lib", "1.0", subdir="linux-64")),
        ("linux-64", *package("lib", "2.0", subdir="linux-64")),
        ("linux-64", *package("never-asked-for", subdir="linux-64")),
    ]
    write_channel(root, made)
    for subdir in ("noarch", "linux-64"):
        # The index tells dependencies as the packages do.
        path = root / subdir / "repodata.json"
        document = json.loads(path.read_bytes())
        if "app-1.0-0.conda" in document["packages.conda"]:
            document["packages.conda"]["app-1.0-0.conda"]["depends"] = ["lib >=2", "plain"]
        path.write_text(json.dumps(document))
        (path.with_suffix(".json.zst")).unlink()


@pytest.fixture(scope="module")
def mirror(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    root = tmp_path_factory.mktemp("upstream")
    small_channel(root)
    with FolderServer(root) as upstream, LiveServer(tmp_path_factory.mktemp("data"), upstream=upstream.url) as server:
        yield server


@pytest.mark.parametrize(("sharded", "zstd"), [(True, True), (False, True), (False, False)])
def test_a_mirror_installs_in_every_index_form(mirror: LiveServer, rattler: Rattler, sharded: bool, zstd: bool) -> None:
    url = f"{mirror.url}/conda/unapproved-conda"
    installed = rattler.install(url, SPECS, sharded=sharded, zstd=zstd)
    assert installed == ["app-1.0-0.conda", "lib-2.0-0.conda", "plain-1.0-0.tar.bz2"]


@pytest.mark.parametrize("form", ["bearer", "basic", "conda token", "url token"])
def test_a_private_channel_installs_with_every_kind_of_credentials(
    mirror: LiveServer, rattler: Rattler, form: str
) -> None:
    mirror.json("channel", "set", "unapproved-conda", "--privacy", "private")
    try:
        token, host = mirror.token, "127.0.0.1"
        assert rattler.try_install(f"{mirror.url}/conda/unapproved-conda", SPECS).returncode == 1
        auth = {
            "bearer": {host: {"BearerToken": token}},
            "basic": {host: {"BasicHTTP": {"username": "api", "password": token}}},
            "conda token": {host: {"CondaToken": token}},
            "url token": {},
        }[form]
        path = f"/t/{token}/conda/unapproved-conda" if form == "url token" else "/conda/unapproved-conda"
        assert len(rattler.install(mirror.url + path, SPECS, auth=auth)) == 3
        assert token not in mirror.err.read_text() + mirror.out.read_text()
    finally:
        mirror.json("channel", "set", "unapproved-conda", "--privacy", "public")


def test_what_was_cached_installs_when_the_upstream_is_gone(tmp_path: Path) -> None:
    root = tmp_path / "upstream"
    small_channel(root)
    with FolderServer(root) as upstream:
        server = LiveServer(tmp_path / "data", upstream=upstream.url)
        server.start()
        url = f"{server.url}/conda/unapproved-conda"
        Rattler(tmp_path / "first").install(url, SPECS)
    try:
        assert len(Rattler(tmp_path / "second").install(url, SPECS)) == 3
        with pytest.raises(HTTPError) as refused:
            urlopen(f"{url}/linux-64/never-asked-for-1.0-0.conda")
        assert refused.value.code == 502
        problem = json.loads(refused.value.read())
        assert problem["code"] in {"upstream-unreachable", "upstream-resting"}  # the latter: it failed often before
        assert problem["detail"]
        assert urlopen(f"{url}/linux-64/repodata.json.zst").status == 200
    finally:
        server.stop()


def test_an_upload_is_installed_at_once_alone_and_through_a_virtual_channel(
    mirror: LiveServer, rattler: Rattler, tmp_path: Path
) -> None:
    filename, body = package("fresh", "3.1", noarch="generic")
    (tmp_path / filename).write_bytes(body)
    mirror.json("upload", "approved-conda", tmp_path / filename)
    assert rattler.install(f"{mirror.url}/conda/approved-conda", ["fresh"]) == [filename]
    mirror.json(
        "channel", "create", "all", "--kind", "virtual", "--privacy", "public",
        "--member", "approved-conda", "--member", "unapproved-conda",
    )  # fmt: skip
    both = Rattler(tmp_path / "other").install(f"{mirror.url}/conda/all", ["fresh", "app"])
    assert {"fresh-3.1-0.conda", "app-1.0-0.conda"} < set(both)


def test_pandas_requests_scipy_install_from_real_metadata(shared: Path, tmp_path: Path) -> None:
    root = tmp_path / "upstream"
    words = [sys.executable, str(shared / "tools" / "make_installable_channel.py"), str(root)]
    subprocess.run(words, check=True, capture_output=True, env=environment())
    specs = ["pandas", "requests", "scipy"]
    with FolderServer(root) as upstream:
        server = LiveServer(tmp_path / "data", upstream=upstream.url, workers=2)
        server.start()
        url = f"{server.url}/conda/unapproved-conda"
        forms = [{"sharded": True}, {"sharded": False}, {"sharded": False, "zstd": False}]
        counts = {len(Rattler(tmp_path / f"c{n}").install(url, specs, **form)) for n, form in enumerate(forms)}
    try:
        counts.add(len(Rattler(tmp_path / "alone").install(url, specs)))
        assert len(counts) == 1
        assert counts.pop() > 30
    finally:
        server.stop()
