"""What a page says once after a change, with the way back.

It travels in a cookie from the change to the page that follows, sealed with the proof of the session: another site that can
set cookies must not be able to put a form into our pages.
"""

import hashlib
import hmac
from base64 import urlsafe_b64decode, urlsafe_b64encode
from binascii import Error
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import msgspec
from starlette.requests import Request

COOKIE = "headgate-said"
_LIFE_S = 60
_MOST_TAKEN_BACK = 2_000
"""Of a form; browsers keep no cookie above 4 kB."""


@dataclass(frozen=True, slots=True)
class Undo:
    """The change that takes it back: where it is posted, and its fields."""

    path: str
    fields: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Toast:
    """A sentence, and what its button takes back."""

    text: str
    undo: Undo | None = None
    is_wrong: bool = False


def toast_cookie(toast: Toast | None, proof: str) -> str:
    """`Set-Cookie` for it; None takes it away."""
    if toast is None:
        return f"{COOKIE}=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict"
    if toast.undo is not None and len(msgspec.json.encode(toast)) > _MOST_TAKEN_BACK:
        toast = replace(toast, undo=None)
    body = urlsafe_b64encode(msgspec.json.encode(toast)).decode()
    return f"{COOKIE}={body}.{_seal(body, proof)}; Path=/; Max-Age={_LIFE_S}; HttpOnly; SameSite=Strict"


def find_toast(request: Request, proof: str) -> Toast | None:
    """What is to be said on this page; nothing that we have not said ourselves."""
    body, _, seal = request.cookies.get(COOKIE, "").rpartition(".")
    if not body or not proof or not hmac.compare_digest(seal.encode(), _seal(body, proof).encode()):
        return None
    try:
        return msgspec.json.decode(urlsafe_b64decode(body), type=Toast)
    except (Error, msgspec.MsgspecError):
        return None


def _seal(body: str, proof: str) -> str:
    return hmac.new(proof.encode(), body.encode(), hashlib.sha256).hexdigest()
