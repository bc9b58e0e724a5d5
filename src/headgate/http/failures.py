"""Transport failures as sentences.

The text of an aiohttp error may hold a whole URL with its token, so it is never repeated; neither is the error chained.
"""

import os
import ssl
from typing import Final

import aiohttp
from aiohttp.http_exceptions import HttpProcessingError

from headgate.http.addresses import AddressRefused
from headgate.kernel.errors import Unavailable

PROXY_ERRORS = (aiohttp.ClientHttpProxyError, aiohttp.ClientProxyConnectionError)
TRANSPORT_ERRORS = (aiohttp.ClientError, HttpProcessingError, OSError)

_SENTENCES: Final[tuple[tuple[type[Exception], str], ...]] = (
    (aiohttp.ClientConnectorSSLError, "no TLS connection could be agreed on"),
    (aiohttp.ClientConnectorDNSError, "its host name cannot be resolved"),
    (TimeoutError, "it took too long"),
    (aiohttp.ServerDisconnectedError, "the connection was closed too early"),
    (aiohttp.ClientPayloadError, "the connection was closed too early"),
    (aiohttp.ClientResponseError, "what it sent is not HTTP"),
    (HttpProcessingError, "what it sent is not HTTP"),
)


def unreachable(shown: str, error: Exception) -> Unavailable:
    """The error for a request that brought no answer; `shown` is the masked URL."""
    if isinstance(error, aiohttp.ClientConnectorError) and isinstance(error.os_error, AddressRefused):
        return Unavailable("upstream-redirect-refused", f"{shown} was not contacted: {error.os_error}.")
    return Unavailable("upstream-unreachable", f"{shown} could not be reached: {_why(error)}.")


def given_up(shown: str) -> Unavailable:
    """The error for a request that was still under way when this process closed its connections."""
    return Unavailable("upstream-given-up", f"{shown} was not asked to the end: this process is stopping.")


def untrusted(shown: str, error: aiohttp.ClientConnectorCertificateError, issuer: str | None) -> Unavailable:
    """The error for a certificate that does not verify; `issuer` is who signed it, when that is known."""
    detail = _certificate_detail(error.certificate_error)
    if issuer is None:
        return Unavailable("upstream-untrusted", f"{shown} is not trusted: its certificate does not verify{detail}.")
    return Unavailable(
        "upstream-untrusted",
        f'{shown} is not trusted: its certificate, issued by "{issuer}", does not verify{detail}. If that CA is '
        "yours, add it with `headgate ca add` and name it in the mirror's `ca`.",
    )


def proxy_refused(proxy: str) -> Unavailable:
    """The error for a proxy that answered 407; `proxy` is its masked URL."""
    return Unavailable(
        "proxy-refused",
        f"The proxy {proxy} wants other credentials than it was given (407). Correct the user and password in its URL.",
    )


def proxy_failed(proxy: str, shown: str, error: Exception) -> Unavailable:
    """The error for a request that the proxy did not pass on; both are masked URLs."""
    if isinstance(error, aiohttp.ClientHttpProxyError):
        if error.status == 407:
            return proxy_refused(proxy)
        # What a proxy's rules forbid stays forbidden; what it could not reach may come back.
        code = "proxy-failed" if error.status >= 500 else "proxy-denied"
        return Unavailable(code, f"The proxy {proxy} answered {error.status} when asked for {shown}.")
    return Unavailable("proxy-unreachable", f"The proxy {proxy} could not be reached: {_why(error)}.")


def cut(shown: str, error: Exception) -> Unavailable:
    """The error for an answer that broke off; `shown` is the masked URL."""
    return Unavailable("upstream-cut", f"The answer of {shown} broke off: {_why(error)}.")


def _why(error: Exception) -> str:
    if isinstance(error, aiohttp.ClientConnectorCertificateError):
        return f"its certificate is not trusted{_certificate_detail(error.certificate_error)}"
    for kind, sentence in _SENTENCES:
        if isinstance(error, kind):
            return sentence
    number = error.errno if isinstance(error, OSError) else None
    return os.strerror(number) if number else "the connection failed"


def _certificate_detail(error: Exception) -> str:
    return f" ({error.verify_message})" if isinstance(error, ssl.SSLCertVerificationError) else ""
