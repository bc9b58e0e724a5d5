"""How audit events leave: as syslog messages over TCP, TLS or UDP, or as signed POSTs to a webhook."""

import asyncio
import hashlib
import hmac
import json
import socket
from collections.abc import Callable, Sequence
from typing import Protocol
from urllib.parse import urlsplit

from headgate.audit.chain import Event
from headgate.http.certificates import make_context
from headgate.http.client import Outgoing
from headgate.kernel import clock
from headgate.kernel.errors import Invalid, Unavailable

SYSLOG_PORTS = {"syslog+udp": 514, "syslog+tcp": 601, "syslog+tls": 6514}
SIGNATURE = "X-Headgate-Signature"
_TIMEOUT_S = 20.0
# Facility 13 (log audit), severity 6 (informational).
_PRIORITY = 13 * 8 + 6
# The number that IANA keeps for examples; Headgate has none of its own.
_STRUCTURED = "headgate@32473"
_MOST_DATAGRAM_BYTES = 60_000


class Sender(Protocol):
    """Hands events over."""

    async def send(self, events: Sequence[Event]) -> None:
        """All of them, in their order. Raises Unavailable `stream-failed`."""


class SyslogSender:
    """RFC 5424 messages; over TCP and TLS each with its length in front (RFC 6587, RFC 5425), over UDP one a datagram."""

    def __init__(self, url: str, ca: str | None) -> None:
        parts = urlsplit(url)
        self._scheme = parts.scheme
        self._host, self._port = parts.hostname or "", parts.port or SYSLOG_PORTS[parts.scheme]
        self._ca = ca

    async def send(self, events: Sequence[Event]) -> None:
        """Raises Unavailable `stream-failed`. Syslog confirms nothing: what the kernel took counts as sent."""
        messages = [render_syslog(event, socket.gethostname()) for event in events]
        try:
            async with asyncio.timeout(_TIMEOUT_S):
                if self._scheme == "syslog+udp":
                    await self._send_datagrams(messages)
                else:
                    await self._send_stream(messages)
        except (OSError, TimeoutError) as error:
            what = str(error) or "it took too long"
            raise Unavailable("stream-failed", f"{self._host}:{self._port} cannot be reached: {what}.") from error

    async def _send_stream(self, messages: Sequence[bytes]) -> None:
        context = None
        if self._scheme == "syslog+tls":
            trusted = () if self._ca is None else (self._ca,)
            context = make_context(trusted, is_verifying=True, client_certificate=None)
        _, writer = await asyncio.open_connection(self._host, self._port, ssl=context)
        try:
            for message in messages:
                writer.write(b"%d %b" % (len(message), message))
                await writer.drain()
        finally:
            writer.close()
            await writer.wait_closed()

    async def _send_datagrams(self, messages: Sequence[bytes]) -> None:
        loop = asyncio.get_running_loop()
        transport, _ = await loop.create_datagram_endpoint(
            asyncio.DatagramProtocol, remote_addr=(self._host, self._port)
        )
        try:
            for message in messages:
                transport.sendto(message[:_MOST_DATAGRAM_BYTES])
        finally:
            transport.close()


class WebhookSender:
    """POSTs `{"events": [...]}`, signed like `t=<Unix time>,v1=<HMAC-SHA256 of "<time>.<body>", hexadecimal>`."""

    def __init__(self, url: str, secret: str, outgoing: Callable[[], Outgoing]) -> None:
        self._url = url
        self._secret = secret
        self._outgoing = outgoing

    async def send(self, events: Sequence[Event]) -> None:
        """Raises Unavailable for anything but an answer of 2xx; a redirect is one, too."""
        body = json.dumps({"events": [event.as_json() for event in events]}, ensure_ascii=True).encode()
        headers = {
            "Content-Type": "application/json",
            "X-Headgate-Delivery": f"{events[0].number}-{events[-1].number}",
            SIGNATURE: sign_body(self._secret, body, clock.now_ms() // 1000),
        }
        async with self._outgoing().open(self._url, method="POST", headers=headers, body=body) as answer:
            if not 200 <= answer.status < 300:
                raise Unavailable("stream-failed", f"{answer.url} answered {answer.status}.")


def sign_body(secret: str, body: bytes, at: int) -> str:
    """The signature of a body that is sent at a moment (Unix time)."""
    digest = hmac.new(secret.encode(), b"%d.%b" % (at, body), hashlib.sha256).hexdigest()
    return f"t={at},v1={digest}"


def render_syslog(event: Event, host: str) -> bytes:
    """An event as RFC 5424 writes it: what can be told in structured data, and all of it as JSON."""
    parameters = {
        "number": str(event.number),
        "actor": event.actor,
        "channel": event.channel or "-",
        "subject": event.subject or "-",
        "hash": event.hash.hex(),
    }
    structured = " ".join(f'{key}="{_escaped(value)}"' for key, value in parameters.items())
    at = event.at.strftime("%Y-%m-%dT%H:%M:%S.") + f"{event.at.microsecond // 1000:03d}Z"
    head = (
        f"<{_PRIORITY}>1 {at} {_ascii(host, 255)} headgate - {_ascii(event.action, 32)} [{_STRUCTURED} {structured}] "
    )
    return head.encode() + b"\xef\xbb\xbf" + json.dumps(event.as_json(), ensure_ascii=False).encode("utf-8", "replace")


def check_url(url: str) -> str:
    """The kind of stream that a URL asks for. Raises Invalid `stream-invalid`."""
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise Invalid("stream-invalid", f"The URL cannot be read: {error}.") from error
    if not parts.hostname or parts.username is not None or parts.password is not None or port == 0:
        raise Invalid("stream-invalid", "The URL needs a host, and holds no user and no password.")
    if parts.scheme in SYSLOG_PORTS:
        if parts.path.strip("/") or parts.query:
            raise Invalid("stream-invalid", "Of syslog the URL says the host and the port alone.")
        return "syslog"
    if parts.scheme in {"http", "https"}:
        return "webhook"
    known = ", ".join(SYSLOG_PORTS)
    raise Invalid("stream-invalid", f"The URL must begin with https, http, {known}.")


def _escaped(value: str) -> str:
    plain = "".join(letter if letter.isprintable() else " " for letter in value)
    return plain.replace("\\", "\\\\").replace('"', '\\"').replace("]", "\\]")


def _ascii(value: str, most: int) -> str:
    return "".join(letter if "!" <= letter <= "~" else "_" for letter in value)[:most] or "-"
