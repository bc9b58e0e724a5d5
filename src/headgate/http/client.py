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
from yarl import URL

from headgate.http.addresses import Nearness, guarded_socket
from headgate.http.answers import CHUNK_BYTES, Answer
from headgate.http.certificates import make_context
from headgate.http.failures import (
    PROXY_ERRORS,
    TRANSPORT_ERRORS,
    cut,
    given_up,
    proxy_failed,
    proxy_refused,
    unreachable,
    untrusted,
)
from headgate.http.files import open_file
from headgate.http.limits import Limits
from headgate.http.masking import mask_url
from headgate.http.network import Network, obstacle
from headgate.http.peer import find_issuer
from headgate.http.redirects import ANY_HOST, Hop, check_hop, first_hop, next_hop, with_credentials_of
from headgate.http.retries import PASSING_CODES, PASSING_STATUSES, backoff_s, pause_s
from headgate.http.s3 import Signer, without_signature
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
    """Opens URLs; connections are kept and shared.

    `network` says how requests leave. `file_roots` are the folders under which file:// may read. `redirect_hosts` are
    the host names a redirect may lead to; with `*` every host, as long as its address is no nearer to us than the
    upstream's. `limits` hold for all who share them.
    """

    def __init__(
        self,
        network: Network | None = None,
        *,
        file_roots: Sequence[Path] = (),
        user_agent: str | None = None,
        redirect_hosts: Collection[str] = (ANY_HOST,),
        limits: Limits | None = None,
    ) -> None:
        self.network = network or Network()
        self._file_roots = tuple(file_roots)
        self._signer = None if self.network.s3 is None else Signer(self.network.s3)
        limits = limits or Limits()
        self._breakers = limits.breakers
        self._slots = limits.slots(self.network.owner)
        self._bandwidth = limits.bandwidth(self.network.owner, self.network.bytes_per_second)
        self._user_agent = user_agent or default_user_agent()
        self._redirect_hosts = frozenset(host.lower() for host in redirect_hosts)
        self._tls: ssl.SSLContext | None = None
        self._sessions: dict[Nearness, aiohttp.ClientSession] = {}
        self._users = 0
        self._is_retired = False
        self._closing: asyncio.Task[None] | None = None

    def retire(self) -> None:
        """Close every connection as soon as nobody uses one; who still holds this may go on using it."""
        self._is_retired = True
        if not self._users and self._sessions:
            self._closing = asyncio.create_task(self.close())

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
        hop = self._first(url, headers) if told_by is None else await self._told(url, headers, told_by)
        async with self._used(), self._slots.taken(self.network.connections):
            response = await self._persist(hop, method, body)
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
        await check_hop(hop, told_by, self._is_proxied)
        return str(hop.url if _is_file(told_by) else with_credentials_of(hop.url, told_by))

    async def locate(self, url: str) -> str | None:
        """Where somebody else may fetch a URL of ours, for the next minutes at least; None when only we can.

        It holds no secret: of credentials for S3, a signature for this one object. Raises Unavailable `s3-credentials`.
        """
        if obstacle(self.network, url) is not None:
            return None
        return url if self._signer is None else str(await self._signer.sign("GET", first_hop(url, _NO_HEADERS).url))

    @asynccontextmanager
    async def _used(self) -> AsyncIterator[None]:
        self._users += 1
        try:
            yield
        finally:
            self._users -= 1
            if self._is_retired and not self._users:
                await self.close()

    def _first(self, url: str, headers: Mapping[str, str]) -> Hop:
        token = self.network.bearer_token
        return first_hop(url, headers if token is None else {**headers, "Authorization": f"Bearer {token}"})

    def _is_proxied(self, url: URL) -> bool:
        return self.network.proxies.find(url) is not None

    async def _told(self, url: str, headers: Mapping[str, str], told_by: str) -> Hop:
        if _is_file(told_by):
            hop = first_hop(url, headers)
            origin = Hop(hop.url, headers, Nearness.PUBLIC)
        else:
            origin = self._first(told_by, headers)
        return await next_hop(origin, url, self._redirect_hosts, self._is_proxied)

    async def _persist(self, hop: Hop, method: str, body: bytes | None) -> aiohttp.ClientResponse:
        """Follow, and again when that met a failure that may pass."""
        most = 0 if body is not None else self.network.retries
        for attempt in range(most):
            try:
                response = await self._follow(hop, method, body)
            except Unavailable as error:
                if error.code not in PASSING_CODES:
                    raise
                pause, reason = backoff_s(attempt), error.message
            else:
                if response.status not in PASSING_STATUSES:
                    return response
                asked = pause_s(response.headers.get("Retry-After"), attempt)
                if asked is None:
                    return response
                response.release()
                pause, reason = asked, f"{hop.shown} answered {response.status}."
            log.info("upstream_retried", reason=reason, attempt=attempt + 1, pause_s=round(pause, 2))
            await asyncio.sleep(pause)
        return await self._follow(hop, method, body)

    async def _follow(self, hop: Hop, method: str, body: bytes | None) -> aiohttp.ClientResponse:
        first = hop
        for _ in range(MAX_REDIRECTS + 1):
            response = await self._request(hop, method, body)
            location = response.headers.get("Location")
            if response.status not in _REDIRECTS or location is None or body is not None:
                return response
            response.release()
            hop = await next_hop(hop, location, self._redirect_hosts, self._is_proxied)
            log.debug("redirected", url=first.shown, to=hop.shown)
        raise Unavailable(
            "upstream-redirects", f"{first.shown} redirects in a loop, or more than {MAX_REDIRECTS} times."
        )

    async def _request(self, hop: Hop, method: str, body: bytes | None) -> aiohttp.ClientResponse:
        proxy = self.network.proxies.find(hop.url)
        where = f"{hop.url.host}:{hop.url.port}"
        url = hop.url if self._signer is None else await self._signer.sign(method, hop.url)
        session = self._session(Nearness.ANY if proxy else hop.limit)
        self._breakers.enter(where)
        try:
            # The whole head has to arrive in time; aiohttp alone would wait anew after each byte of it.
            async with asyncio.timeout(self.network.connect_timeout_s + self.network.stall_timeout_s):
                response = await session.request(
                    method, url, headers=hop.headers, data=body, proxy=proxy, allow_redirects=False
                )
        except TRANSPORT_ERRORS as error:
            if session.closed:  # it was us: whoever comes next must not find the host left alone
                self._breakers.forgive(where)
                raise given_up(hop.shown) from None
            failure = await self._explain(hop, proxy, error)
            self._breakers.leave(where, failure.message)
            raise failure from None
        except BaseException:
            self._breakers.forgive(where)
            raise
        self._breakers.leave(where, None)
        if proxy is not None and response.status == 407:
            response.release()
            raise proxy_refused(mask_url(proxy))
        return response

    async def _explain(self, hop: Hop, proxy: str | None, error: Exception) -> Unavailable:
        """What happened, in a sentence; for a certificate that is not trusted, who issued it."""
        if proxy is not None and isinstance(error, PROXY_ERRORS):
            return proxy_failed(mask_url(proxy), hop.shown, error)
        if isinstance(error, aiohttp.ClientConnectorCertificateError):
            return untrusted(hop.shown, error, await find_issuer(hop.url, proxy, hop.limit))
        return unreachable(hop.shown, error)

    def _session(self, limit: Nearness) -> aiohttp.ClientSession:
        """The connections that reach addresses no nearer than `limit`; made when first needed."""
        if limit not in self._sessions:
            if self._tls is None:
                self._tls = make_context(
                    self.network.authorities,
                    is_verifying=self.network.is_verifying,
                    client_certificate=self.network.client_certificate,
                )
            self._sessions[limit] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(limit=0, ssl=self._tls, socket_factory=guarded_socket(limit)),
                timeout=aiohttp.ClientTimeout(
                    sock_connect=self.network.connect_timeout_s, sock_read=self.network.stall_timeout_s
                ),
                headers={"User-Agent": self._user_agent, "Accept-Encoding": "identity"},
                cookie_jar=aiohttp.DummyCookieJar(),
                auto_decompress=False,
                read_bufsize=CHUNK_BYTES,
            )
        return self._sessions[limit]

    def _answer(self, response: aiohttp.ClientResponse) -> Answer:
        shown = mask_url(str(without_signature(response.url)))
        has_body = response.method != "HEAD" and response.status not in {204, 304}

        async def pieces(size: int) -> AsyncGenerator[bytes, None]:
            pace = _Pace(self.network.stall_timeout_s)
            try:
                while piece := await pace.read(response.content, size):
                    if self._bandwidth is not None:
                        await self._bandwidth.pay(len(piece))
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
