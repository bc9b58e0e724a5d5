"""Tokens in a data folder on this machine: for whoever may read it, server or no server."""

import asyncio
import builtins
from collections.abc import Awaitable, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any, TypeVar

from headgate.access.service import AccessService, Token
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
        days = body.get("expires_days")

        async def work(access: AccessService) -> tuple[Token, str]:
            return await access.create_token(
                _ACTOR,
                body.get("user", ADMINISTRATOR),
                body["name"],
                permissions=body.get("permissions"),
                channels=body.get("channels"),
                lifetime=None if days is None else timedelta(days=days),
            )

        token, text = self._run(work)
        return _as_json(token) | {"token": text}

    def list(self, user: str | None) -> builtins.list[Document]:
        """See Tokens."""
        return [_as_json(token) for token in self._run(lambda access: access.list_tokens(user=user))]

    def revoke(self, user: str | None, name: str) -> None:
        """See Tokens."""
        self._run(lambda access: access.revoke_token(_ACTOR, user or ADMINISTRATOR, name))

    def _run(self, work: Callable[[AccessService], Awaitable[T]]) -> T:
        async def opened() -> T:
            async with opened_core(self._place) as core:
                return await work(core.access)

        with database_errors():
            return asyncio.run(opened())


def _as_json(token: Token) -> dict[str, Any]:
    return {
        "name": token.name,
        "user": token.user,
        "prefix": token.prefix,
        "permissions": token.permissions,
        "channels": token.channels,
        "created_at": token.created_at.isoformat(),
        "expires_at": token.expires_at and token.expires_at.isoformat(),
        "revoked_at": token.revoked_at and token.revoked_at.isoformat(),
    }
