"""Certificates of others that we trust, and those of ours that we present."""

import base64
import binascii
import os
import ssl
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, load_pem_private_key

from headgate.kernel import clock
from headgate.kernel.errors import Invalid

_BEGIN = b"-----BEGIN"


@dataclass(frozen=True, slots=True)
class Certificate:
    """What is worth knowing of a certificate."""

    subject: str
    issuer: str
    expires_at: datetime
    is_authority: bool

    @property
    def has_expired(self) -> bool:
        """True when its time is over."""
        return self.expires_at < clock.now()


def read_certificates(data: bytes) -> list[x509.Certificate]:
    """The certificates in PEM, in DER, or in base64 of DER; raises Invalid `certificate-invalid`."""
    try:
        if _BEGIN in data:
            return x509.load_pem_x509_certificates(data)
        der = data if data[:1] == b"\x30" else base64.b64decode(b"".join(data.split()), validate=True)
        return [x509.load_der_x509_certificate(der)]
    except (ValueError, binascii.Error) as error:
        raise Invalid("certificate-invalid", "That is not a certificate: neither PEM nor DER.") from error


def to_pem(certificates: Sequence[x509.Certificate]) -> str:
    """All of them, as one PEM text."""
    return "".join(one.public_bytes(Encoding.PEM).decode() for one in certificates)


def describe(certificate: x509.Certificate) -> Certificate:
    """What is worth knowing of it."""
    try:
        is_authority = certificate.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    except x509.ExtensionNotFound:
        is_authority = certificate.subject == certificate.issuer  # older than the extension
    return Certificate(
        subject=certificate.subject.rfc4514_string(),
        issuer=certificate.issuer.rfc4514_string(),
        expires_at=certificate.not_valid_after_utc,
        is_authority=bool(is_authority),
    )


def issuer_of(der: bytes) -> str:
    """Who signed a certificate, as RFC 4514 writes names."""
    return x509.load_der_x509_certificate(der).issuer.rfc4514_string()


def check_client_certificate(certificate: str | None, key: str | None) -> None:
    """Raises Invalid `certificate-invalid` unless both are given and belong together, or neither is."""
    if certificate is None and key is None:
        return
    if certificate is None or key is None:
        raise Invalid("certificate-invalid", "A client certificate needs its key, and the key its certificate.")
    public = read_certificates(certificate.encode())[0].public_key()
    try:
        private = load_pem_private_key(key.encode(), password=None)
    except (ValueError, TypeError) as error:
        raise Invalid("certificate-invalid", "The client key is not a PEM key without a passphrase.") from error
    if private.public_key() != public:
        raise Invalid("certificate-invalid", "The client key does not belong to the client certificate.")


def make_context(authorities: Sequence[str], *, is_verifying: bool, client_certificate: str | None) -> ssl.SSLContext:
    """TLS as the system has it, with `authorities` (PEM) trusted besides, presenting `client_certificate` (PEM, key too)."""
    context = ssl.create_default_context()
    # What was added is trusted for itself, even when it is no root.
    context.verify_flags |= ssl.VERIFY_X509_PARTIAL_CHAIN
    if authorities:
        context.load_verify_locations(cadata="".join(authorities))
    if not is_verifying:
        context.check_hostname = False
        context.verify_mode = ssl.CERT_NONE
    if client_certificate is not None:
        _present(context, client_certificate)
    return context


def _present(context: ssl.SSLContext, pem: str) -> None:
    # OpenSSL reads keys from files alone; this one is in memory.
    descriptor = os.memfd_create("client-certificate", os.MFD_CLOEXEC)
    try:
        os.write(descriptor, pem.encode())
        context.load_cert_chain(f"/proc/self/fd/{descriptor}")
    finally:
        os.close(descriptor)
