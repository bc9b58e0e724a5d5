"""A running server's API, asked one thing at a time."""

import os
import re
from base64 import b64encode
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping, Sequence
from pathlib import Path
from secrets import token_hex
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self
from urllib.parse import quote, urlsplit
from urllib.request import getproxies, proxy_bypass

from headgate.cli.problems import ServerProblem
from headgate.http.masking import mask_url
from headgate.kernel.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from asyncio import Runner

    from aiohttp import ClientResponse, ClientSession

    Read = Callable[[ClientResponse], Awaitable[Any]]

DEFAULT_URL = "http://127.0.0.1:8765"
_PIECE_BYTES = 1 << 20
_TIMEOUT_S = 120
# After the last byte of an upload the server still reads the archive through.
_UPLOAD_TIMEOUT_S = 3600


def connected() -> "Server":
    """The server that HEADGATE_URL names, asked with the token in HEADGATE_TOKEN, or that of `headgate login`."""
    url = server_url()
    token = os.environ.get("HEADGATE_TOKEN")
    if not token:
        from headgate.cli.credentials import Credentials

        token = Credentials().find(url)
    return Server(url, f"Bearer {token}" if token else None)


def connected_as(user: str, password: str) -> "Server":
    """The same server, asked with a user's own password."""
    basic = f"Basic {b64encode(f'{user}:{password}'.encode()).decode()}"
    return Server(server_url(), basic)


def server_url() -> str:
    """The server that HEADGATE_URL names."""
    return os.environ.get("HEADGATE_URL") or DEFAULT_URL


def channel_path(channel: str, *rest: str) -> str:
    """The path of a channel below the API, or of something in it; slashes in the name stay."""
    return "/".join(["channels", quote(channel, safe="/"), *(quote(part, safe="/") for part in rest)])


def path_of(*parts: str) -> str:
    """A path below the API; slashes within a part do not split it."""
    return "/".join(quote(part, safe="") for part in parts)


class Server:
    """Asks, waits, and hands out JSON. Opened by `with`.

    Every method raises ServerProblem when the server says no, Unavailable `server-unreachable` or
    `server-garbled` when there is no answer, or none that makes sense.
    """

    def __init__(self, url: str, authorization: str | None) -> None:
        if urlsplit(url).scheme not in {"http", "https"} or not urlsplit(url).hostname:
            raise Invalid("server-url-invalid", f"HEADGATE_URL is {mask_url(url)}, which is not an http or https URL.")
        self.url = url.rstrip("/")
        self._headers = {"Accept": "application/json"} | ({"Authorization": authorization} if authorization else {})
        self._runner: Runner
        self._session: ClientSession

    def __enter__(self) -> Self:
        from asyncio import Runner

        self._runner = Runner()
        self._session = self._runner.run(self._open())
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._runner.run(self._session.close())
        self._runner.close()

    def get(self, path: str, **parameters: Any) -> Any:
        """The document at a path."""
        return self._ask("GET", path, parameters)

    def post(self, path: str, body: Any = None) -> Any:
        """The answer to a request for something new."""
        return self._ask("POST", path, {}, json={} if body is None else body)

    def patch(self, path: str, body: Any) -> Any:
        """The thing as it is after the change."""
        return self._ask("PATCH", path, {}, json=body)

    def put(self, path: str) -> None:
        """Nothing new to say: what was asked for is so now."""
        self._ask("PUT", path, {})

    def replace(self, path: str, body: Any) -> Any:
        """The thing as it is now."""
        return self._ask("PUT", path, {}, json=body)

    def delete(self, path: str, **parameters: Any) -> None:
        """Nothing is left to say when it is gone."""
        self._ask("DELETE", path, parameters)

    def items(self, path: str, **parameters: Any) -> Iterator[Any]:
        """Every item of a list, page by page."""
        cursor: str | None = None
        while True:
            page = self.get(path, **parameters, cursor=cursor)
            yield from page["items"]
            cursor = page.get("next")
            if cursor is None:
                return

    def upload(self, channel: str, file: Path, told: Callable[[int], None]) -> Any:
        """Send a package file; the artifact. `told` as for `send_file`."""
        return self.send_file(channel_path(channel, "artifacts"), file, told, filename=file.name)

    def upload_attested(self, channel: str, file: Path, attestation: Path, told: Callable[[int], None]) -> Any:
        """The same with an attestation, in one form; the artifact."""
        form = form_of({"attestation": attestation, "file": file}, told)
        answer = self._ask("POST", channel_path(channel, "artifacts"), {}, timeout_s=_UPLOAD_TIMEOUT_S, **form)
        return answer["items"][0]

    def send_file(self, path: str, file: Path, told: Callable[[int], None], **parameters: Any) -> Any:
        """Send a file, calling `told` with the number of bytes that went since the last call; the answer."""
        return self._ask(
            "POST",
            path,
            parameters,
            data=pieces_of([file], told),
            headers={"Content-Length": str(file.stat().st_size), "Content-Type": "application/octet-stream"},
            # Who may not upload learns so before the first byte is sent.
            expect100=True,
            timeout_s=_UPLOAD_TIMEOUT_S,
        )

    def send(self, path: str, body: Any, headers: Mapping[str, str], **parameters: Any) -> Any:
        """The answer to a large body: a form, or pieces one after the other."""
        more = {"data": body, "headers": dict(headers), "expect100": True}
        return self._ask("POST", path, parameters, timeout_s=_UPLOAD_TIMEOUT_S, **more)

    def fetch(self, path: str, take: Callable[[bytes], object], **parameters: Any) -> None:
        """Hand the document at a path to `take`, piece by piece."""

        async def read(answer: "ClientResponse") -> None:
            if answer.status >= 300:
                await self._read(answer)
            async for piece in answer.content.iter_chunked(_PIECE_BYTES):
                take(piece)

        self._ask("GET", path, parameters, read=read)

    def _ask(
        self,
        method: str,
        path: str,
        parameters: dict[str, Any],
        *,
        timeout_s: float = _TIMEOUT_S,
        read: "Read | None" = None,
        **options: Any,
    ) -> Any:
        return self._runner.run(self._request(method, path, parameters, timeout_s, read or self._read, options))

    async def _open(self) -> "ClientSession":
        from aiohttp import ClientSession

        return ClientSession(headers=self._headers, proxy=_proxy_of(self.url))

    async def _request(
        self,
        method: str,
        path: str,
        parameters: dict[str, Any],
        timeout_s: float,
        read: "Read",
        options: dict[str, Any],
    ) -> Any:
        from aiohttp import ClientError, ClientTimeout
        from yarl import URL

        known = {key: _parameter(value) for key, value in parameters.items() if value is not None}
        url = URL(f"{self.url}/api/v1/{path}", encoded=True).update_query(known)
        timeout = ClientTimeout(sock_connect=10, sock_read=timeout_s)
        try:
            async with self._session.request(method, url, timeout=timeout, allow_redirects=False, **options) as answer:
                return await read(answer)
        except (ClientError, TimeoutError) as error:
            what = str(error) or "it took too long to answer"
            raise Unavailable("server-unreachable", f"No answer from {mask_url(self.url)}: {what}.") from error

    async def _read(self, answer: "ClientResponse") -> Any:
        if answer.status == 204:
            return None
        try:
            document = await answer.json(content_type=None)
        except ValueError:
            document = None
        if answer.status < 300 and document is not None:
            return document
        if isinstance(document, dict) and "code" in document:
            raise ServerProblem(document)
        raise Unavailable(
            "server-garbled",
            f"{mask_url(self.url)} answered {answer.status}, but not as Headgate does. Is HEADGATE_URL right?",
        )


def _parameter(value: Any) -> str | list[str]:
    if isinstance(value, list):
        return [str(one) for one in value]
    return str(value).lower() if isinstance(value, bool) else str(value)


async def pieces_of(files: Sequence[Path], told: Callable[[int], None]) -> AsyncIterator[bytes]:
    """The bytes of files, one after the other; `told` learns of each piece that went."""
    from asyncio import to_thread

    for file in files:
        with file.open("rb") as source:
            while piece := await to_thread(source.read, _PIECE_BYTES):
                yield piece
                told(len(piece))


def form_of(files: Mapping[str, Path], told: Callable[[int], None]) -> dict[str, Any]:
    """Body and headers of a form with these files, in their order, sent as they are read (RFC 7578)."""
    boundary = token_hex(16)

    async def pieces() -> AsyncIterator[bytes]:
        for field, file in files.items():
            name = re.sub(r'["\r\n]', "_", file.name)
            yield f'--{boundary}\r\nContent-Disposition: form-data; name="{field}"; filename="{name}"\r\n\r\n'.encode()
            async for piece in pieces_of([file], told):
                yield piece
            yield b"\r\n"
        yield f"--{boundary}--\r\n".encode()

    return {"data": pieces(), "headers": {"Content-Type": f"multipart/form-data; boundary={boundary}"}}


def _proxy_of(url: str) -> str | None:
    """The proxy that the environment names for this URL; never one for this very machine."""
    parts = urlsplit(url)
    host = parts.hostname or ""
    if host == "localhost" or host.startswith("127.") or host == "::1" or proxy_bypass(host):
        return None
    return getproxies().get(parts.scheme)


def is_absent(ask: Callable[[], Any]) -> bool:
    """True when the server says that there is no such thing."""
    try:
        ask()
    except ServerProblem as problem:
        if problem.status != 404:
            raise
        return True
    return False
