"""Proxies that are themselves reached over TLS: for plain URLs, and for TLS within TLS."""

import asyncio
import base64
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest

from headgate.http.client import Outgoing
from headgate.http.network import Network
from headgate.http.proxies import Proxies
from headgate.kernel.errors import Unavailable
from tests.certificates import Authority

ANSWER = b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nConnection: close\r\n\r\nhello"
CREDENTIALS = base64.b64encode(b"me:p@ss").decode()


def server_context(authority: Authority, folder: Path) -> ssl.SSLContext:
    (folder / "pair.pem").write_text("".join(authority.issue("127.0.0.1")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "pair.pem")
    return context


@asynccontextmanager
async def tls_proxy(context: ssl.SSLContext) -> AsyncIterator[tuple[int, list[str]]]:
    """A proxy behind TLS that tunnels to loopback, or answers by itself; its port, and the heads it got."""
    heads: list[str] = []

    async def pump(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            while piece := await reader.read(65536):
                writer.write(piece)
                await writer.drain()
        writer.close()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        heads.append(head)
        verb, target, _ = head.split(" ", 2)
        if verb != "CONNECT":
            writer.write(ANSWER)
            await writer.drain()
            writer.close()
            return
        host, _, port = target.rpartition(":")
        there_reader, there_writer = await asyncio.open_connection(host, int(port))
        writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await asyncio.gather(pump(reader, there_writer), pump(there_reader, writer))

    server = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    yield server.sockets[0].getsockname()[1], heads
    server.close()


async def ask(network: Network, url: str) -> bytes:
    client = Outgoing(network)
    try:
        async with client.open(url) as answer:
            return await answer.read(100)
    finally:
        await client.close()


def network_of(authority: Authority, port: int) -> Network:
    proxy = f"https://me:p%40ss@127.0.0.1:{port}"
    return Network(Proxies(proxy, proxy), authorities=(authority.pem,))


async def test_plain_url_through_a_tls_proxy_with_credentials(tmp_path: Path) -> None:
    authority = Authority("Proxy CA")
    async with tls_proxy(server_context(authority, tmp_path)) as (port, heads):
        assert await ask(network_of(authority, port), "http://conda.example/x") == b"hello"
        assert heads[0].startswith("GET http://conda.example/x HTTP/1.1")
        assert f"Proxy-Authorization: Basic {CREDENTIALS}" in heads[0]
        with pytest.raises(Unavailable) as raised:
            await ask(network_of(Authority("Other CA"), port), "http://conda.example/x")
        assert "p%40ss" not in raised.value.message


async def test_tls_within_tls(tmp_path: Path) -> None:
    authority = Authority("Both's CA")
    context = server_context(authority, tmp_path)

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        assert b"proxy-authorization" not in head.lower()
        writer.write(ANSWER)
        await writer.drain()
        writer.close()

    upstream = await asyncio.start_server(handle, "127.0.0.1", 0, ssl=context)
    url = f"https://127.0.0.1:{upstream.sockets[0].getsockname()[1]}/x"
    async with tls_proxy(context) as (port, heads):
        assert await ask(network_of(authority, port), url) == b"hello"
    assert f"Proxy-Authorization: Basic {CREDENTIALS}" in heads[0]
    assert len(heads) == 1
    upstream.close()
