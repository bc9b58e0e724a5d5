"""Outgoing requests: to upstream channels, over HTTP(S) or from folders on this machine."""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from types import MappingProxyType
from typing import Final

import aiohttp
import structlog

from headgate.http.addresses import Nearness, guarded_socket
from headgate.http.answers import CHUNK_BYTES, Answer
from headgate.http.failures import TRANSPORT_ERRORS, cut, unreachable
from headgate.http.files import open_file
from headgate.http.masking import mask_url
from headgate.http.redirects import ANY_HOST, Hop, check_hop, first_hop, next_hop, with_credentials_of
from headgate.kernel.errors import Refused, Unavailable

__all__ = ["Answer", "Outgoing", "mask_url"]

MAX_REDIRECTS: Final = 5
# A body must bring this much within one stall timeout; else a drip of single bytes would hold us for ever.
LEAST_BYTES_PER_STALL: Final = 16 * 1024

_REDIRECTS = frozenset({301, 302, 303, 307, 308})
_NO_HEADERS: Final[Mapping[str, str]] = MappingProxyType({})

log = structlog.get_logger(__name__)


def default_user_agent() -> str:
    """`headgate/<version>`."""
    try:
        return f"headgate/{version('headgate')}"
    except PackageNotFoundError:
        return "headgate"


class Outgoing:
    """Opens URLs; one per process, connections are kept and shared.

    `file_roots` are the folders under which file:// may read. `redirect_hosts` are the host names a redirect may lead
    to; with `*` every host, as long as its address is no nearer to us than the upstream's. `connections` bounds the
    requests open at once, others wait. `tls` replaces the system's certificate authorities.
    """

    def __init__(
        self,
        *,
        file_roots: Sequence[Path] = (),
        connect_timeout_s: float = 10,
        stall_timeout_s: float = 60,
        connections: int = 100,
        user_agent: str | None = None,
        redirect_hosts: Collection[str] = (ANY_HOST,),
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._file_roots = tuple(file_roots)
        self._connect_timeout_s = connect_timeout_s
        self._stall_timeout_s = stall_timeout_s
        self._slots = asyncio.Semaphore(connections)
        self._user_agent = user_agent or default_user_agent()
        self._redirect_hosts = frozenset(host.lower() for host in redirect_hosts)
        self._tls = tls
        self._sessions: dict[Nearness, aiohttp.ClientSession] = {}

    async def close(self) -> None:
        """Closes every connection."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    @asynccontextmanager
    async def open(
        self,
        url: str,
        *,
        headers: Mapping[str, str] = _NO_HEADERS,
        method: str = "GET",
        told_by: str | None = None,
        body: bytes | None = None,
    ) -> AsyncIterator[Answer]:
        """Asks for `url` and yields the answer, whatever its status; redirects are followed unless there is a `body`.

        `told_by` is the configured URL whose content named `url` (a `base_url`): `url` is then treated as a redirect
        from there. Raises Unavailable (`upstream-unreachable`, `upstream-redirects`, `upstream-redirect-refused`),
        Refused `file-root`, Invalid `upstream-url`.
        """
        if _is_file(url):
            _check_file_source(url, told_by)
            async with open_file(url, self._file_roots, method, headers) as answer:
                yield answer
            return
        hop = first_hop(url, headers) if told_by is None else await self._told(url, headers, told_by)
        async with self._slots:
            response = await self._follow(hop, method, body)
            try:
                yield self._answer(response)
            finally:
                response.release()

    async def vet(self, url: str, *, told_by: str) -> str:
        """The URL that the configured URL `told_by` named, once it is known that it may be followed.

        It gets the credentials of `told_by` when both have the same origin. Raises as `open` does.
        """
        if _is_file(url):
            _check_file_source(url, told_by)
            return url
        hop = await self._told(url, _NO_HEADERS, told_by)
        await check_hop(hop, told_by)
        return str(hop.url if _is_file(told_by) else with_credentials_of(hop.url, told_by))

    async def _told(self, url: str, headers: Mapping[str, str], told_by: str) -> Hop:
        if _is_file(told_by):
            hop = first_hop(url, headers)
            return await next_hop(Hop(hop.url, headers, Nearness.PUBLIC), url, self._redirect_hosts)
        return await next_hop(first_hop(told_by, headers), url, self._redirect_hosts)

    async def _follow(self, hop: Hop, method: str, body: bytes | None) -> aiohttp.ClientResponse:
        first = hop
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._request(hop, method, body)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None or body is not None:
                return response
            response.release()
            hop = await next_hop(hop, location, self._redirect_hosts)
            log.debug("redirected", url=first.shown, to=hop.shown)
        raise Unavailable(
            "upstream-redirects", f"{first.shown} redirects in a loop, or more than {MAX_REDIRECTS} times."
        )

    async def _request(self, hop: Hop, method: str, body: bytes | None) -> aiohttp.ClientResponse:
        try:
            # The whole head has to arrive in time; aiohttp alone would wait anew after each byte of it.
            async with asyncio.timeout(self._connect_timeout_s + self._stall_timeout_s):
                return await self._session(hop.limit).request(
                    method, hop.url, headers=hop.headers, data=body, allow_redirects=False
                )
        except TRANSPORT_ERRORS as error:
            raise unreachable(hop.shown, error) from None

    def _session(self, limit: Nearness) -> aiohttp.ClientSession:
        """The connections that reach addresses no nearer than `limit`; made when first needed."""
        if limit not in self._sessions:
            self._sessions[limit] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._tls or True, socket_factory=guarded_socket(limit)),
                timeout=aiohttp.ClientTimeout(sock_connect=self._connect_timeout_s, sock_read=self._stall_timeout_s),
                headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=CHUNK_BYTES,
            )
        return self._sessions[limit]

    def _answer(self, response: aiohttp.ClientResponse) -> Answer:
        shown = mask_url(str(response.url))
        has_body = response.method != "HEAD" and response.status not in {204, 304}

        async def pieces(size: int) -> AsyncGenerator[bytes, None]:
            pace = _Pace(self._stall_timeout_s)
            try:
                while piece := await pace.read(response.content, size):
                    yield piece
            except TRANSPORT_ERRORS as error:
                raise cut(shown, error) from None

        return Answer(
            response.status,
            response.headers,
            shown,
            pieces,
            body_bytes=response.content_length if has_body else None,
        )


class _Pace:
    """Reads from a stream, counting only the time the peer kept us waiting."""

    def __init__(self, stall_timeout_s: float) -> None:
        self._stall_timeout_s = stall_timeout_s
        self._waited_s = 0.0
        self._received = 0

    async def read(self, stream: aiohttp.StreamReader, size: int) -> bytes:
        """At most `size` bytes, none at the end; raises TimeoutError when the peer is too slow."""
        clock = asyncio.get_running_loop().time
        began = clock()
        # aiohttp's own timer ends when the peer breaks the chunked coding, and the reader would wait for ever.
        async with asyncio.timeout(self._stall_timeout_s):
            piece = await stream.read(size)
        self._waited_s += clock() - began
        self._received += len(piece)
        if self._received >= LEAST_BYTES_PER_STALL:
            self._waited_s, self._received = 0.0, 0
        elif piece and self._waited_s > self._stall_timeout_s:
            raise TimeoutError
        return piece


def _is_file(url: str) -> bool:
    return url[:5].lower() == "file:"


def _check_file_source(url: str, told_by: str | None) -> None:
    if told_by is not None and not _is_file(told_by):
        raise Refused("file-root", f"{mask_url(told_by)} names {url}: a channel on the web may not name a local file.")
