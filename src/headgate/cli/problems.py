"""A no from the server, as an error of the house."""

from collections.abc import Mapping
from typing import Any

from headgate.kernel.errors import HeadgateError


class ServerProblem(HeadgateError):
    """The problem document (RFC 9457) that a server answered with."""

    def __init__(self, document: Mapping[str, Any]) -> None:
        super().__init__(str(document["code"]), str(document.get("detail", "")), document.get("reasons", ()))
        self.document = document

    @property
    def status(self) -> int:
        """The HTTP status it came with."""
        return int(self.document.get("status", 0))
