"""Bodies that are read whole must be short."""

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi import Request, Response
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.types import Message

_JSON_BYTES = 1 << 20
Handler = Callable[[Request], Coroutine[Any, Any, Response]]


def bounded(request: Request, most_bytes: int) -> Request:
    """The same request; reading more than `most_bytes` of its body ends it with 413."""
    left = most_bytes

    async def receive() -> Message:
        nonlocal left
        message = await request.receive()
        left -= len(message.get("body", b""))
        if left < 0:
            raise HTTPException(413)
        return message

    return Request(request.scope, receive)


class BoundedRoute(APIRoute):
    """A route whose body is at most a mebibyte, unless a kind of route says otherwise."""

    most_bytes = _JSON_BYTES

    def get_route_handler(self) -> Handler:
        """The route's own handler, behind `answer`."""
        handle = super().get_route_handler()

        async def answer(request: Request) -> Response:
            return await self.answer(bounded(request, self.most_bytes), handle)

        return answer

    async def answer(self, request: Request, handle: Handler) -> Response:
        """Answer a request with the route's own handler."""
        return await handle(request)
