"""Secrets at rest: what the database keeps of a password is unreadable without the data folder's key."""

from base64 import urlsafe_b64encode

from cryptography.fernet import Fernet, InvalidToken
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from headgate.kernel.errors import Unavailable


class Sealer:
    """Encrypts short texts with a key made from the server's secret; one key per purpose.

    A value sealed for one purpose cannot be opened for another, so a row moved between tables stays closed.
    """

    def __init__(self, secret: bytes, purpose: str) -> None:
        key = HKDF(SHA256(), 32, salt=None, info=b"headgate seal " + purpose.encode()).derive(secret)
        self._fernet = Fernet(urlsafe_b64encode(key))
        self._purpose = purpose

    def seal(self, text: str) -> str:
        """The text, encrypted and authenticated (Fernet); different at every call."""
        return self._fernet.encrypt(text.encode()).decode()

    def unseal(self, sealed: str) -> str:
        """The text again. Raises Unavailable `secret-unreadable` when it was sealed with another key."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken as error:
            raise Unavailable(
                "secret-unreadable",
                f"A stored secret ({self._purpose}) was sealed with another secret.key. "
                "Put back the key that belongs to this database, or set the secret again.",
            ) from error
