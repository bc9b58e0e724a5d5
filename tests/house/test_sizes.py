"""Nothing grows into a giant. Functions are capped by ruff (PLR0915), files here."""

import ast

import pytest

from tests.house.sources import PACKAGE, modules, name_of, tree_of

MOST_LINES = 400
NAMES_THAT_SAY_NOTHING = {"base", "common", "helper", "helpers", "manager", "managers", "misc", "util", "utils"}


def test_no_module_is_longer_than_400_lines() -> None:
    lengths = {name_of(path): len(path.read_text(encoding="utf-8").splitlines()) for path in modules()}
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}


def test_package_files_hold_a_docstring_and_nothing_else() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        body = tree_of(path).body
        assert len(body) == 1, f"{name_of(path)} holds code"
        assert ast.get_docstring(tree_of(path)), f"{name_of(path)} has no docstring"


def test_no_file_has_a_name_that_says_nothing() -> None:
    assert [name_of(path) for path in PACKAGE.rglob("*") if path.stem in NAMES_THAT_SAY_NOTHING] == []


@pytest.mark.parametrize("ending", ["Manager", "Helper", "Utils", "Impl"])
def test_no_class_has_a_name_that_says_nothing(ending: str) -> None:
    for path in modules():
        names = [node.name for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)]
        assert [name for name in names if name.endswith(ending)] == [], name_of(path)


def test_no_class_is_called_base_or_abstract() -> None:
    for path in modules():
        names = [node.name for node in ast.walk(tree_of(path)) if isinstance(node, ast.ClassDef)]
        assert [name for name in names if name.startswith(("Base", "Abstract"))] == [], name_of(path)
