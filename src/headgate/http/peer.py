"""Whose certificate it is that we do not trust: asked once more, without trust and without sending anything."""

import asyncio
import socket
import ssl
from contextlib import suppress
from typing import Final

import aiohttp
from yarl import URL

from headgate.http.addresses import Nearness, guarded_socket
from headgate.http.certificates import issuer_of

_PATIENCE_S: Final = 10.0
_HEAD_BYTES: Final = 65536


async def find_issuer(url: URL, proxy: str | None, limit: Nearness) -> str | None:
    """Who issued the certificate that the host of `url` presents, or None when that cannot be learned.

    Through an https proxy it is not learned. No address nearer than `limit` is contacted.
    """
    with suppress(OSError, ValueError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
        async with asyncio.timeout(_PATIENCE_S):
            return await _ask(url, proxy, limit)
    return None


async def _ask(url: URL, proxy: str | None, limit: Nearness) -> str | None:
    near = URL(proxy) if proxy is not None else url
    if proxy is not None and near.scheme != "http":
        return None
    reader, writer = await _connect(near, Nearness.ANY if proxy is not None else limit)
    try:
        if proxy is not None:
            there = f"{url.host_subcomponent}:{url.port}"
            head = f"CONNECT {there} HTTP/1.1\r\nHost: {there}\r\n"
            if near.user is not None:
                head += f"Proxy-Authorization: {aiohttp.encode_basic_auth(near.user, near.password or '')}\r\n"
            writer.write(f"{head}\r\n".encode())
            answer = await reader.readuntil(b"\r\n\r\n")
            if b" 200" not in answer.partition(b"\r\n")[0]:
                return None
        await writer.start_tls(_blind_context(), server_hostname=url.host)
        peer = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
        return issuer_of(peer) if peer else None
    finally:
        writer.close()
        with suppress(OSError):
            await writer.wait_closed()


async def _connect(url: URL, limit: Nearness) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    loop = asyncio.get_running_loop()
    found = await loop.getaddrinfo(url.host, url.port, type=socket.SOCK_STREAM)
    sock = guarded_socket(limit)(found[0])
    try:
        sock.setblocking(False)
        await loop.sock_connect(sock, found[0][4])
        return await asyncio.open_connection(sock=sock, limit=_HEAD_BYTES)
    except BaseException:
        sock.close()
        raise


def _blind_context() -> ssl.SSLContext:
    context = ssl.create_default_context()
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    return context
