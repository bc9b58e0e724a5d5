"""Passwords: what they must be, and how they are kept (argon2id)."""

import asyncio
import functools
import re
from dataclasses import dataclass

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from headgate.kernel.errors import Invalid

_HASHER = PasswordHasher()
_FEWEST_LETTERS = 5
_LEAST_BESIDE_NAME = 8
# What people think of first. Digits and signs around them make them no better.
_COMMON = frozenset(
    "admin administrator anaconda changeme conda default dragon headgate iloveyou letmein login master miniconda monkey "
    "password passwort qwerty qwertz root secret summer superuser temporary test user welcome winter".split()
)
_ROWS = ("abcdefghijklmnopqrstuvwxyz", "01234567890123456789", "qwertyuiop", "qwertzuiop", "asdfghjkl", "zxcvbnm")


@dataclass(frozen=True, slots=True)
class PasswordRules:
    """What a password must be to be taken."""

    min_length: int = 12

    def check(self, password: str, user: str) -> None:
        """Raises Invalid `password-short` or `password-weak`."""
        self.check_length(password)
        if _is_little_but(user, password):
            raise Invalid("password-weak", "A password must be more than the user's name. Choose another.")
        if is_trivial(password):
            raise Invalid("password-weak", "That password is among the first that anybody would try. Choose another.")

    def check_length(self, password: str) -> None:
        """Raises Invalid `password-short`."""
        if len(password) < self.min_length:
            raise Invalid("password-short", f"A password needs at least {self.min_length} characters.")


def _is_little_but(user: str, password: str) -> bool:
    """The name may stand in a password that would be long enough to guess without it."""
    password, user = password.casefold(), user.casefold()
    return user in password and len(password.replace(user, "")) < _LEAST_BESIDE_NAME


def is_trivial(text: str) -> bool:
    """True for what anybody would try: few different characters, a repetition, a row of keys, a common word."""
    plain = text.casefold()
    if len(set(plain)) < _FEWEST_LETTERS or _is_repeated(plain) or _is_row(plain):
        return True
    letters = re.sub(r"[^a-z]", "", plain.translate(str.maketrans("013457@$", "oieastas")))
    return any(_repeats(one, word) for one in (letters, re.sub(r"[^a-z]", "", plain)) for word in _COMMON)


def _is_repeated(text: str) -> bool:
    """`abcabcabcabc`, and `passpasspass`: one short piece, again and again."""
    return any(_repeats(text, text[:size]) for size in range(1, len(text) // 2 + 1))


def _repeats(text: str, piece: str) -> bool:
    return bool(text) and len(text) >= len(piece) and (piece * (len(text) // len(piece) + 1))[: len(text)] == text


def _is_row(text: str) -> bool:
    return any(text in row or text in row[::-1] for row in (one * 2 for one in _ROWS))


async def hash_password(password: str) -> str:
    """What is stored of a password; in a thread, because it takes long on purpose."""
    return await asyncio.to_thread(_HASHER.hash, password)


def verify_password(stored: str | None, password: str) -> bool:
    """Whether the password is the stored one. Nobody's (None) takes as long as a wrong one."""
    try:
        _HASHER.verify(stored or _no_password(), password)
    except (VerificationError, InvalidHashError):
        return False
    return stored is not None


@functools.cache
def _no_password() -> str:
    return _HASHER.hash("no such user")
