"""`src/headgate/README.md` says what is in the tree, in the order in which imports point."""

import tomllib

from tests.house.sources import PACKAGE, ROOT, words


def on_the_map() -> list[str]:
    return list(words(PACKAGE / "README.md"))


def in_the_tree() -> set[str]:
    folders = [*PACKAGE.iterdir(), *(PACKAGE / "doors").iterdir()]
    rooms = {f"{path.relative_to(PACKAGE).as_posix()}/" for path in folders if (path / "__init__.py").is_file()}
    modules = {path.name for path in PACKAGE.glob("*.py") if path.name != "__init__.py"}
    return (rooms - {"doors/"}) | modules


def test_map_names_each_room_and_top_module_once() -> None:
    assert sorted(on_the_map()) == sorted(in_the_tree())


def test_map_follows_the_order_that_import_linter_keeps() -> None:
    config = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    layers = config["tool"]["importlinter"]["contracts"][0]["layers"]
    rank = {room.strip("() "): number for number, layer in enumerate(layers) for room in layer.split("|")}
    order = [rank[entry.split("/")[0].removesuffix(".py")] for entry in on_the_map()]
    assert order == sorted(order)


def test_every_room_says_in_one_sentence_what_it_is() -> None:
    for path in PACKAGE.rglob("__init__.py"):
        text = path.read_text(encoding="utf-8").strip()
        assert text.startswith('"""'), f"{path.parent.name} has no docstring"
        assert text.endswith('."""'), f"{path.parent.name} holds more than a docstring"
        assert "\n" not in text, f"{path.parent.name} says more than a sentence"
