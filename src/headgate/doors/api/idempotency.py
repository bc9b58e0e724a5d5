"""`Idempotency-Key`: a POST that is sent again gets the answer it got the first time."""

import hashlib

from fastapi import Request, Response

from headgate.db.repeats import Kept, Repeats
from headgate.doors.api.bodies import BoundedRoute, Handler
from headgate.doors.api.callers import authenticate, services_of
from headgate.kernel.errors import Conflict

_HEADER = "idempotency-key"


class IdempotentRoute(BoundedRoute):
    """A route whose POSTs heed the header; a failure is not remembered, because it changed nothing."""

    async def answer(self, request: Request, handle: Handler) -> Response:
        """Answer with the route's own handler, once per key."""
        if request.method != "POST" or _HEADER not in request.headers:
            return await handle(request)
        return await _once(request, handle)


class EnvironmentRoute(IdempotentRoute):
    """The same for bodies that hold whole environments: lock files have many lines."""

    most_bytes = 40 << 20


async def _once(request: Request, handle: Handler) -> Response:
    repeats = Repeats(services_of(request).core.database)
    key, digest = await _digests(request)
    kept = await repeats.claim(key, digest)
    if kept is not None:
        return _again(kept, digest)
    try:
        response = await handle(request)
    except BaseException:
        await repeats.forget(key)
        raise
    await repeats.keep(key, response.status_code, bytes(response.body))
    return response


async def _digests(request: Request) -> tuple[str, str]:
    """Of the key, which is the principal's own; and of all that makes the request the same."""
    principal = await authenticate(request)
    key = _digest(principal.name, request.headers[_HEADER])
    body = hashlib.sha256(await request.body()).hexdigest()
    return key, _digest(principal.actor, request.method, request.url.path, request.url.query, body)


def _digest(*parts: str) -> str:
    return hashlib.sha256("\0".join(parts).encode("utf-8", "surrogateescape")).hexdigest()


def _again(kept: Kept, digest: str) -> Response:
    if kept.request != digest:
        raise Conflict("idempotency-mismatch", "This Idempotency-Key was used for another request. Make a new key.")
    if not kept.is_answered:
        raise Conflict("idempotency-running", "The first request with this Idempotency-Key is still under way.")
    return Response(kept.body, kept.status, {"idempotency-replayed": "true"}, media_type="application/json")
