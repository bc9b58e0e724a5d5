"""The server's own signature, under checkpoints and evidence: ed25519 (RFC 8032), its key made from the server's secret."""

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

# Signatures under this heading mean nothing for anything but the audit.
_HEADING = b"headgate audit\0"


class Signer:
    """Signs in the name of this server; the same secret makes the same key."""

    def __init__(self, secret: bytes) -> None:
        seed = HKDF(SHA256(), 32, salt=None, info=b"headgate audit signing key").derive(secret)
        self._key = Ed25519PrivateKey.from_private_bytes(seed)
        self.public_key = self._key.public_key().public_bytes_raw().hex()

    def sign(self, content: bytes) -> str:
        """The signature, in hexadecimal digits."""
        return self._key.sign(_HEADING + content).hex()


def is_signed(content: bytes, signature: str, public_key: str) -> bool:
    """Whether the holder of a key signed that."""
    try:
        key = Ed25519PublicKey.from_public_bytes(bytes.fromhex(public_key))
        key.verify(bytes.fromhex(signature), _HEADING + content)
    except (InvalidSignature, ValueError):
        return False
    return True
