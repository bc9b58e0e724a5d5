"""Trying a mirror step by step, so that a failure says where on the way it happened and what to do.

dns -> proxy -> connection -> tls -> credentials -> repodata -> package        a step that failed ends the way
"""

import asyncio
import re
import socket
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Final
from urllib.parse import quote

import zstandard
from yarl import URL

from headgate.channels.model import Source
from headgate.channels.routes import Route, Routes
from headgate.conda.names import Subdir
from headgate.conda.shards import MAX_INDEX_BYTES, decode_index, decode_shard
from headgate.http.client import Answer, Outgoing, mask_url
from headgate.http.s3 import explain
from headgate.intake.upstream import resolve_base
from headgate.kernel.errors import HeadgateError, Unavailable

STEPS: Final = ("dns", "proxy", "connection", "tls", "credentials", "repodata", "package")
_INDEXES: Final = ("repodata_shards.msgpack.zst", "repodata.json.zst", "repodata.json")
_FIRST_BYTES: Final = 1 << 18
_FILE = re.compile(rb'"([a-z0-9_][^"/\\]*-[^"/\\]*-[^"/\\]*\.(?:conda|tar\.bz2))"\s*:')
# Where on the way each failure happened.
_STEP_OF: Final = {
    "proxy-unreachable": "proxy",
    "proxy-refused": "proxy",
    "proxy-denied": "proxy",
    "proxy-failed": "proxy",
    "upstream-untrusted": "tls",
    "upstream-unreachable": "connection",
    "file-root": "connection",
    "s3-credentials": "credentials",
}


@dataclass(frozen=True, slots=True)
class Step:
    """One step: `state` is `ok`, `failed` or `skipped`."""

    step: str
    state: str
    sentence: str


@dataclass(slots=True)
class Trial:
    """What came of trying one URL, shown without its secrets."""

    url: str
    steps: list[Step] = field(default_factory=list)

    @property
    def is_good(self) -> bool:
        """True when no step failed."""
        return all(step.state != "failed" for step in self.steps)

    @property
    def sentence(self) -> str:
        """What failed and what to do, or that nothing did."""
        failed = [step.sentence for step in self.steps if step.state == "failed"]
        return failed[0] if failed else f"{self.url} can be reached, read and fetched from."

    def note(self, step: str, sentence: str, state: str = "ok") -> None:
        """Add a step."""
        self.steps.append(Step(step, state, sentence))


class _Failed(Exception):
    """A step failed."""

    def __init__(self, step: str, sentence: str) -> None:
        super().__init__(sentence)
        self.step = step


async def try_mirror(routes: Routes, source: Source) -> list[Trial]:
    """Try every URL of a mirror, with connections of their own, and whatever breakers say."""
    route = routes.fresh(source)
    subdir = Subdir("noarch") if not source.subdirs or "noarch" in source.subdirs else source.subdirs[0]
    try:
        return [
            await _try_url(route, Trial(shown), url, subdir) for shown, url in zip(source.urls, route.urls, strict=True)
        ]
    finally:
        await route.outgoing.close()


async def _try_url(route: Route, trial: Trial, url: str, subdir: Subdir) -> Trial:
    root = f"{url.rstrip('/')}/{subdir}/"
    try:
        await _resolve(trial, route.outgoing, url)
        name, body = await _index(trial, route.outgoing, root)
        await _package(trial, route.outgoing, root, name, body)
    except _Failed as failure:
        trial.note(failure.step, str(failure), "failed")
    done = {step.step for step in trial.steps}
    for step in STEPS:
        if step not in done:
            trial.note(step, "Not tried." if not trial.is_good else "Not needed.", "skipped")
    trial.steps.sort(key=lambda one: STEPS.index(one.step))
    return trial


async def _resolve(trial: Trial, outgoing: Outgoing, url: str) -> None:
    parts = URL(url) if not url.startswith("file:") else None
    if parts is None:
        return
    proxy = outgoing.network.proxies.find(parts)
    near = URL(proxy) if proxy is not None else parts
    try:
        found = await asyncio.get_running_loop().getaddrinfo(near.host, near.port, type=socket.SOCK_STREAM)
    except OSError as error:
        what = "the proxy" if proxy is not None else "the upstream"
        raise _Failed(
            "dns", f"The name of {what}, {near.host}, cannot be resolved: {error.strerror}. Check its spelling and DNS."
        ) from error
    addresses = ", ".join(sorted({str(one[4][0]) for one in found}))
    trial.note("dns", f"{near.host} is {addresses}." + (" The proxy resolves the upstream's name." if proxy else ""))


async def _index(trial: Trial, outgoing: Outgoing, root: str) -> tuple[str, bytes]:
    """The name of the first index file that is there, and its first bytes; a shard index whole."""
    statuses: list[int] = []
    told: str | None = None
    for name in _INDEXES:
        try:
            async with outgoing.open(root + name) as answer:
                if not statuses:
                    _note_arrival(trial, outgoing, root)
                statuses.append(answer.status)
                if answer.status == 200:
                    trial.note("credentials", f"{mask_url(root)} lets us in.{_signed(outgoing, root)}")
                    body = await answer.read(MAX_INDEX_BYTES) if name == _INDEXES[0] else await _first_bytes(answer)
                    trial.note("repodata", f"{name} is there.")
                    return name, body
                told = await _meaning(outgoing, root, answer) or told
                if answer.status == 401:
                    break
        except HeadgateError as error:
            raise _Failed(_STEP_OF.get(error.code, "repodata"), error.message) from error
    raise _refusal(root, statuses, told)


def _signed(outgoing: Outgoing, root: str) -> str:
    s3 = outgoing.network.s3
    return "" if s3 is None or s3.bucket_of(URL(root)) is None else f" {s3.shown}"


async def _meaning(outgoing: Outgoing, root: str, answer: Answer) -> str | None:
    """What S3 says of a refusal; that a key is absent is none."""
    s3 = outgoing.network.s3
    if s3 is None or s3.bucket_of(URL(root)) is None:
        return None
    return explain(await _first_bytes(answer))


def _note_arrival(trial: Trial, outgoing: Outgoing, root: str) -> None:
    if root.startswith("file:"):
        return
    url = URL(root)
    proxy = outgoing.network.proxies.find(url)
    if proxy is not None:
        trial.note("proxy", f"{mask_url(proxy)} passes requests on.")
    trial.note("connection", f"{url.host} answers.")
    if url.scheme == "https":
        checked = "is trusted" if outgoing.network.is_verifying else "was not checked, since `verify` is false"
        trial.note("tls", f"Its certificate {checked}.")


def _refusal(root: str, statuses: list[int], told: str | None) -> _Failed:
    shown = mask_url(root)
    if told is not None:
        return _Failed("credentials", f"{shown} answered {statuses[-1]}: {told}")
    if {401, 403} & set(statuses):
        status = 401 if 401 in statuses else 403
        return _Failed(
            "credentials", f"{shown} answered {status}: set user and password, or a token, that may read it."
        )
    listed = ", ".join(map(str, statuses))
    return _Failed("repodata", f"{shown} has no index (statuses {listed}). Is that the URL of a channel?")


async def _first_bytes(answer: Answer) -> bytes:
    found = bytearray()
    async for piece in answer.chunks():
        found += piece
        if len(found) >= _FIRST_BYTES:
            break
    return bytes(found)


async def _package(trial: Trial, outgoing: Outgoing, root: str, index: str, body: bytes) -> None:
    try:
        found = await anext(_files(outgoing, root, index, body), None)
        if found is None:
            trial.note("package", "The index names no package that could be tried.", "skipped")
            return
        base, filename = found
        async with outgoing.open(base + quote(filename, safe="!+~"), method="HEAD", told_by=root) as answer:
            if answer.status == 405:
                trial.note("package", f"{filename} was not tried: the upstream answers no HEAD.", "skipped")
            elif answer.status != 200:
                raise _Failed("package", f"{answer.url} answered {answer.status}, though the index lists it.")
            else:
                trial.note("package", f"{filename} can be fetched.")
    except HeadgateError as error:
        raise _Failed("package", error.message) from error


async def _files(outgoing: Outgoing, root: str, index: str, body: bytes) -> AsyncIterator[tuple[str, str]]:
    """(base URL, file name) of packages that an index lists."""
    if index != _INDEXES[0]:
        match = _FILE.search(_unpacked(body) if index.endswith(".zst") else body)
        if match is not None:
            yield root, match[1].decode("ascii", "replace")
        return
    listing = await asyncio.to_thread(decode_index, body)
    base = await resolve_base(outgoing, root + index, listing.info, "base_url")
    shards = await resolve_base(outgoing, root + index, listing.info, "shards_base_url")
    for digest in list(listing.shards.values())[:1]:
        async with outgoing.open(f"{shards}{digest.hex()}.msgpack.zst", told_by=root + index) as answer:
            if answer.status != 200:
                raise Unavailable("upstream-status", f"{answer.url} answered {answer.status} for a shard.")
            shard = decode_shard(await answer.read(MAX_INDEX_BYTES))
        for filename, _ in shard.records():
            yield base, filename


def _unpacked(body: bytes) -> bytes:
    try:
        return zstandard.ZstdDecompressor().decompressobj().decompress(body)
    except zstandard.ZstdError:
        return b""
