"""The API, described from the document that the server itself gives: no script, nothing from elsewhere."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from headgate.doors.web.viewing import Viewer, anyone

_DOCUMENT = "/api/v1/openapi.json"
_DEEPEST = 6


@dataclass(frozen=True, slots=True)
class Parameter:
    """Something that a request may bring along."""

    name: str
    place: str
    is_required: bool
    kind: str
    description: str


@dataclass(frozen=True, slots=True)
class Operation:
    """One thing that may be asked for. `body` and `answer` are examples, as JSON."""

    tag: str
    method: str
    path: str
    summary: str
    description: str
    parameters: tuple[Parameter, ...]
    body: str
    answer: str
    statuses: tuple[tuple[str, str], ...]

    def fits(self, words: Sequence[str]) -> bool:
        """Whether all words are in what it is called."""
        said = f"{self.method} {self.path} {self.summary} {self.tag}".lower()
        return all(word in said for word in words)


@anyone
async def show_docs(viewer: Viewer) -> Response:
    """Every route, by what it is about."""
    wanted = viewer.request.query_params.get("q", "")[:200]
    words = wanted.lower().split()
    groups: dict[str, list[Operation]] = {}
    # The document takes seconds to put together, once: not in the way of others.
    for one in await asyncio.to_thread(_operations, viewer.request.app.describe):
        if one.fits(words):
            groups.setdefault(one.tag, []).append(one)
    return viewer.page(
        "api_docs.html",
        part="api_docs_found.html",
        wanted=wanted,
        groups=groups,
        document=_DOCUMENT,
        url=viewer.url(),
    )


@lru_cache(maxsize=1)
def _operations(describe: Any) -> tuple[Operation, ...]:
    document = describe()
    return tuple(
        _operation(document, method, path, one)
        for path, methods in document["paths"].items()
        for method, one in methods.items()
    )


def _operation(document: Mapping[str, Any], method: str, path: str, one: Mapping[str, Any]) -> Operation:
    whole = str(one.get("description") or one.get("summary") or "")
    summary, _, rest = whole.partition("\n\n")
    good = next((status for status in one["responses"] if status.startswith("2")), "")
    return Operation(
        tag=next(iter(one.get("tags") or ["more"])),
        method=method.upper(),
        path=path,
        summary=summary,
        description=rest,
        parameters=tuple(_parameter(document, given) for given in one.get("parameters", ())),
        body=_example_of(document, one.get("requestBody")),
        answer=_example_of(document, one["responses"].get(good)),
        statuses=tuple((status, str(said.get("description", ""))) for status, said in one["responses"].items()),
    )


def _parameter(document: Mapping[str, Any], given: Mapping[str, Any]) -> Parameter:
    schema = _resolved(document, given.get("schema") or {})
    return Parameter(
        given["name"],
        given["in"],
        bool(given.get("required")),
        _kind(document, schema),
        str(given.get("description", "")),
    )


def _kind(document: Mapping[str, Any], schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " | ".join(map(str, schema["enum"]))
    choices = [_kind(document, _resolved(document, one)) for one in schema.get("anyOf", ())]
    return " | ".join(one for one in choices if one != "null") or str(schema.get("type", "any"))


def _example_of(document: Mapping[str, Any], holder: Mapping[str, Any] | None) -> str:
    content = (holder or {}).get("content", {})
    schema = content.get("application/json", {}).get("schema")
    if schema is None:
        return next((f"({kind})" for kind in content if "json" not in kind), "")
    return json.dumps(_example(document, schema, 0), indent=2, ensure_ascii=False)


def _example(document: Mapping[str, Any], given: Mapping[str, Any], depth: int) -> Any:
    """What the schema says of itself, or else something of its kind."""
    schema = _resolved(document, given)
    told = [*schema.get("examples", ())[:1], *([schema["default"]] if "default" in schema else ())]
    told += schema.get("enum", ())[:1]
    if told or depth > _DEEPEST:
        return told[0] if told else {}
    choices = next((schema[key] for key in ("anyOf", "allOf", "oneOf") if key in schema), None)
    if choices is not None:
        return _example(document, choices[0], depth + 1)
    if "properties" in schema:
        return {key: _example(document, one, depth + 1) for key, one in schema["properties"].items()}
    if schema.get("type") == "array":
        return [_example(document, schema.get("items", {}), depth + 1)]
    return _PLAIN.get((schema.get("type"), schema.get("format")), _PLAIN.get((schema.get("type"), None)))


_PLAIN: Mapping[tuple[str | None, str | None], Any] = {
    ("string", None): "text",
    ("string", "date-time"): "2026-11-21T09:00:00Z",
    ("integer", None): 1,
    ("number", None): 1.5,
    ("boolean", None): True,
    ("object", None): {},
}


def _resolved(document: Mapping[str, Any], schema: Mapping[str, Any]) -> Mapping[str, Any]:
    reference = schema.get("$ref")
    if reference is None:
        return schema
    found: Mapping[str, Any] = document["components"]["schemas"][reference.rpartition("/")[2]]
    return found


ROUTES = [Route("/docs", show_docs)]
