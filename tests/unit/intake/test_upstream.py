import asyncio
import bz2
import gzip
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
import zstandard
from aiohttp import web

from headgate.conda.names import Subdir
from headgate.conda.shards import Shard, encode_index, encode_shard
from headgate.http.client import Outgoing
from headgate.intake import listings
from headgate.intake.budget import MemoryBudget
from headgate.intake.listings import Form
from headgate.intake.upstream import (
    DocumentListing,
    Missing,
    ShardedListing,
    Unchanged,
    UpstreamReader,
    UpstreamState,
)
from headgate.kernel.errors import Invalid, Unavailable
from tests.unit.http.servers import Handler, content, serve

NOARCH = Subdir.parse("noarch")
PACK: dict[str, Callable[[bytes], bytes]] = {
    "repodata.json.zst": zstandard.compress,
    "repodata.json": bytes,
    "repodata.json.bz2": bz2.compress,
}
FORMS: dict[str, Form] = {"repodata.json.zst": "zst", "repodata.json": "json", "repodata.json.bz2": "bz2"}


@pytest.fixture
async def outgoing(tmp_path: Path) -> AsyncIterator[Outgoing]:
    client = Outgoing(file_roots=[tmp_path])
    yield client
    await client.close()


def record(name: str, version: str = "1") -> dict[str, Any]:
    return {"name": name, "version": version, "build": "0", "build_number": 0, "depends": [], "sha256": "ab" * 32}


def document(*names: str, **top: Any) -> bytes:
    packages = {f"{name}-1-0.tar.bz2": record(name) for name in names}
    return json.dumps({"info": {"subdir": "noarch"}, "packages": packages, "packages.conda": {}} | top).encode()


def shards_of(*names: str) -> dict[str, bytes]:
    """Digest in hex -> bytes, and the index under its file name."""
    files, digests = {}, {}
    for name in names:
        wire = record(name) | {"sha256": b"\xab" * 32}
        digests[name], data = encode_shard(Shard(packages={f"{name}-1-0.tar.bz2": wire}, conda={}, v3={}, removed=[]))
        files[f"shards/{digests[name].hex()}.msgpack.zst"] = data
    return files | {"repodata_shards.msgpack.zst": encode_index("noarch", digests, created_at=None)}


def routes(files: dict[str, bytes | Handler]) -> dict[str, Handler]:
    return {
        f"/c/noarch/{n}": content(f, 200, {"ETag": f'"{n}"'}) if isinstance(f, bytes) else f for n, f in files.items()
    }


def reader(outgoing: Outgoing, base: str, tmp_path: Path, **kwargs: Any) -> UpstreamReader:
    return UpstreamReader(outgoing, f"{base}/c/", NOARCH, tmp_path / "scratch", **kwargs)


async def fetch(
    outgoing: Outgoing, tmp_path: Path, files: dict[str, Any], previous: UpstreamState | None = None
) -> Any:
    async with serve(routes(files)) as base:
        return await reader(outgoing, base, tmp_path).fetch(previous)


async def read_all(listing: Any) -> dict[str, Shard]:
    return {name: shard async for name, shard in listing.iter_shards(list(listing.fingerprints))}


@pytest.mark.parametrize("name", list(FORMS))
async def test_each_document_form_is_read(outgoing: Outgoing, tmp_path: Path, name: str) -> None:
    listing = await fetch(outgoing, tmp_path, {name: PACK[name](document("a", "b"))})
    assert isinstance(listing, DocumentListing)
    assert (listing.state.form, listing.state.etag) == (FORMS[name], f'"{name}"')
    assert set(listing.fingerprints) == {"a", "b"}
    assert {len(value) for value in listing.fingerprints.values()} == {32}
    shards = await read_all(listing)
    assert shards["a"].packages["a-1-0.tar.bz2"]["sha256"] == b"\xab" * 32
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_better_forms_come_first(outgoing: Outgoing, tmp_path: Path) -> None:
    asked: list[str] = []

    async def absent(request: web.Request) -> web.StreamResponse:
        asked.append(request.path.rpartition("/")[2])
        raise web.HTTPNotFound

    names = ["repodata_shards.msgpack.zst", *FORMS]
    assert await fetch(outgoing, tmp_path, dict.fromkeys(names, absent)) == Missing()
    assert asked == names


@pytest.mark.parametrize("status", [404, 410, 403, 501])
async def test_what_is_not_there_falls_through(outgoing: Outgoing, tmp_path: Path, status: int) -> None:
    no = content(b"", status)
    files = {"repodata_shards.msgpack.zst": no, "repodata.json.zst": no, "repodata.json": document("a")}
    assert (await fetch(outgoing, tmp_path, files)).state.form == "json"


async def test_refusals_do_not_prove_that_a_subdir_is_gone(outgoing: Outgoing, tmp_path: Path) -> None:
    for status in (403, 501):
        with pytest.raises(Unavailable) as raised:
            await fetch(outgoing, tmp_path, dict.fromkeys(FORMS, content(b"", status)))
        assert raised.value.code == "upstream-status"
    shards_not_implemented = {"repodata_shards.msgpack.zst": content(b"", 501)}
    assert await fetch(outgoing, tmp_path, shards_not_implemented) == Missing()


@pytest.mark.parametrize("name", ["repodata_shards.msgpack.zst", *FORMS])
async def test_unchanged_when_the_file_of_last_time_says_so(outgoing: Outgoing, tmp_path: Path, name: str) -> None:
    async def conditional(request: web.Request) -> web.StreamResponse:
        assert request.headers["If-None-Match"] == '"1"'
        return web.Response(status=304)

    state = UpstreamState(form=FORMS.get(name, "shards"), etag='"1"', last_modified=None, info={})
    assert await fetch(outgoing, tmp_path, {name: conditional}, state) == Unchanged()


async def test_other_files_are_not_asked_conditionally(outgoing: Outgoing, tmp_path: Path) -> None:
    async def plain(request: web.Request) -> web.StreamResponse:
        assert "If-None-Match" not in request.headers
        return web.Response(body=zstandard.compress(document("a")))

    state = UpstreamState(form="json", etag='"1"', last_modified="Sat, 21 Nov 2026 00:00:00 GMT", info={})
    assert (await fetch(outgoing, tmp_path, {"repodata.json.zst": plain}, state)).state.form == "zst"


async def test_state_survives_encoding(outgoing: Outgoing, tmp_path: Path) -> None:
    state = (await fetch(outgoing, tmp_path, {"repodata.json": document("a")})).state
    assert msgspec.json.decode(msgspec.json.encode(state), type=UpstreamState) == state


async def test_transfer_encoding_around_any_form_is_undone(outgoing: Outgoing, tmp_path: Path) -> None:
    packed = content(gzip.compress(zstandard.compress(document("a"))), 200, {"Content-Encoding": "gzip"})
    assert set((await fetch(outgoing, tmp_path, {"repodata.json.zst": packed})).fingerprints) == {"a"}


async def test_document_that_the_server_unpacked_is_read(outgoing: Outgoing, tmp_path: Path) -> None:
    assert set((await fetch(outgoing, tmp_path, {"repodata.json.zst": document("a")})).fingerprints) == {"a"}


async def test_extras_and_info_are_kept_without_base_url(outgoing: Outgoing, tmp_path: Path) -> None:
    info = {"subdir": "noarch", "base_url": "../pool", "shards_base_url": "x", "repodata_revisions": {"v3": {}}}
    listing = await fetch(outgoing, tmp_path, {"repodata.json": document("a", info=info, signatures={"x": {}})})
    assert listing.info == listing.state.info == {"subdir": "noarch", "repodata_revisions": {"v3": {}}}
    assert bytes(listing.extras["signatures"]) == b'{"x": {}}'
    assert listing.base_url.endswith("/c/pool/")


@pytest.mark.parametrize(
    ("base_url", "expected"),
    [
        (None, "/c/noarch/"),
        ("", "/c/noarch/"),
        ("./", "/c/noarch/"),
        ("files", "/c/noarch/files/"),
        ("../pool/", "/c/pool/"),
        ("/pool", "/pool/"),
    ],
)
async def test_base_url_is_relative_to_the_document(
    outgoing: Outgoing, tmp_path: Path, base_url: str | None, expected: str
) -> None:
    info = {"subdir": "noarch"} | ({} if base_url is None else {"base_url": base_url})
    async with serve(routes({"repodata.json": document(info=info)})) as base:
        own = base.replace("://", "://me:pw@")
        listing: Any = await reader(outgoing, own, tmp_path).fetch(None)
    assert listing.base_url == own + expected


async def test_shards_are_read_and_verified(outgoing: Outgoing, tmp_path: Path) -> None:
    files = shards_of(*(f"p{n}" for n in range(200)))
    async with serve(routes({**files, "repodata.json.zst": b"not asked for"})) as base:
        listing = await reader(outgoing, base, tmp_path).fetch(None)
        assert isinstance(listing, ShardedListing)
        names = sorted(listing.fingerprints, reverse=True)
        shards = [item async for item in listing.iter_shards(names)]
    assert [name for name, _ in shards] == names
    assert shards[0][1].packages["p99-1-0.tar.bz2"]["name"] == "p99"
    assert listing.base_url == f"{base}/c/noarch/"
    assert (listing.state.form, listing.state.etag) == ("shards", '"repodata_shards.msgpack.zst"')


async def test_shards_may_live_on_another_host_that_never_sees_the_credentials(
    outgoing: Outgoing, tmp_path: Path
) -> None:
    seen: list[Any] = []
    files = shards_of("a")
    index = msgspec.msgpack.decode(zstandard.decompress(files.pop("repodata_shards.msgpack.zst")))

    async def elsewhere(request: web.Request) -> web.StreamResponse:
        seen.append(request.headers.get("Authorization"))
        return web.Response(body=next(iter(files.values())))

    async with serve({"/pool/{name}": elsewhere}) as there:
        index["info"]["shards_base_url"] = there.replace("127.0.0.1", "localhost") + "/pool"
        data = zstandard.compress(msgspec.msgpack.encode(index))
        async with serve(routes({"repodata_shards.msgpack.zst": data})) as base:
            listing = await reader(outgoing, base.replace("://", "://me:pw@"), tmp_path).fetch(None)
            assert set(await read_all(listing)) == {"a"}
    assert seen == [None]


async def test_at_most_the_given_number_of_shards_is_under_way(outgoing: Outgoing, tmp_path: Path) -> None:
    now, most = 0, 0
    files = shards_of(*(f"p{n}" for n in range(40)))

    def slow(data: bytes) -> Handler:
        async def handler(request: web.Request) -> web.StreamResponse:
            nonlocal now, most
            now += 1
            most = max(most, now)
            await asyncio.sleep(0.01)
            now -= 1
            return web.Response(body=data)

        return handler

    slowly = {name: slow(data) if name.startswith("shards/") else data for name, data in files.items()}
    async with serve(routes(slowly)) as base:
        listing = await reader(outgoing, base, tmp_path, concurrency=4).fetch(None)
        assert len(await read_all(listing)) == 40
    assert most == 4


async def test_leaving_early_cancels_the_downloads(outgoing: Outgoing, tmp_path: Path) -> None:
    async with serve(routes({**shards_of(*(f"p{n}" for n in range(300)))})) as base:
        listing: Any = await reader(outgoing, base, tmp_path).fetch(None)
        shards = listing.iter_shards(list(listing.fingerprints))
        await anext(shards)
        await shards.aclose()
        assert not [task for task in asyncio.all_tasks() if "ShardedListing" in repr(task.get_coro())]


async def test_names_come_in_the_order_asked_and_once(
    outgoing: Outgoing, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listings, "BATCH_RECORDS", 2)
    listing = await fetch(outgoing, tmp_path, {"repodata.json": document("a", "b", "c", "d", "e")})
    assert [name async for name, _ in listing.iter_shards(["d", "a", "c"])] == ["d", "a", "c"]
    assert [name async for name, _ in listing.iter_shards(["e"])] == ["e"]
    with pytest.raises(KeyError):
        await anext(listing.iter_shards(["a"]))
    await listing.close()
    assert listing.fingerprints == {}


async def test_unknown_name_is_a_key_error(outgoing: Outgoing, tmp_path: Path) -> None:
    for files in (shards_of("a"), {"repodata.json": document("a")}):
        listing = await fetch(outgoing, tmp_path, files)
        with pytest.raises(KeyError):
            await anext(listing.iter_shards(["nothing"]))


async def test_a_bad_record_costs_its_own_package_and_no_other(outgoing: Outgoing, tmp_path: Path) -> None:
    records = {"a-1-0.tar.bz2": record("a") | {"sha256": "xyz"}, "b-1-0.tar.bz2": record("b")}
    listing = await fetch(outgoing, tmp_path, {"repodata.json": document(packages=records)})
    assert set(await read_all(listing)) == {"b"}


async def test_folder_as_upstream(outgoing: Outgoing, tmp_path: Path) -> None:
    folder = tmp_path / "my channel" / "c" / "noarch"
    folder.mkdir(parents=True)
    (folder / "repodata.json").write_bytes(document("a"))
    base = (tmp_path / "my channel").as_uri()
    listing: Any = await reader(outgoing, base, tmp_path).fetch(None)
    assert set(await read_all(listing)) == {"a"}
    assert listing.base_url == f"{base}/c/noarch/"
    assert await reader(outgoing, base, tmp_path).fetch(listing.state) == Unchanged()
    for name, data in shards_of("b").items():
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes(data)
    assert set(await read_all(await reader(outgoing, base, tmp_path).fetch(listing.state))) == {"b"}
    assert await reader(outgoing, f"{base}/absent", tmp_path).fetch(None) == Missing()


async def test_folder_outside_the_roots_is_invalid(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as raised:
        await reader(Outgoing(), tmp_path.as_uri(), tmp_path).fetch(None)
    assert raised.value.code == "file-root"


async def test_folder_may_not_lead_out_of_its_roots(tmp_path: Path) -> None:
    folder = tmp_path / "in" / "c" / "noarch"
    folder.mkdir(parents=True)
    (tmp_path / "outside.json").write_bytes(document("a"))
    (folder / "repodata.json").symlink_to(tmp_path / "outside.json")
    with pytest.raises(Invalid) as raised:
        await reader(Outgoing(file_roots=[tmp_path / "in"]), (tmp_path / "in").as_uri(), tmp_path).fetch(None)
    assert raised.value.code == "file-root"


async def test_run_exports_beside_a_document_enter_its_shards(outgoing: Outgoing, tmp_path: Path) -> None:
    exports = {
        "packages": {"a-1-0.tar.bz2": {"run_exports": {"weak": ["a >=1"]}}, "b-1-0.tar.bz2": {"run_exports": {}}}
    }
    files = {"repodata.json": document("a", "b")}
    plain = await fetch(outgoing, tmp_path, files)
    listing = await fetch(outgoing, tmp_path, files | {"run_exports.json": json.dumps(exports).encode()})
    changed = {name for name in "ab" if plain.fingerprints[name] != listing.fingerprints[name]}
    assert changed == {"a"}
    shards = await read_all(listing)
    assert shards["a"].packages["a-1-0.tar.bz2"]["run_exports"] == {"weak": ["a >=1"]}
    assert "run_exports" not in shards["b"].packages["b-1-0.tar.bz2"]


async def test_documents_wait_for_each_others_memory() -> None:
    budget = MemoryBudget(100)
    first = await budget.take(80)
    second = asyncio.create_task(budget.take(500))
    await asyncio.sleep(0)
    assert not second.done()
    await budget.give_back(first)
    assert await second == 100
