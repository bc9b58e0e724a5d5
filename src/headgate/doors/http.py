"""HTTP semantics that every door shares: validators, ranges, whole bodies and files (RFC 9110)."""

import asyncio
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime, parsedate_to_datetime
from functools import lru_cache
from pathlib import Path
from typing import Any

Scope = Mapping[str, Any]
Message = dict[str, Any]
Send = Callable[[Message], Awaitable[None]]
Receive = Callable[[], Awaitable[Message]]

_PIECE = 256 << 10
_CONDITIONS = frozenset({b"if-none-match", b"if-modified-since", b"range", b"if-range"})


@dataclass(frozen=True, slots=True)
class Validators:
    """What a client may compare: a strong ETag with its quotes, and a moment."""

    etag: str
    modified_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Head:
    """The headers of an answer with a body."""

    content_type: str
    size_bytes: int
    validators: Validators
    cache_control: str
    more: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Span:
    """A satisfiable range: bytes `start` to `end` (excluded)."""

    start: int
    end: int


class Unsatisfiable(Exception):
    """The range lies outside the body."""


def header(scope: Scope, name: bytes) -> str | None:
    """The first value of a header, or None."""
    for key, value in scope["headers"]:
        if key == name:
            text: str = value.decode("latin-1")
            return text
    return None


def public_url(scope: Scope, configured: str | None) -> str:
    """The server's own address as clients see it."""
    if configured:
        return configured.rstrip("/")
    return f"{scope['scheme']}://{header(scope, b'host') or '127.0.0.1'}"


def is_conditional(scope: Scope) -> bool:
    """Whether a header may make the answer another one than the whole body."""
    return not _CONDITIONS.isdisjoint([key for key, _ in scope["headers"]])


def is_unchanged(scope: Scope, validators: Validators) -> bool:
    """True when the client has this already: If-None-Match decides, If-Modified-Since only without it."""
    wanted = header(scope, b"if-none-match")
    if wanted is not None:
        etags = [one.strip().removeprefix("W/") for one in wanted.split(",")]
        return "*" in etags or validators.etag in etags
    since = _date(header(scope, b"if-modified-since"))
    return since is not None and validators.modified_at is not None and _whole_second(validators.modified_at) <= since


def wanted_span(scope: Scope, size_bytes: int, validators: Validators) -> Span | None:
    """The range asked for; None for the whole, also where there are several ranges or If-Range does not hold.

    Raises Unsatisfiable.
    """
    text = header(scope, b"range")
    if text is None or not text.startswith("bytes=") or not _if_range_holds(scope, validators):
        return None
    first, dash, last = text.removeprefix("bytes=").strip().partition("-")
    if (
        not dash
        or "," in text
        or not (first or last)
        or not all(p == "" or (p.isascii() and p.isdigit()) for p in (first, last))
    ):
        return None
    if not first:
        start, end = max(0, size_bytes - int(last)), size_bytes
    else:
        start, end = int(first), min(size_bytes, int(last) + 1) if last else size_bytes
        if last and int(last) < start:
            return None
    if start >= end:
        raise Unsatisfiable
    return Span(start, end)


def _if_range_holds(scope: Scope, validators: Validators) -> bool:
    condition = header(scope, b"if-range")
    if condition is None or condition == validators.etag:
        return True
    moment = _date(condition)
    return moment is not None and validators.modified_at is not None and moment == _whole_second(validators.modified_at)


def _date(text: str | None) -> datetime | None:
    try:
        moment = parsedate_to_datetime(text) if text else None
    except ValueError:
        return None
    return moment if moment is None or moment.tzinfo else moment.replace(tzinfo=UTC)


@lru_cache(maxsize=1_000)
def _http_date(moment: datetime) -> str:
    return format_datetime(moment, usegmt=True)


def _whole_second(moment: datetime) -> datetime:
    return moment.replace(microsecond=0)


async def start(send: Send, status: int, headers: Mapping[str, str]) -> None:
    """Send the status and headers."""
    encoded = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in headers.items()]
    await send({"type": "http.response.start", "status": status, "headers": encoded})


async def finish(send: Send, body: bytes = b"") -> None:
    """Send the rest of the body."""
    await send({"type": "http.response.body", "body": body})


async def begin(scope: Scope, send: Send, head: Head) -> Span | None:
    """Send the headers that the request's conditions call for; the span of the body to send, or None when that is all.

    Answers 304, 416, 206 or 200, and HEAD.
    """
    common = {"etag": head.validators.etag, "cache-control": head.cache_control, **head.more}
    if head.validators.modified_at is not None:
        common["last-modified"] = _http_date(head.validators.modified_at)
    if is_unchanged(scope, head.validators):
        await start(send, 304, common)
        await finish(send)
        return None
    common |= {"content-type": head.content_type, "accept-ranges": "bytes"}
    try:
        span = wanted_span(scope, head.size_bytes, head.validators)
    except Unsatisfiable:
        await start(send, 416, {"content-range": f"bytes */{head.size_bytes}", "content-length": "0"})
        await finish(send)
        return None
    chosen = span or Span(0, head.size_bytes)
    if span is not None:
        common["content-range"] = f"bytes {span.start}-{span.end - 1}/{head.size_bytes}"
    common["content-length"] = str(chosen.end - chosen.start)
    await start(send, 200 if span is None else 206, common)
    if scope["method"] == "HEAD":
        await finish(send)
        return None
    return chosen


def held_back(send: Send) -> Send:
    """A `send` that keeps the head until the body begins, so that a failure before that is still an answer."""
    head: Message | None = None

    async def late(message: Message) -> None:
        nonlocal head
        if message["type"] == "http.response.start":
            head = message
            return
        if head is not None:
            first, head = head, None
            await send(first)
        await send(message)

    return late


async def send_bytes(scope: Scope, send: Send, head: Head, body: bytes) -> None:
    """Answer with bytes from memory."""
    span = await begin(scope, send, head)
    if span is not None:
        await finish(send, body if span.end - span.start == len(body) else body[span.start : span.end])


async def send_file(scope: Scope, send: Send, head: Head, path: Path | str) -> None:
    """Answer with a file: whole by the server's own sendfile, in parts by positioned reads."""
    descriptor = os.open(path, os.O_RDONLY)  # before the headers, so that a vanished file is still an error
    try:
        span = await begin(scope, send, head)
        if span is None:
            return
        if span.end - span.start == head.size_bytes and "http.response.pathsend" in scope.get("extensions", {}):
            await send({"type": "http.response.pathsend", "path": str(path)})
            return
        await send_stream(send, _pieces(descriptor, span))
    finally:
        os.close(descriptor)


async def send_stream(send: Send, pieces: AsyncIterator[bytes]) -> None:
    """Send a body piece by piece, then its end."""
    async for piece in pieces:
        await send({"type": "http.response.body", "body": piece, "more_body": True})
    await finish(send)


async def _pieces(descriptor: int, span: Span) -> AsyncIterator[bytes]:
    offset = span.start
    while offset < span.end:
        piece = await asyncio.to_thread(os.pread, descriptor, min(_PIECE, span.end - offset), offset)
        offset += len(piece)
        yield piece
