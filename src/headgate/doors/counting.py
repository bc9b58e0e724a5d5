"""What became of an answer, seen on its way out."""

from typing import Any

from headgate.doors.http import Send
from headgate.doors.metrics import REQUESTS

_LENGTH = b"content-length"


class Counted:
    """A `send` that remembers the answer's status and how many bytes of body were handed on; `status` 0: not begun."""

    __slots__ = ("_door", "_headers", "_send", "sent_bytes", "status")

    def __init__(self, send: Send, door: str) -> None:
        self._send = send
        self._door = door
        self._headers: list[tuple[bytes, bytes]] = []
        self.status = 0
        self.sent_bytes = 0

    @property
    def has_begun(self) -> bool:
        """True once the head is out."""
        return self.status != 0

    async def __call__(self, message: dict[str, Any]) -> None:
        """Send, and remember."""
        kind = message["type"]
        if kind == "http.response.start":
            self.status = message["status"]
            self._headers = message["headers"]
            REQUESTS.count(self._door, str(self.status))
        elif kind == "http.response.body":
            self.sent_bytes += len(message.get("body", b""))
        else:  # a file, which the server sends whole
            self.sent_bytes += next((int(value) for name, value in self._headers if name == _LENGTH), 0)
        await self._send(message)
