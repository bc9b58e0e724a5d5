"""Sending package files: from disk, while they arrive, or the client to where they are."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from functools import lru_cache
from types import MappingProxyType

from headgate.channels.model import Channel
from headgate.conda.names import Sha256, Subdir
from headgate.delivery.flights import Flight
from headgate.delivery.located import Located, Locator
from headgate.delivery.sources import FromUpstream, StoredFile, WithPolicy
from headgate.doors.conda.visits import Visit
from headgate.doors.http import (
    Head,
    Scope,
    Send,
    Unsatisfiable,
    Validators,
    begin,
    finish,
    held_back,
    is_conditional,
    is_unchanged,
    send_file,
    send_stream,
    start,
    wanted_span,
)
from headgate.doors.metrics import ARTIFACTS, REFUSALS, VERDICTS
from headgate.kernel.errors import Refused
from headgate.storage.paths import blob_key

_CONTENT_TYPE = "application/octet-stream"
_PATHSEND = "http.response.pathsend"
# The gate may think differently tomorrow: whoever keeps a copy asks again before giving it to others.
_CACHE_CONTROL = "private, no-cache"
_OUTCOMES = MappingProxyType({"policy-blocked": "block", "policy-held": "hold"})


@dataclass(frozen=True, slots=True)
class ArtifactDoor:
    """Turns a located artifact into an answer. `x_accel_prefix`: let a fronting nginx send what is on disk."""

    locator: Locator
    delivery: WithPolicy
    upstream: FromUpstream
    x_accel_prefix: str | None

    async def send(self, scope: Scope, send: Send, channel: Channel, subdir: Subdir, visit: Visit) -> None:
        """Answer GET or HEAD of the package file that `visit` asks for. Raises NotFound, Refused, Unavailable."""
        assert visit.path is not None
        assert visit.path.artifact is not None
        try:
            wanted = await self.locator.locate(channel, subdir, visit.path.artifact)
            visit.sha256 = wanted.sha256
            visit.verdict = await self.delivery.check(wanted)
        except Refused as error:
            REFUSALS.count(error.code)
            if error.code in _OUTCOMES:
                VERDICTS.count(_OUTCOMES[error.code])
            raise
        VERDICTS.count(visit.verdict)
        if wanted.size_bytes is not None and self._is_bodyless(scope, wanted):
            # What the record promises is all that the client asked: no upstream is troubled.
            await begin(scope, send, _head(wanted, wanted.size_bytes))
            return
        elsewhere = await self.upstream.elsewhere(wanted)
        if elsewhere is not None:
            ARTIFACTS.count("redirect")
            await start(send, 302, {"location": elsewhere, "content-length": "0", "cache-control": _CACHE_CONTROL})
            await finish(send)
            return
        body = await self.delivery.open_checked(wanted)
        if isinstance(body, StoredFile):
            ARTIFACTS.count("store")
            await self._send_stored(scope, send, wanted, body)
            visit.sent_elsewhere_bytes = 0 if self.x_accel_prefix is None else body.size_bytes
            return
        ARTIFACTS.count("upstream")
        with body.in_use():
            await self._send_flight(scope, send, wanted, body)

    def _is_bodyless(self, scope: Scope, wanted: Located) -> bool:
        if scope["method"] == "HEAD":
            return True
        return is_conditional(scope) and is_unchanged(scope, Validators(_etag(wanted)))

    async def _send_stored(self, scope: Scope, send: Send, wanted: Located, body: StoredFile) -> None:
        if self.x_accel_prefix is not None:
            # nginx does ranges and lengths itself, of the file it is told to send.
            headers = _elsewhere_headers(self.x_accel_prefix, wanted.sha256)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await finish(send)
        elif is_conditional(scope) or scope["method"] != "GET" or _PATHSEND not in scope.get("extensions", {}):
            await send_file(scope, send, _head(wanted, body.size_bytes), body.path)
        else:
            # What most ask for: its head is made once, and the server sends the file.
            headers = _whole_headers(wanted.sha256, body.size_bytes)
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            await send({"type": _PATHSEND, "path": body.path})

    async def _send_flight(self, scope: Scope, send: Send, wanted: Located, flight: Flight) -> None:
        send = held_back(send)
        pieces = await self._range_ahead(scope, wanted, flight)
        if pieces is not None:
            await begin(scope, send, _head(wanted, wanted.size_bytes or 0))
            await send_stream(send, pieces)
            return
        await flight.ready()
        span = await begin(scope, send, _head(wanted, await flight.size_bytes()))
        if span is not None:
            await send_stream(send, flight.stream(span.start, span.end))

    async def _range_ahead(self, scope: Scope, wanted: Located, flight: Flight) -> AsyncIterator[bytes] | None:
        """A range that the flight has not reached, straight from upstream; None for everything else."""
        if wanted.size_bytes is None:
            return None
        try:
            span = wanted_span(scope, wanted.size_bytes, Validators(_etag(wanted)))
        except Unsatisfiable:
            return None
        if span is None or span.start <= flight.written:
            return None
        return await self.upstream.range(wanted, span.start, span.end)


@lru_cache(maxsize=20_000)
def _whole_headers(sha256: Sha256, size_bytes: int) -> list[tuple[bytes, bytes]]:
    """The head of an answer with the whole file, as `begin` sends it."""
    return [*_common_headers(sha256), (b"accept-ranges", b"bytes"), (b"content-length", str(size_bytes).encode())]


@lru_cache(maxsize=20_000)
def _elsewhere_headers(prefix: str, sha256: Sha256) -> list[tuple[bytes, bytes]]:
    """The head of an answer that lets the server in front send the file."""
    place = f"{prefix.rstrip('/')}/{blob_key(sha256)}"
    return [*_common_headers(sha256), (b"x-accel-redirect", place.encode())]


def _common_headers(sha256: Sha256) -> list[tuple[bytes, bytes]]:
    values = {"etag": f'"{sha256}"', "cache-control": _CACHE_CONTROL, "content-type": _CONTENT_TYPE}
    return [(name.encode(), value.encode()) for name, value in values.items()]


def _etag(wanted: Located) -> str:
    return f'"{wanted.sha256}"'


def _head(wanted: Located, size_bytes: int) -> Head:
    return Head(_CONTENT_TYPE, size_bytes, Validators(_etag(wanted)), _CACHE_CONTROL)
