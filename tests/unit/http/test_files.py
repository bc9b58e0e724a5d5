import os
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from headgate.http.client import Outgoing
from headgate.kernel.errors import Invalid, Refused, Unavailable


@pytest.fixture
def root(tmp_path: Path) -> Path:
    folder = tmp_path / "my channels"
    folder.mkdir()
    (folder / "x.json").write_bytes(b"0123456789")
    (tmp_path / "secret").write_bytes(b"secret")
    return folder


@pytest.fixture
async def outgoing(root: Path) -> AsyncIterator[Outgoing]:
    client = Outgoing(file_roots=[root])
    yield client
    await client.close()


async def ask(outgoing: Outgoing, url: str, method: str = "GET", **headers: str) -> tuple[int, bytes]:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    async with outgoing.open(url, headers=named, method=method) as answer:
        return answer.status, await answer.read(100)


async def test_file_is_answered_with_length_and_etag(outgoing: Outgoing, root: Path) -> None:
    async with outgoing.open((root / "x.json").as_uri()) as answer:
        found = (root / "x.json").stat()
        assert answer.headers["etag"] == f'"{found.st_mtime_ns}-10"'
        assert answer.headers["Content-Length"] == "10"
        assert [piece async for piece in answer.chunks(4)] == [b"0123", b"4567", b"89"]


async def test_known_etag_is_not_modified(outgoing: Outgoing, root: Path) -> None:
    url = (root / "x.json").as_uri()
    async with outgoing.open(url) as answer:
        etag = answer.headers["ETag"]
    assert await ask(outgoing, url, If_None_Match=f'"old", {etag}') == (304, b"")
    assert await ask(outgoing, url, If_None_Match='"old"') == (200, b"0123456789")
    assert await ask(outgoing, url, Range="bytes=0-1", If_Range='"old"') == (200, b"0123456789")
    assert await ask(outgoing, url, Range="bytes=0-1", If_Range=etag) == (206, b"01")


@pytest.mark.parametrize(
    ("asked", "status", "body"),
    [
        ("bytes=2-4", 206, b"234"),
        ("bytes=7-", 206, b"789"),
        ("bytes=-3", 206, b"789"),
        ("bytes=-30", 206, b"0123456789"),
        ("bytes=8-99", 206, b"89"),
        ("bytes=10-", 416, b""),
        ("bytes=5-4", 416, b""),
        ("bytes=-0", 416, b""),
        ("bytes=-", 200, b"0123456789"),
        ("bytes=0-1,3-4", 200, b"0123456789"),
        ("lines=1-2", 200, b"0123456789"),
    ],
)
async def test_ranges(outgoing: Outgoing, root: Path, asked: str, status: int, body: bytes) -> None:
    assert await ask(outgoing, (root / "x.json").as_uri(), Range=asked) == (status, body)


async def test_head_sends_no_body(outgoing: Outgoing, root: Path) -> None:
    async with outgoing.open((root / "x.json").as_uri(), method="HEAD") as answer:
        assert (answer.status, answer.headers["content-length"]) == (200, "10")
        assert await answer.read(100) == b""


async def test_what_is_no_file_is_absent(outgoing: Outgoing, root: Path) -> None:
    os.mkfifo(root / "pipe")
    (root / "loop").symlink_to(root / "loop")
    for name in ("nothing", "pipe", "", "x.json/below", "loop"):
        assert await ask(outgoing, f"{root.as_uri()}/{name}") == (404, b"")


async def test_links_inside_the_root_are_followed(outgoing: Outgoing, root: Path) -> None:
    (root / "link").symlink_to("x.json")
    assert await ask(outgoing, f"{root.as_uri()}/link") == (200, b"0123456789")


@pytest.mark.parametrize("tail", ["/../secret", "/%2e%2e/secret", "/link", "/folder/secret", "-evil/x", "/../nothing"])
async def test_what_leaves_the_root_is_refused_whether_it_exists_or_not(
    outgoing: Outgoing, root: Path, tail: str
) -> None:
    (root / "link").symlink_to(root.parent / "secret")
    (root / "folder").symlink_to(root.parent)
    with pytest.raises(Refused) as raised:
        await ask(outgoing, root.as_uri() + tail)
    assert raised.value.code == "file-root"


async def test_without_roots_no_file_is_read(root: Path) -> None:
    with pytest.raises(Refused):
        await ask(Outgoing(), (root / "x.json").as_uri())


async def test_a_root_may_itself_be_a_link(root: Path) -> None:
    link = root.parent / "link"
    link.symlink_to(root)
    assert await ask(Outgoing(file_roots=[link]), f"{link.as_uri()}/x.json") == (200, b"0123456789")


@pytest.mark.parametrize("url", ["file://host/srv/x", "file:relative", "file:", "file:///a%00b", "file://[", "FILE://"])
async def test_what_names_no_file_is_invalid(outgoing: Outgoing, url: str) -> None:
    with pytest.raises(Invalid) as raised:
        await ask(outgoing, url)
    assert raised.value.code == "upstream-url"


async def test_file_that_shrinks_while_it_is_read_is_cut(outgoing: Outgoing, root: Path) -> None:
    async with outgoing.open((root / "x.json").as_uri()) as answer:
        os.truncate(root / "x.json", 4)
        with pytest.raises(Unavailable) as raised:
            await answer.read(100)
    assert raised.value.code == "upstream-cut"
