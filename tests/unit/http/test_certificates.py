"""Certificates: read in each form, described, trusted where they were given, and presented."""

import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from cryptography.hazmat.primitives.serialization import Encoding

from headgate.http.certificates import check_client_certificate, describe, read_certificates, to_pem
from headgate.http.client import Outgoing
from headgate.http.network import Network
from headgate.kernel.errors import Invalid, Unavailable
from tests.certificates import Authority


@asynccontextmanager
async def tls_server(authority: Authority, folder: Path, *, clients: Authority | None = None) -> AsyncIterator[str]:
    """A server on loopback; with `clients`, it wants certificates that these issued."""

    async def answer(request: web.Request) -> web.StreamResponse:
        assert request.transport is not None
        peer = request.transport.get_extra_info("peercert")
        return web.Response(text=str(peer and dict(part[0] for part in peer["subject"]).get("commonName")))

    (folder / "server.pem").write_text("".join(authority.issue("127.0.0.1")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(folder / "server.pem")
    if clients is not None:
        context.verify_mode = ssl.CERT_REQUIRED
        context.load_verify_locations(cadata=clients.pem)
    app = web.Application()
    app.router.add_get("/", answer)
    server = TestServer(app, host="127.0.0.1", scheme="https")
    await server.start_server(ssl=context)
    yield f"https://127.0.0.1:{server.port}/"
    await server.close()


async def ask(network: Network, url: str) -> str:
    client = Outgoing(network)
    try:
        async with client.open(url) as answer:
            return (await answer.read(1000)).decode()
    finally:
        await client.close()


def test_certificates_in_each_form() -> None:
    first, second = Authority("First CA"), Authority("Second CA")
    der = first.certificate.public_bytes(Encoding.DER)
    assert read_certificates(der) == [first.certificate]
    both = to_pem([first.certificate, second.certificate])
    assert [describe(one).subject for one in read_certificates(both.encode())] == ["CN=First CA", "CN=Second CA"]
    assert describe(first.certificate).is_authority
    leaf = read_certificates(first.issue("host.example")[0].encode())[0]
    assert (describe(leaf).issuer, describe(leaf).is_authority) == ("CN=First CA", False)
    assert describe(Authority("Old CA", timedelta(days=-1)).certificate).has_expired


@pytest.mark.parametrize(
    "data", [b"", b"hello", b"-----BEGIN CERTIFICATE-----\nAA\n-----END CERTIFICATE-----", b"0000"]
)
def test_what_is_no_certificate_is_refused(data: bytes) -> None:
    with pytest.raises(Invalid) as raised:
        read_certificates(data)
    assert raised.value.code == "certificate-invalid"


def test_client_certificate_needs_its_own_key() -> None:
    authority = Authority("CA")
    certificate, key = authority.issue("client.example")
    check_client_certificate(None, None)
    check_client_certificate(certificate, key)
    for one, other in ((certificate, None), (None, key), (certificate, authority.issue("x.example")[1]), (key, key)):
        with pytest.raises(Invalid) as raised:
            check_client_certificate(one, other)
        assert raised.value.code == "certificate-invalid"


async def test_unknown_authority_is_named_and_trusted_once_it_is_added(tmp_path: Path) -> None:
    authority = Authority("Corporate CA")
    async with tls_server(authority, tmp_path) as url:
        with pytest.raises(Unavailable) as raised:
            await ask(Network(), url)
        assert raised.value.code == "upstream-untrusted"
        assert '"CN=Corporate CA"' in raised.value.message
        assert await ask(Network(authorities=(Authority("Other CA").pem, authority.pem)), url) == "None"
        assert await ask(Network(is_verifying=False), url) == "None"


async def test_client_certificate_is_presented(tmp_path: Path) -> None:
    authority = Authority("Corporate CA")
    certificate, key = authority.issue("client.example")
    async with tls_server(authority, tmp_path, clients=authority) as url:
        with pytest.raises(Unavailable):
            await ask(Network(authorities=(authority.pem,)), url)
        network = Network(authorities=(authority.pem,), client_certificate=f"{certificate}\n{key}")
        assert await ask(network, url) == "client.example"
        assert key not in repr(network)
