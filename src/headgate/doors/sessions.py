"""The cookie of a session, on every door; and the proof that a change was asked for by our own pages.

                 where it is checked                        what it keeps out
SameSite=Lax     the browser                                most requests that other sites make
origin           Sec-Fetch-Site, or Origin where it lacks   what is left of them; subdomains, old browsers
proof            a header or form field, per session        whatever can send cookies, but cannot read our pages
"""

from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

from headgate.access.authenticate import Authenticator
from headgate.access.principals import Principal
from headgate.access.sessions import Session, Sessions
from headgate.doors.http import Scope, header, public_url
from headgate.kernel.errors import Refused

PROOF_HEADER = "x-csrf-token"
PROOF_FIELD = "csrf_token"
_SESSION, _SIGN_IN = "headgate", "headgate-sign-in"


@dataclass(frozen=True, slots=True)
class Visitor:
    """Somebody at a browser, who signed in."""

    session: Session
    principal: Principal


@dataclass(frozen=True, slots=True)
class SessionCookies:
    """Reads and writes cookies. `configured` is the URL that the server is known by, if that was told."""

    sessions: Sessions
    authenticator: Authenticator
    configured: str | None

    async def find(self, scope: Scope) -> Visitor | None:
        """Who sits at the browser. A cookie of no live session is as good as none: browsers send it unasked."""
        known = _cookies(scope)
        text = known.get(self._name(scope, _SESSION)) if known else None
        session = None if text is None else await self.sessions.find(text)
        principal = None if session is None else self.authenticator.user(session.user_id)
        return None if session is None or principal is None else Visitor(session, principal)

    def proof(self, visitor: Visitor) -> str:
        """What a change by this visitor has to bring along."""
        return self.sessions.proof(visitor.session)

    def check(self, scope: Scope, visitor: Visitor, proof: str | None) -> None:
        """Raises Refused `request-forged` unless the change was asked for by one of our own pages."""
        self.check_origin(scope)
        if not self.sessions.is_proof(visitor.session, proof or ""):
            raise Refused(
                "request-forged",
                f"A change with a session's cookie needs its {PROOF_HEADER}, which GET /api/v1/me tells; "
                "reload the page and try again.",
            )

    def check_origin(self, scope: Scope) -> None:
        """The same of where the request comes from alone, for who has no session yet."""
        site = header(scope, b"sec-fetch-site")
        origin = header(scope, b"origin")
        if site == "same-origin" if site is not None else origin in self._origins(scope):
            return
        raise Refused(
            "request-forged",
            "The request comes from another site, or does not say from which. "
            "If it does come from a page of this server, its server.public_url is not the address in the browser.",
        )

    def session_cookie(self, scope: Scope, text: str, session_s: int) -> str:
        """`Set-Cookie` for a new session."""
        return self._set(scope, _SESSION, text, session_s)

    def no_session_cookie(self, scope: Scope) -> str:
        """`Set-Cookie` that takes it away."""
        return self._set(scope, _SESSION, "", 0)

    def sign_in_cookie(self, scope: Scope, text: str, patience_s: int) -> str:
        """`Set-Cookie` for what waits while somebody is at a provider; an empty text takes it away."""
        return self._set(scope, _SIGN_IN, text, patience_s if text else 0)

    def find_sign_in(self, scope: Scope) -> str | None:
        """What waits."""
        return _cookies(scope).get(self._name(scope, _SIGN_IN))

    def is_secure(self, scope: Scope) -> bool:
        """True when people reach the server by https."""
        return public_url(scope, self.configured).startswith("https:")

    def _name(self, scope: Scope, name: str) -> str:
        # With the prefix, no other host of the domain and no plain http can have set it (RFC 6265bis 4.1.3.2).
        return f"__Host-{name}" if self.is_secure(scope) else name

    def _set(self, scope: Scope, name: str, text: str, age_s: int) -> str:
        secure = "; Secure" if self.is_secure(scope) else ""
        return f"{self._name(scope, name)}={text}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}"

    def _origins(self, scope: Scope) -> set[str]:
        urls = (public_url(scope, self.configured), public_url(scope, None))
        return {f"{parts.scheme}://{parts.netloc}" for parts in map(urlsplit, urls)}


def _cookies(scope: Scope) -> Mapping[str, str]:
    text = header(scope, b"cookie")
    if text is None:
        return {}
    pairs = (pair.strip().partition("=") for pair in text.split(";"))
    return {name: value for name, _, value in pairs}
