"""Token texts, their digests, and the key that both hang on."""

import hashlib
import hmac
import os
import re
import secrets
import string
from pathlib import Path

from headgate.access.passwords import is_trivial
from headgate.kernel.errors import Invalid

_ALPHABET = string.ascii_letters + string.digits
_PREFIX_LENGTH = 10
_SECRET_LENGTH = 32
_CHOSEN = re.compile(r"[A-Za-z0-9-]{20,128}")
_FEWEST_CHARACTERS = 8


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


def is_generated(text: str) -> bool:
    """True for what looks like a token's text of our own making."""
    parts = text.split("-")
    return len(parts) == 3 and parts[0] == "hg"


def prefix_of(secret: bytes, text: str) -> str | None:
    """The public prefix by which a token's text is looked up; None when it cannot be one.

    A text that somebody chose has none in it: its prefix is a short digest under the server's secret.
    """
    if is_generated(text):
        return text.split("-")[1]
    if not _CHOSEN.fullmatch(text):
        return None
    return f"own-{digest_of(secret, f'prefix {text}').hex()[:12]}"


def check_chosen_text(text: str) -> None:
    """Raises Invalid `token-text-invalid` for a text that is too weak, or that conda could not carry."""
    if not _CHOSEN.fullmatch(text) or text.startswith("hg-"):
        raise Invalid(
            "token-text-invalid",
            "A token's own text has 20 to 128 of A-Z, a-z, 0-9 and -, and does not begin with hg-.",
        )
    if len(set(text)) < _FEWEST_CHARACTERS or is_trivial(text):
        raise Invalid(
            "token-text-invalid", "That text is easily guessed: it repeats itself. Leave it out, and one is made."
        )


def digest_of(secret: bytes, text: str) -> bytes:
    """What is stored of a token: HMAC-SHA256 under the server's secret."""
    return hmac.digest(secret, text.encode("utf-8", "surrogateescape"), hashlib.sha256)


def generate_password() -> str:
    """A password a person can type: about 118 bits."""
    return "-".join("".join(secrets.choice(_ALPHABET) for _ in range(5)) for _ in range(4))
