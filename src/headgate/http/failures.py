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
