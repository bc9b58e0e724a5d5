"""Errors as clients see them: RFC 9457 problem documents with a `code` and `reasons`, never HTML."""

from collections.abc import Mapping

import msgspec

from headgate.access.authenticate import BadCredentials
from headgate.access.lockout import SignInLocked
from headgate.doors.http import Scope, Send, finish, start
from headgate.kernel.errors import Conflict, HeadgateError, Invalid, NotFound, Refused, Unavailable

_STATUS: Mapping[type[HeadgateError], int] = {
    BadCredentials: 401,
    SignInLocked: 429,
    NotFound: 404,
    Refused: 403,
    Conflict: 409,
    Invalid: 422,
    Unavailable: 503,
}
_STATUS_OF_CODE = {
    "credentials-needed": 401,
    "artifact-too-large": 413,
    "method-not-allowed": 405,
    "request-too-large": 413,
    "path-invalid": 400,
    "artifact-missing": 502,
    "fetch-interrupted": 502,
    "storage-full": 507,
    "device-codes-many": 429,
    "oidc-provider-failed": 502,
    "internal-error": 500,
    "sign-in-busy": 503,
}
_CHALLENGE = 'Basic realm="headgate", Bearer realm="headgate"'


def status_of(error: HeadgateError) -> int:
    """The HTTP status that an error is shown with."""
    if isinstance(error, Unavailable) and error.code.startswith("upstream-"):
        return 502
    return _STATUS_OF_CODE.get(error.code) or next(
        status for kind, status in _STATUS.items() if isinstance(error, kind)
    )


def problem(error: HeadgateError) -> dict[str, object]:
    """The problem document. `message` repeats `detail` for conda, which shows that key to its user; links come with it."""
    status = status_of(error)
    asking = f" Ask for it: {error.links['request']}" if "request" in error.links else ""
    return {
        "type": f"urn:headgate:error:{error.code}",
        "title": error.code.replace("-", " ").capitalize(),
        "status": status,
        "detail": error.message,
        "message": error.message + asking,
        "code": error.code,
        "reasons": list(error.reasons),
        **error.links,
    }


def problem_headers(error: HeadgateError) -> dict[str, str]:
    """Headers that go with an error."""
    headers = {"content-type": "application/problem+json", "cache-control": "no-store"}
    status = status_of(error)
    if status == 401:
        headers["www-authenticate"] = _CHALLENGE
    if isinstance(error, SignInLocked):
        headers["retry-after"] = str(error.retry_after_s)
    elif status == 503:
        headers["retry-after"] = "5"
    return headers


async def send_problem(scope: Scope, send: Send, error: HeadgateError) -> None:
    """Answer a request with an error."""
    body = msgspec.json.encode(problem(error))
    await start(send, status_of(error), problem_headers(error) | {"content-length": str(len(body))})
    await finish(send, b"" if scope["method"] == "HEAD" else body)
