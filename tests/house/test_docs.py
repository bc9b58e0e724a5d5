"""The reference names what the code has, and nothing else: commands, settings, routes, error codes, events, metrics."""

import ast
import importlib
import inspect
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from tests.house.sources import PACKAGE, REFERENCE, called, calls, modules, name_of, strings, tree_of, words

API = "/api/v1"
METHODS = {"get", "post", "put", "patch", "delete"}
METRICS = {"Counter", "Gauge", "Histogram", "Summary", "Info", "CounterMetricFamily", "GaugeMetricFamily"}
KINDS = {"HeadgateError", "NotFound", "Refused", "Conflict", "Invalid", "Unavailable"}


def code(name: str) -> ModuleType:
    """The module, or a skipped test while the checkout does not hold it."""
    if not (PACKAGE.parent / Path(*name.split("."))).with_suffix(".py").is_file():
        pytest.skip(f"{name} is not in this checkout")
    return importlib.import_module(name)


# Commands: `headgate channel create` is a heading of cli.md, and its options are named below that heading.


def commands(command: Any, path: str) -> Iterator[tuple[str, Any]]:
    inner = getattr(command, "commands", None)
    if inner is None:
        yield path, command
        return
    for name, child in inner.items():
        if not child.hidden:
            yield from commands(child, f"{path} {name}")


def command_line() -> dict[str, Any]:
    import typer

    main = code("headgate.cli.main")
    return dict(commands(typer.main.get_command(main.app), "headgate"))


def command_sections() -> dict[str, str]:
    text = (REFERENCE / "cli.md").read_text(encoding="utf-8")
    parts = re.split(r"^#{2,3} `(headgate [^`]+)`$", text, flags=re.MULTILINE)
    return dict(zip(parts[1::2], parts[2::2], strict=True))


def test_every_command_has_a_section_and_every_section_a_command() -> None:
    assert sorted(command_sections()) == sorted(command_line())


def test_every_option_is_named_in_the_section_of_its_command() -> None:
    sections = command_sections()
    missing = [
        f"{path} {option}"
        for path, command in command_line().items()
        for parameter in command.params
        for option in parameter.opts
        if option.startswith("--")
        and option not in {"--help", "--install-completion", "--show-completion"}
        and f"`{option}" not in sections.get(path, "")
    ]
    assert missing == []


# Settings: the first cell of a row in settings.md is the key in headgate.toml.


def keys(model: Any, prefix: str = "") -> Iterator[str]:
    for name, field in model.model_fields.items():
        inner = field.annotation
        if inspect.isclass(inner) and hasattr(inner, "model_fields"):
            yield from keys(inner, f"{prefix}{name}.")
        else:
            yield f"{prefix}{name}"


def test_every_setting_is_documented() -> None:
    from pydantic_settings import BaseSettings

    settings = code("headgate.settings")
    models = [
        value
        for value in vars(settings).values()
        if inspect.isclass(value) and issubclass(value, BaseSettings) and value.__module__ == settings.__name__
    ]
    assert models, "headgate.settings has no settings class"
    known = {key for model in models for key in keys(model)}
    documented = {word for word in words(REFERENCE / "settings.md") if not word.startswith(("HEADGATE_", "--"))}
    assert documented == known


# Routes: the first cell of a row in api.md is `GET /api/v1/channels/{channel}`.


def prefixes(path: Path) -> dict[str, str]:
    """The prefix of each router that a module makes."""
    found = {}
    for node in ast.walk(tree_of(path)):
        if isinstance(node, ast.Assign) and isinstance(node.value, ast.Call) and called(node.value) == "APIRouter":
            given = [next(strings(word.value), "") for word in node.value.keywords if word.arg == "prefix"]
            for target in node.targets:
                if isinstance(target, ast.Name):
                    found[target.id] = given[0] if given else ""
    return found


def routes(path: Path) -> Iterator[str]:
    known = prefixes(path)
    for node in ast.walk(tree_of(path)):
        for decorator in getattr(node, "decorator_list", []):
            if not (isinstance(decorator, ast.Call) and called(decorator) in METHODS and decorator.args):
                continue
            owner = decorator.func.value if isinstance(decorator.func, ast.Attribute) else None
            prefix = known.get(owner.id, "") if isinstance(owner, ast.Name) else ""
            for tail in strings(decorator.args[0]):
                full = re.sub(r"\{(\w+):\w+\}", r"{\1}", prefix + tail)
                full = full if full.startswith("/api/") else API + full
                yield f"{called(decorator).upper()} {full}"


def test_every_route_of_the_api_is_documented() -> None:
    known = {route for path in (PACKAGE / "doors" / "api").rglob("*.py") for route in routes(path)}
    documented = {word for word in words(REFERENCE / "api.md") if word.split(" ")[0].lower() in METHODS}
    assert documented == known


# Error codes: the first argument of every error of the tree.


def error_names() -> set[str]:
    """The kinds, and every class of the package that derives from one of them."""
    names, bases = set(KINDS), {}
    for path in modules():
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef):
                bases[node.name] = {base.attr if isinstance(base, ast.Attribute) else getattr(base, "id", "")
                                    for base in node.bases}  # fmt: skip
    while more := {name for name, parents in bases.items() if parents & names} - names:
        names |= more
    return names


def error_codes() -> dict[str, str]:
    """Code -> the module that raises it."""
    names = error_names()
    found = {}
    for path in modules():
        for call in calls(path):
            if called(call) in names and call.args:
                found.update(dict.fromkeys(strings(call.args[0]), name_of(path)))
    return found


def test_every_error_code_is_documented() -> None:
    documented = set(words(REFERENCE / "errors.md"))
    assert {word: where for word, where in error_codes().items() if word not in documented} == {}


def test_every_documented_error_code_is_raised_somewhere() -> None:
    named = "\n".join(path.read_text(encoding="utf-8") for path in modules())
    assert [word for word in words(REFERENCE / "errors.md") if f'"{word}"' not in named] == []


def test_error_codes_are_kebab_case() -> None:
    assert [word for word in error_codes() if not re.fullmatch(r"[a-z0-9]+(-[a-z0-9]+)*", word)] == []


# Audit events and permissions: the members of the StrEnum classes of their rooms, `resource:action`.


def stored_words(room: str) -> list[str]:
    found = []
    for path in sorted((PACKAGE / room).rglob("*.py")):
        for node in ast.walk(tree_of(path)):
            if isinstance(node, ast.ClassDef) and any(getattr(base, "id", "") == "StrEnum" for base in node.bases):
                members = [word for line in node.body if isinstance(line, ast.Assign) for word in strings(line.value)]
                found += [word for word in members if ":" in word]
    return found


@pytest.mark.parametrize(("room", "page"), [("audit", "audit-events.md"), ("access", "permissions.md")])
def test_stored_words_are_documented_alphabetical_and_well_formed(room: str, page: str) -> None:
    known = stored_words(room)
    documented = [word for word in words(REFERENCE / page) if ":" in word]
    assert documented == known
    assert known == sorted(known)
    assert [word for word in known if not re.fullmatch(r"[a-z-]+:[a-z-]+", word)] == []


# Metrics: whatever is made with prometheus_client.


def metrics() -> set[str]:
    return {
        word
        for path in modules()
        if "prometheus_client" in path.read_text(encoding="utf-8")
        for call in calls(path)
        if called(call) in METRICS and call.args
        for word in strings(call.args[0])
    }


def test_every_metric_is_documented() -> None:
    assert set(words(REFERENCE / "metrics.md")) == metrics()


def test_metrics_carry_our_name() -> None:
    assert [word for word in metrics() if not re.fullmatch(r"headgate(_[a-z0-9]+)+", word)] == []
