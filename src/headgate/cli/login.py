"""`headgate login` and `headgate logout`: a token of one's own, by signing in with a browser."""

import os
import re
import socket
import time
from datetime import datetime
from typing import Annotated, Any
from urllib.parse import quote

import typer

from headgate.cli.client import Server, path_of, server_url
from headgate.cli.credentials import Credentials
from headgate.cli.output import Output
from headgate.cli.problems import ServerProblem
from headgate.cli.words import AsJson
from headgate.kernel.errors import NotFound, Unavailable


def login(
    provider: Annotated[
        str | None, typer.Option("--provider", metavar="N", help="Go straight to this identity provider.")
    ] = None,
    as_json: AsJson = False,
) -> None:
    """Sign in with a browser, and keep a token for this server."""
    url, credentials = server_url(), Credentials()
    with Output(as_json=as_json) as out:
        before = credentials.find(url)
        with Server(url, None) as server:
            begun = server.post("login/device", {"machine": _machine()})
            chosen = f"?provider={quote(provider, safe='')}" if provider else ""
            out.note(f"Open {begun['verification_url']}{chosen}")
            out.note(f"and type the code {begun['user_code']}")
            made = _wait(server, begun)
        credentials.keep(url, {key: made[key] for key in ("user", "name", "token", "expires_at")})
        if before is not None:
            _revoke(url, before)
        shown = {key: made[key] for key in ("user", "name", "expires_at")}
        if os.environ.get("HEADGATE_TOKEN"):
            out.note("HEADGATE_TOKEN is set, and is used in place of this token.")
        out.show(shown, [f"Signed in as {made['user']} until {made['expires_at']}."])


def logout(as_json: AsJson = False) -> None:
    """Revoke the token that login got, and forget it."""
    url, credentials = server_url(), Credentials()
    with Output(as_json=as_json) as out:
        token = credentials.find(url)
        if token is None:
            raise NotFound("not-signed-in", f"There is no token of `headgate login` for {url}.")
        is_revoked = _revoke(url, token)
        credentials.forget(url)
        out.show({"url": url, "revoked": is_revoked}, [f"Signed out of {url}."])


def _wait(server: Server, begun: dict[str, Any]) -> dict[str, Any]:
    end = datetime.fromisoformat(begun["expires_at"]).timestamp()
    while time.time() < end:
        time.sleep(begun["interval_seconds"])
        answer: dict[str, Any] = server.post("login/device/token", {"device_code": begun["device_code"]})
        if answer["state"] == "done":
            return answer
    raise Unavailable("login-expired", "Nobody typed the code in time. Begin again.")


def _revoke(url: str, token: str) -> bool:
    """End a token by itself; False when it had ended already."""
    with Server(url, f"Bearer {token}") as server:
        try:
            me = server.get("me")
            server.delete(path_of("tokens", me["name"], me["token"]["name"]))
        except ServerProblem as problem:
            if problem.status not in {401, 404}:
                raise
            return False
    return True


def _machine() -> str:
    return re.sub(r"[^A-Za-z0-9._-]", "-", socket.gethostname())[:64] or "machine"
