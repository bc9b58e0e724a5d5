r"""One fetch from upstream per artifact, however many clients ask in however many processes.

    (nobody) --join--> leading --verified--> landed          the lock on incoming/<sha256>.fetch decides who leads;
                          |  \--any error--> lost            everybody else tails the same file
    (somebody) --join--> tailing --blob appears--> landed
                          |  \--leader gone, nothing given--> leading
                          \----leader gone------------------> lost

The last bytes are held back until the whole is verified, so no client ever gets a complete wrong file.
"""

import asyncio
import contextlib
import fcntl
import hashlib
import os
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from headgate.conda.names import Sha256
from headgate.delivery.located import Located
from headgate.http.client import Answer, Outgoing
from headgate.kernel.errors import HeadgateError, Unavailable
from headgate.storage.local import BlobStore, disk_errors, move_durably

_PIECE = 256 << 10
_HELD_BACK = 16 << 10
_TAIL_INTERVAL_S = 0.01

log = structlog.get_logger(__name__)

Landed = Callable[[Located, int], Awaitable[None]]


@dataclass(frozen=True, slots=True)
class Address:
    """Where an upstream has an artifact, and the configured URL that led there, which bounds where it may lie."""

    url: str
    told_by: str
    outgoing: Outgoing


class Flight:
    """One artifact on its way: `written` bytes are on disk, the flight has landed, or `error` says why not."""

    def __init__(self, wanted: Located, addresses: Sequence[Address], store: BlobStore, landed: Landed) -> None:
        self._wanted = wanted
        self._addresses = addresses
        self._store = store
        self._landed = landed
        self._path = store.folder.incoming / f"{wanted.sha256}.fetch"
        self._descriptor = -1
        self._users = 0
        self._has_given = False
        self._news = asyncio.Condition()
        self.written = 0
        self.has_landed = False
        self.error: HeadgateError | None = None

    async def run(self) -> None:
        """Lead or tail until the end; never raises, `error` holds what went wrong."""
        try:
            await self._take_off()
            if not self.has_landed:
                await self._lead()
        except HeadgateError as error:
            log.warning("fetch_failed", artifact=str(self._wanted.artifact), code=error.code, reason=error.message)
            self.error = error
        except Exception:
            log.exception("fetch_failed", artifact=str(self._wanted.artifact), code="internal-error")
            self.error = Unavailable(
                "internal-error", f"The fetch of {self._wanted.artifact} failed; the server's log says why."
            )
        finally:
            if self._descriptor >= 0:
                fcntl.flock(self._descriptor, fcntl.LOCK_UN)
            await self._tell()

    async def ready(self) -> None:
        """Wait until there is something to send. Raises what ended the flight before that."""
        await self._until_sendable(0)
        if self.error is not None:
            raise self.error

    async def landed(self) -> None:
        """Wait until it is kept. Raises what ended the flight before that."""
        await self._until(lambda: self.has_landed)
        if self.error is not None:
            raise self.error

    async def size_bytes(self) -> int:
        """The artifact's size: the record's, or what arrived once it all did. Raises what ended the flight."""
        if self._wanted.size_bytes is not None:
            return self._wanted.size_bytes
        await self._until(lambda: self.has_landed)
        if self.error is not None:
            raise self.error
        return self.written

    async def stream(self, start: int, end: int) -> AsyncIterator[bytes]:
        """Bytes `start` to `end` (excluded), each as soon as it may be sent. Raises what ended the flight."""
        while start < end:
            await self._until_sendable(start)
            if self.error is not None:
                raise self.error
            self._has_given = True
            piece = os.pread(self._descriptor, min(_PIECE, end - start, self._sendable() - start), start)
            start += len(piece)
            yield piece

    @contextlib.contextmanager
    def in_use(self) -> Iterator["Flight"]:
        """Keeps the file open; the last user to leave closes it."""
        self._users += 1
        try:
            yield self
        finally:
            self._users -= 1
            if not self._users and self._descriptor >= 0:
                os.close(self._descriptor)
                self._descriptor = -1

    def _sendable(self) -> int:
        return self.written if self.has_landed else self.written - _HELD_BACK

    async def _until(self, is_so: Callable[[], bool]) -> None:
        async with self._news:
            await self._news.wait_for(lambda: is_so() or self.has_landed or self.error is not None)

    async def _until_sendable(self, offset: int) -> None:
        await self._until(lambda: self._sendable() > offset)

    async def _tell(self) -> None:
        async with self._news:
            self._news.notify_all()

    async def _take_off(self) -> None:
        """Open the shared file, and return as its leader, or when its leader has landed."""
        while True:
            with disk_errors():
                self._descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
            if not self._try_lock():
                await self._tail()
            if self.has_landed or self._is_file_at(self._path):
                return
            os.close(self._descriptor)

    def _is_file_at(self, path: Path) -> bool:
        """False when the file we locked has not, or no longer, that name: whoever comes next would not see our lock."""
        try:
            return os.path.samestat(path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return False

    def _try_lock(self) -> bool:
        try:
            fcntl.flock(self._descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        return True

    async def _tail(self) -> None:
        """Follow another process's fetch; return when it landed, or when its place is free and nothing was given."""
        while not self._try_lock():
            self.written = os.fstat(self._descriptor).st_size
            await self._tell()
            await asyncio.sleep(_TAIL_INTERVAL_S)
        if self._is_file_at(self._store.path(self._wanted.sha256)):
            self.written = os.fstat(self._descriptor).st_size
            self.has_landed = True
        elif self._has_given:
            self._forget()
            raise Unavailable("fetch-interrupted", f"The fetch of {self._wanted.artifact} was interrupted. Ask again.")
        else:
            self.written = 0

    def _forget(self) -> None:
        """Remove the shared file, if the one we hold the lock of is it."""
        if self._is_file_at(self._path):
            self._path.unlink()

    async def _lead(self) -> None:
        if self._store.find(self._wanted.sha256) is not None:
            # Landed between the caller's look and our lock: what we opened is a fresh, empty file.
            self._reopen_landed()
            return
        try:
            await self._fetch()
        except BaseException:
            self._forget()
            raise

    def _reopen_landed(self) -> None:
        self._path.unlink(missing_ok=True)
        os.close(self._descriptor)
        self._descriptor = os.open(self._store.path(self._wanted.sha256), os.O_RDONLY)
        self.written = os.fstat(self._descriptor).st_size
        self.has_landed = True

    async def _fetch(self) -> None:
        failure: HeadgateError = Unavailable("mirror-unknown", "The channel follows no mirror that has this file.")
        for address in self._addresses:
            async with contextlib.AsyncExitStack() as stack:
                try:
                    opening = address.outgoing.open(address.url, told_by=address.told_by)
                    answer = await stack.enter_async_context(opening)
                    if answer.status == 200:
                        return await self._receive(answer)
                    failure = Unavailable(
                        "upstream-refused", f"The upstream answered {answer.status} for {answer.url}."
                    )
                except Unavailable as error:
                    if self.written:
                        raise
                    failure = error
        raise failure

    async def _receive(self, answer: Answer) -> None:
        sha256 = hashlib.sha256()
        expected = self._wanted.size_bytes
        os.ftruncate(self._descriptor, 0)
        async for piece in answer.chunks():
            if expected is not None and self.written + len(piece) > expected:
                raise self._mismatch(f"it is longer than the {expected} bytes of its record")
            with disk_errors():
                os.pwrite(self._descriptor, piece, self.written)
            sha256.update(piece)
            self.written += len(piece)
            await self._tell()
        if expected is not None and self.written != expected:
            raise self._mismatch(f"it has {self.written} bytes where its record says {expected}")
        if sha256.hexdigest() != self._wanted.sha256:
            raise self._mismatch(f"its sha256 is {sha256.hexdigest()} where its record says {self._wanted.sha256}")
        await asyncio.to_thread(self._keep)
        await self._landed(self._wanted, self.written)
        self.has_landed = True

    def _keep(self) -> None:
        with disk_errors():
            os.fsync(self._descriptor)
            move_durably(self._path, self._store.path(self._wanted.sha256))

    def _mismatch(self, what: str) -> Unavailable:
        return Unavailable(
            "upstream-mismatch", f"The upstream's {self._wanted.artifact} was refused: {what}. Nothing was kept."
        )


class Flights:
    """The flights of this process, one per digest."""

    def __init__(self, store: BlobStore, landed: Landed) -> None:
        self._store = store
        self._landed = landed
        self._under_way: dict[Sha256, tuple[Flight, asyncio.Task[None]]] = {}

    def join(self, wanted: Located, addresses: Sequence[Address]) -> Flight:
        """The flight that brings this artifact; a new one when none is under way."""
        known = self._under_way.get(wanted.sha256)
        if known is not None:
            return known[0]
        flight = Flight(wanted, addresses, self._store, self._landed)
        self._under_way[wanted.sha256] = (flight, asyncio.create_task(self._fly(wanted.sha256, flight)))
        return flight

    def has(self, sha256: Sha256) -> bool:
        """Whether the bytes are here already."""
        return self._store.find(sha256) is not None

    async def close(self) -> None:
        """Wait for what is under way."""
        await asyncio.gather(*(task for _, task in self._under_way.values()), return_exceptions=True)

    async def _fly(self, sha256: Sha256, flight: Flight) -> None:
        with flight.in_use():
            try:
                await flight.run()
            finally:
                del self._under_way[sha256]
