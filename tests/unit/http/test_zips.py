"""Members of zip archives as file:// URLs: found by exact name, read in place, and never more than they should be."""

import stat
import zipfile
from pathlib import Path

import pytest

from headgate.conda.names import Subdir
from headgate.http.client import Outgoing
from headgate.intake.upstream import DocumentListing, Missing, UpstreamReader
from headgate.kernel.errors import Invalid, Refused
from tests.packages import package
from tests.upstreams import write_channel


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    path = tmp_path / "drop" / "a channel.zip"
    path.parent.mkdir()
    with zipfile.ZipFile(path, "w") as target:
        target.writestr("noarch/plain.txt", b"plain " * 1000, zipfile.ZIP_STORED)
        target.writestr("noarch/packed.txt", b"packed " * 1000, zipfile.ZIP_DEFLATED)
        target.writestr("noarch/", b"")
        target.writestr("noarch/bomb", bytes(40 << 20), zipfile.ZIP_DEFLATED)
        target.writestr("../climbing", b"x")
        link = zipfile.ZipInfo("noarch/link")
        link.external_attr = (stat.S_IFLNK | 0o777) << 16
        target.writestr(link, "/etc/passwd")
    return path


@pytest.fixture
def outgoing(archive: Path) -> Outgoing:
    return Outgoing(file_roots=[archive.parent])


async def read(outgoing: Outgoing, url: str, **options: object) -> tuple[int, bytes]:
    async with outgoing.open(url, **options) as answer:  # type: ignore[arg-type]
        return answer.status, await answer.read(1 << 30)


@pytest.mark.parametrize(("name", "body"), [("plain.txt", b"plain " * 1000), ("packed.txt", b"packed " * 1000)])
async def test_a_member_is_read_like_a_file(outgoing: Outgoing, archive: Path, name: str, body: bytes) -> None:
    url = f"{archive.as_uri()}/noarch/{name}"
    assert await read(outgoing, url) == (200, body)
    async with outgoing.open(url) as answer:
        etag = answer.headers["ETag"]
        assert answer.headers["Content-Length"] == str(len(body))
    assert await read(outgoing, url, headers={"If-None-Match": etag}) == (304, b"")
    assert await read(outgoing, url, headers={"If-None-Match": '"other"'}) == (200, body)
    assert await read(outgoing, url, method="HEAD") == (200, b"")


@pytest.mark.parametrize("name", ["noarch/absent", "noarch", "noarch/", "climbing", "noarch/../../climbing"])
async def test_what_is_no_member_is_absent(outgoing: Outgoing, archive: Path, name: str) -> None:
    assert (await read(outgoing, f"{archive.as_uri()}/{name}"))[0] == 404


@pytest.mark.parametrize("name", ["noarch/link", "noarch/bomb"])
async def test_links_and_bombs_are_refused(outgoing: Outgoing, archive: Path, name: str) -> None:
    with pytest.raises(Invalid) as raised:
        await read(outgoing, f"{archive.as_uri()}/{name}")
    assert raised.value.code == "zip-invalid"


async def test_the_roots_bound_archives_too(archive: Path, tmp_path: Path) -> None:
    elsewhere = Outgoing(file_roots=[tmp_path / "other"])
    with pytest.raises(Refused) as raised:
        await read(elsewhere, f"{archive.as_uri()}/noarch/plain.txt")
    assert raised.value.code == "file-root"
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "in.zip").symlink_to(archive)
    with pytest.raises(Refused):
        await read(elsewhere, f"{(tmp_path / 'other').as_uri()}/in.zip/noarch/plain.txt")


async def test_a_damaged_member_is_an_error_not_bytes(outgoing: Outgoing, archive: Path) -> None:
    body = archive.read_bytes()
    archive.write_bytes(body.replace(b"plain plain", b"plain plaim", 1))
    with pytest.raises(Invalid) as raised:
        await read(outgoing, f"{archive.as_uri()}/noarch/plain.txt")
    assert raised.value.code == "zip-invalid"


async def test_what_is_no_archive_is_said_to_be_none(outgoing: Outgoing, archive: Path) -> None:
    archive.write_bytes(b"no zip at all")
    with pytest.raises(Invalid) as raised:
        await read(outgoing, f"{archive.as_uri()}/noarch/plain.txt")
    assert raised.value.code == "zip-invalid"


async def test_an_archive_that_is_replaced_is_read_anew(outgoing: Outgoing, archive: Path) -> None:
    url = f"{archive.as_uri()}/noarch/plain.txt"
    assert (await read(outgoing, url))[1].startswith(b"plain")
    with zipfile.ZipFile(archive.with_suffix(".new"), "w") as target:
        target.writestr("noarch/plain.txt", b"another")
    archive.with_suffix(".new").replace(archive)
    assert await read(outgoing, url) == (200, b"another")


async def test_a_channel_in_an_archive_is_an_upstream(tmp_path: Path) -> None:
    root = tmp_path / "tree"
    filename, body = package(noarch="generic")
    write_channel(root, [("noarch", filename, body)])
    with zipfile.ZipFile(tmp_path / "main.zip", "w", zipfile.ZIP_DEFLATED) as target:
        for path in root.rglob("*"):
            if path.is_file():
                target.write(path, f"main/{path.relative_to(root)}")
    outgoing = Outgoing(file_roots=[tmp_path])
    url = f"{(tmp_path / 'main.zip').as_uri()}/main"
    listing = await UpstreamReader(outgoing, url, Subdir("noarch"), tmp_path / "scratch").fetch(None)
    assert isinstance(listing, DocumentListing)
    assert [name async for name, _ in listing.iter_shards(["demo"])] == ["demo"]
    assert listing.base_url == f"{url}/noarch/"
    await listing.close()
    assert await read(outgoing, listing.base_url + filename) == (200, body)
    assert isinstance(
        await UpstreamReader(outgoing, url, Subdir("linux-64"), tmp_path / "scratch").fetch(None), Missing
    )
