"""The `headgate.toml` that a new data folder gets: every setting, commented out, with what it means."""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from pydantic import BaseModel
from pydantic.fields import FieldInfo

from headgate.settings import Settings

_HEAD = """\
# Settings of this Headgate. A line that begins with # shows the value that counts without it.
# An unknown key is an error. Changes take effect at the next start.
"""


def render_settings(file_roots: Sequence[Path]) -> str:
    """The text of the file; `upstream.file_roots` is set when there are any."""
    given = {("upstream", "file_roots"): [str(path) for path in file_roots]} if file_roots else {}
    return _HEAD + "".join(
        f"\n[{section}]\n" + "".join(_entry(key, one, given.get((section, key))) for key, one in fields.items())
        for section, fields in _sections().items()
    )


def _sections() -> dict[str, dict[str, FieldInfo]]:
    return {
        name: field.annotation.model_fields
        for name, field in Settings.model_fields.items()
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel)
    }


def _entry(key: str, field: FieldInfo, given: Any) -> str:
    if given is not None:
        return f"# {field.description}\n{key} = {_toml(given)}\n"
    shown = '"…"  # not set' if field.default is None else _toml(field.default)
    return f"# {field.description}\n# {key} = {shown}\n"


def _toml(value: Any) -> str:
    """JSON's strings, numbers, booleans and lists are TOML's as well."""
    return json.dumps(list(value) if isinstance(value, tuple) else value, ensure_ascii=False)
