"""`headgate token`: tokens, at a server or (with --data) in a data folder on this machine."""

import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, Any, Protocol

import typer

from headgate.access.permissions import ScopeAction
from headgate.cli.client import Server, connected, path_of
from headgate.cli.output import Columns, Document, Output
from headgate.cli.words import AsJson
from headgate.kernel.errors import NotFound

app = typer.Typer(no_args_is_help=True, help="Tokens: make, list, rotate, revoke.")

_DAYS = {"d": 1, "w": 7, "y": 365}


def _days(text: str) -> int | None:
    if text == "never":
        return None
    found = re.fullmatch(r"([1-9]\d{0,4})([dwy])", text)
    if not found:
        raise typer.BadParameter("Give a number of days, weeks or years: 90d, 12w, 1y; or never.")
    return int(found[1]) * _DAYS[found[2]]


def _hours(text: str) -> int:
    found = re.fullmatch(r"(\d{1,3})([hd])|0", text)
    if not found:
        raise typer.BadParameter("Give a number of hours or days: 24h, 7d; or 0.")
    return int(found[1] or 0) * {"h": 1, "d": 24, None: 0}[found[2]]


Folder = Annotated[
    Path | None,
    typer.Option("--data", file_okay=False, metavar="DIR", help="Work on this data folder, not on a server."),
]
User = Annotated[str | None, typer.Option("--user", metavar="U", help="Whose; you, or with --data the administrator.")]

COLUMNS: Columns = {
    "ID": "id",
    "USER": "user",
    "NAME": "name",
    "PERMISSIONS": lambda token: token["permissions"] or "all",
    "CHANNELS": lambda token: token["channels"] or "all",
    "ADDRESSES": lambda token: token["addresses"] or "all",
    "ENDS": lambda token: token["expires_at"] or "never",
    "USED": "used_at",
    "REVOKED": "revoked_at",
}


class Tokens(Protocol):
    """Where tokens are: behind a server, or in a data folder."""

    def create(self, body: dict[str, Any]) -> Document:
        """The new token, its text under `token`; `body` as the API takes it."""

    def list(self, user: str | None) -> Sequence[Document]:
        """Tokens, of everybody when `user` is None."""

    def rotate(self, user: str | None, name: str, overlap_hours: int) -> Document:
        """The token with its new text under `token`."""

    def revoke(self, user: str | None, name: str) -> None:
        """End a token."""

    def revoke_number(self, number: int) -> None:
        """End the token of that id."""


class ServerTokens:
    """Tokens behind a server."""

    def __init__(self, server: Server) -> None:
        self._server = server

    def create(self, body: dict[str, Any]) -> Document:
        """See Tokens."""
        made: Document = self._server.post("tokens", body)
        return made

    def list(self, user: str | None) -> Sequence[Document]:
        """See Tokens."""
        return list(self._server.items("tokens", user=user))

    def rotate(self, user: str | None, name: str, overlap_hours: int) -> Document:
        """See Tokens."""
        owner = self._owner(user)
        found = next((one for one in self.list(owner) if one["name"] == name), None)
        if found is None:
            raise NotFound("token-unknown", f"{owner} has no live token {name}.")
        body = {"overlap_hours": overlap_hours}
        rotated: Document = self._server.post(path_of("tokens", str(found["id"]), "rotate"), body)
        return rotated

    def revoke(self, user: str | None, name: str) -> None:
        """See Tokens."""
        self._server.delete(path_of("tokens", self._owner(user), name))

    def revoke_number(self, number: int) -> None:
        """See Tokens."""
        self._server.delete(path_of("tokens", str(number)))

    def _owner(self, user: str | None) -> str:
        owner: str = user or self._server.get("me")["name"]
        return owner


@contextmanager
def opened_tokens(folder: Path | None) -> Iterator[Tokens]:
    """The tokens of a data folder, or those of the server."""
    if folder is None:
        with connected() as server:
            yield ServerTokens(server)
        return
    from headgate.cli.folder_tokens import FolderTokens

    yield FolderTokens(folder)


@app.command("create")
def create_token(
    name: Annotated[str, typer.Option("--name", metavar="N", help="What you will know it by.")],
    user: User = None,
    channels: Annotated[
        list[str] | None, typer.Option("--channel", metavar="C", help="Only good for this channel; repeatable.")
    ] = None,
    permissions: Annotated[
        list[ScopeAction] | None,
        typer.Option("--permission", help="Only good for this; repeatable."),
    ] = None,
    addresses: Annotated[
        list[str] | None,
        typer.Option("--address", metavar="CIDR", help="Only good from this range of addresses; repeatable."),
    ] = None,
    text_file: Annotated[
        typer.FileText | None,
        typer.Option("--text-file", metavar="FILE", help="Use the text in this file (- for standard input)."),
    ] = None,
    expires: Annotated[
        str | None,
        typer.Option("--expires", metavar="90d", help="When it ends: in days (d), weeks (w), years (y); or never."),
    ] = None,
    is_quiet: Annotated[bool, typer.Option("--quiet", help="Print the text of the token and nothing else.")] = False,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Make a token and show its text, this once."""
    chosen: dict[str, Any] = {"user": user, "permissions": permissions or None, "channels": channels or None}
    body = {"name": name} | {key: value for key, value in chosen.items() if value is not None}
    body |= {"addresses": addresses} if addresses else {}
    body |= {"text": text_file.read().strip()} if text_file is not None else {}
    body |= {"expires_days": _days(expires)} if expires is not None else {}
    with Output(as_json=as_json) as out, opened_tokens(folder) as tokens:
        token = tokens.create(body)
        if not is_quiet:
            out.note(f"Token {name} of {token['user']}. It is shown this once:")
        out.show(token, [token["token"]])


@app.command("list")
def list_tokens(user: User = None, folder: Folder = None, as_json: AsJson = False) -> None:
    """List tokens, without their texts."""
    with Output(as_json=as_json) as out, opened_tokens(folder) as tokens:
        out.table(tokens.list(user), COLUMNS)


@app.command("rotate")
def rotate_token(
    name: Annotated[str, typer.Argument(metavar="NAME", help="The token's name.")],
    user: User = None,
    overlap: Annotated[
        str,
        typer.Option("--overlap", metavar="24h", help="How long the old text stays good: hours (h), days (d); or 0."),
    ] = "24h",
    is_quiet: Annotated[bool, typer.Option("--quiet", help="Print the new text and nothing else.")] = False,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """Give a token a new text and show it, this once."""
    hours = _hours(overlap)
    with Output(as_json=as_json) as out, opened_tokens(folder) as tokens:
        token = tokens.rotate(user, name, hours)
        if not is_quiet:
            until = token["previous_ends_at"]
            old = f"The old text is good until {until}." if until else "The old text is good no more."
            out.note(f"Token {name} of {token['user']}. {old} The new one is shown this once:")
        out.show(token, [token["token"]])


@app.command("revoke")
def revoke_token(
    name: Annotated[str | None, typer.Argument(metavar="NAME", help="The token's name.")] = None,
    user: User = None,
    number: Annotated[int | None, typer.Option("--id", metavar="N", help="Its id, in place of its name.")] = None,
    folder: Folder = None,
    as_json: AsJson = False,
) -> None:
    """End a token at once."""
    if (name is None) == (number is None):
        raise typer.BadParameter("Give the token's name, or --id.")
    with Output(as_json=as_json) as out, opened_tokens(folder) as tokens:
        if number is not None:
            tokens.revoke_number(number)
            out.show({"id": number, "revoked": True}, [f"Revoked token {number}."])
        elif name is not None:
            tokens.revoke(user, name)
            out.show({"name": name, "revoked": True}, [f"Revoked token {name}."])
