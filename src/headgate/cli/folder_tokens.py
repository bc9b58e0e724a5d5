"""Tokens in a data folder on this machine: for whoever may read it, server or no server."""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, TypeVar

from headgate.access.service import AccessService
from headgate.access.tokens import Token, TokenWish
from headgate.bootstrap import opened_core
from headgate.cli.folder import ADMINISTRATOR, database_errors, open_initialised
from headgate.cli.output import Document

_ACTOR = "command line"
T = TypeVar("T")


class FolderTokens:
    """Tokens of a data folder."""

    def __init__(self, folder: Path) -> None:
        self._place = open_initialised(folder)

    def create(self, body: dict[str, Any]) -> Document:
        """See Tokens."""
        owner = body.get("user", ADMINISTRATOR)
        wish = TokenWish(
            body["name"],
            body.get("permissions"),
            body.get("channels"),
            body.get("addresses"),
            days=body.get("expires_days", "most"),
            text=body.get("text"),
        )
        token, text = self._run(lambda access: access.tokens.create(_ACTOR, owner, wish))
        return _as_json(token) | {"token": text}

    def list(self, user: str | None) -> Sequence[Document]:
        """See Tokens."""
        return [_as_json(token) for token in self._run(lambda access: access.tokens.list(user=user))]

    def rotate(self, user: str | None, name: str, overlap_hours: int) -> Document:
        """See Tokens."""

        async def work(access: AccessService) -> tuple[Token, str]:
            found = await access.tokens.get_live(user or ADMINISTRATOR, name)
            return await access.tokens.rotate(_ACTOR, found.id, timedelta(hours=overlap_hours))

        token, text = self._run(work)
        return _as_json(token) | {"token": text}

    def revoke(self, user: str | None, name: str) -> None:
        """See Tokens."""
        self._run(lambda access: access.tokens.revoke(_ACTOR, user or ADMINISTRATOR, name))

    def revoke_number(self, number: int) -> None:
        """See Tokens."""
        self._run(lambda access: access.tokens.revoke_number(_ACTOR, number))

    def _run(self, work: Callable[[AccessService], Awaitable[T]]) -> T:
        async def opened() -> T:
            async with opened_core(self._place) as core:
                return await work(core.access)

        with database_errors():
            return asyncio.run(opened())


def _as_json(token: Token) -> dict[str, Any]:
    return {key: value.isoformat() if isinstance(value, datetime) else value for key, value in asdict(token).items()}
