"""Server-sent events, for pages that follow something (HTML Living Standard, 9.2)."""

from collections.abc import AsyncIterator, Mapping
from typing import Any

import msgspec
from starlette.responses import Response, StreamingResponse

_HEADERS = {"cache-control": "no-store", "x-accel-buffering": "no", "x-content-type-options": "nosniff"}


def stream(states: AsyncIterator[Mapping[str, Any]]) -> Response:
    """Send each state, `{"value", "most", "text"}`, as it comes; the last one has `"done": True`."""
    return StreamingResponse(_events(states), media_type="text/event-stream", headers=_HEADERS)


async def _events(states: AsyncIterator[Mapping[str, Any]]) -> AsyncIterator[bytes]:
    async for state in states:
        yield b"data: " + msgspec.json.encode(state) + b"\n\n"
