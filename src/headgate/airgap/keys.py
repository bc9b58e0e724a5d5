"""Keys that sign bundles: ed25519 (RFC 8032), kept in files of one line.

headgate-ed25519-private <64 hexadecimal digits>      K, mode 0600
headgate-ed25519-public  <64 hexadecimal digits>      K.pub
"""

import contextlib
import os
import re
from collections.abc import Iterator, Mapping
from pathlib import Path

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from headgate.kernel.errors import Conflict, Invalid, Refused, Unavailable

SIGNATURE_BYTES = 64
# Signatures under this heading mean nothing for anything but a manifest.
_HEADING = b"headgate bundle manifest\0"
_PRIVATE, _PUBLIC = "headgate-ed25519-private", "headgate-ed25519-public"
_HEX = re.compile(r"[0-9a-f]{64}")
_FILE_BYTES = 1024
_SIGNATURE = re.compile(r"[0-9a-f]{128}")


def generate_key(path: Path) -> str:
    """Write a new private key to `path` and the public one beside it as `<path>.pub`; the public key in hexadecimal.

    Raises Conflict `key-exists`: no key is ever overwritten. Raises Unavailable `key-unwritable`.
    """
    private = Ed25519PrivateKey.generate()
    public = private.public_key().public_bytes_raw().hex()
    beside = path.with_name(f"{path.name}.pub")
    with _writing(path):
        _write_new(beside, f"{_PUBLIC} {public}\n", 0o644)
        try:
            _write_new(path, f"{_PRIVATE} {private.private_bytes_raw().hex()}\n", 0o600)
        except OSError:
            beside.unlink()
            raise
    return public


def load_private_key(path: Path) -> Ed25519PrivateKey:
    """Read a private key. Raises Invalid `key-invalid`."""
    return Ed25519PrivateKey.from_private_bytes(bytes.fromhex(_read(path, _PRIVATE)))


def load_public_key(path: Path) -> str:
    """Read a public key; it is named by its 64 hexadecimal digits. Raises Invalid `key-invalid`."""
    return _read(path, _PUBLIC)


def parse_public_key(text: str) -> str:
    """A public key as the API is given it: the line of its file, or the digits alone. Raises Invalid `key-invalid`."""
    digits = text.strip().removeprefix(_PUBLIC).strip()
    if not _HEX.fullmatch(digits):
        raise Invalid("key-invalid", "This is not a public key: give the line that `headgate bundle keygen` wrote.")
    return digits


def parse_signature(text: str) -> bytes:
    """A signature as `headgate bundle sign` prints it. Raises Invalid `signature-invalid`."""
    digits = text.strip()
    if not _SIGNATURE.fullmatch(digits):
        raise Invalid(
            "signature-invalid",
            "This is not a signature: give the 128 hexadecimal digits that `headgate bundle sign` printed.",
        )
    return bytes.fromhex(digits)


def sign(key: Ed25519PrivateKey, manifest: bytes) -> bytes:
    """The signature of a manifest's bytes; always the same for the same bytes."""
    return key.sign(_HEADING + manifest)


def find_signer(manifest: bytes, signature: bytes, trusted: Mapping[str, str]) -> str:
    """The trusted key (name -> hexadecimal digits) that signed the manifest; its digits.

    Raises Refused `bundle-untrusted`.
    """
    for digits in trusted.values():
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(digits))
        with contextlib.suppress(InvalidSignature):
            key.verify(signature, _HEADING + manifest)
            return digits
    names = ", ".join(sorted(trusted)) or "none"
    raise Refused(
        "bundle-untrusted",
        f"The bundle's manifest is not signed by a key that is trusted here ({names}). "
        "Get the signer's public key by a way you trust, or check that the file is the one that was sent.",
    )


def _read(path: Path, heading: str) -> str:
    try:
        with path.open("rb") as file:
            words = file.read(_FILE_BYTES).decode("ascii", "replace").split()
    except OSError as error:
        raise Invalid("key-invalid", f"{path} cannot be read: {error.strerror}.") from error
    if len(words) != 2 or words[0] != heading or not _HEX.fullmatch(words[1]):
        other = " It is a public key; the private one has no .pub." if words[:1] == [_PUBLIC] else ""
        raise Invalid("key-invalid", f"{path} is not a file that begins with {heading}.{other}")
    return words[1]


def _write_new(path: Path, text: str, mode: int) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "w", encoding="ascii") as file:
        file.write(text)


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except FileExistsError as error:
        raise Conflict("key-exists", f"{error.filename} exists; no key is overwritten. Choose another name.") from error
    except OSError as error:
        raise Unavailable("key-unwritable", f"{path} cannot be written: {error.strerror}.") from error
