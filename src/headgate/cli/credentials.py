"""Where `headgate login` keeps its tokens: `~/.config/headgate/credentials.toml`, one table per server URL."""

import contextlib
import os
import tomllib
from collections.abc import Mapping
from pathlib import Path

from headgate.kernel.errors import Invalid, Unavailable


class Credentials:
    """Tokens by server URL, in a file that nobody else can read."""

    def __init__(self) -> None:
        self.path = _folder() / "headgate" / "credentials.toml"

    def find(self, url: str) -> str | None:
        """The token for a server. Raises Invalid `credentials-invalid`."""
        return self._read().get(_key(url), {}).get("token")

    def keep(self, url: str, values: Mapping[str, str]) -> None:
        """Remember `token` and what else is given for a server. Raises Unavailable `credentials-unwritable`."""
        self._write({**self._read(), _key(url): dict(values)})

    def forget(self, url: str) -> None:
        """Remember nothing for a server."""
        known = self._read()
        if known.pop(_key(url), None) is not None:
            self._write(known)

    def _read(self) -> dict[str, dict[str, str]]:
        try:
            known = tomllib.loads(self.path.read_text(encoding="utf-8"))
        except FileNotFoundError:
            return {}
        except (OSError, ValueError) as error:
            raise Invalid(
                "credentials-invalid", f"{self.path} cannot be read: {error}. Delete it, and sign in."
            ) from error
        return {url: values for url, values in known.items() if isinstance(values, dict)}

    def _write(self, known: Mapping[str, Mapping[str, str]]) -> None:
        text = "\n".join(_table(url, values) for url, values in sorted(known.items()))
        temporary = self.path.with_name(f"{self.path.name}.{os.getpid()}")
        try:
            self.path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            descriptor = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
            with os.fdopen(descriptor, "w", encoding="utf-8") as file:
                file.write(text)
            temporary.replace(self.path)
        except OSError as error:
            with contextlib.suppress(OSError):
                temporary.unlink(missing_ok=True)
            raise Unavailable("credentials-unwritable", f"{self.path} cannot be written: {error.strerror}.") from error


def _folder() -> Path:
    configured = os.environ.get("XDG_CONFIG_HOME", "")
    return Path(configured) if configured.startswith("/") else Path.home() / ".config"


def _key(url: str) -> str:
    return url.rstrip("/").lower()


def _table(url: str, values: Mapping[str, str]) -> str:
    lines = (f"{key} = {_quoted(value)}" for key, value in values.items())
    return "\n".join([f"[{_quoted(url)}]", *lines, ""])


def _quoted(text: str) -> str:
    """A TOML basic string; JSON's differs only in how it writes DEL."""
    import json

    return json.dumps(text).replace("\x7f", "\\u007f")
