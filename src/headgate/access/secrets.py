"""Token texts, their digests, and the key that both hang on."""

import hashlib
import hmac
import os
import secrets
import string
from pathlib import Path

_ALPHABET = string.ascii_letters + string.digits
_PREFIX_LENGTH = 10
_SECRET_LENGTH = 32


def load_secret(path: Path) -> bytes:
    """The server's 32-byte secret, made at the first call; readable by the owner alone."""
    try:
        return path.read_bytes()
    except FileNotFoundError:
        pass
    temporary = path.with_name(f"{path.name}.{secrets.token_hex(4)}")
    descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(secrets.token_bytes(32))
        file.flush()
        os.fsync(descriptor)
    try:
        os.link(temporary, path)  # fails when another process was first, whose key then counts
    except FileExistsError:
        pass
    finally:
        temporary.unlink()
    return path.read_bytes()


def new_token() -> tuple[str, str]:
    """A token's public prefix and whole text. conda cuts what is not `[A-Za-z0-9-]`, so nothing else is in it."""
    prefix = "".join(secrets.choice(_ALPHABET) for _ in range(_PREFIX_LENGTH))
    return prefix, f"hg-{prefix}-" + "".join(secrets.choice(_ALPHABET) for _ in range(_SECRET_LENGTH))


def prefix_of(text: str) -> str | None:
    """The public prefix of a token's text, or None when it cannot be a token of ours."""
    parts = text.split("-")
    return parts[1] if len(parts) == 3 and parts[0] == "hg" else None


def digest_of(secret: bytes, text: str) -> bytes:
    """What is stored of a token: HMAC-SHA256 under the server's secret."""
    return hmac.digest(secret, text.encode("utf-8", "surrogateescape"), hashlib.sha256)


def generate_password() -> str:
    """A password a person can type: about 118 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))
