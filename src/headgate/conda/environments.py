"""Whole environments as people paste them: what they want, in the words of single wants.

| File | Read by | A want is |
| --- | --- | --- |
| `environment.yml` | us | a match spec |
| `pixi.toml`, `pyproject.toml` with `tool.pixi` | us | a match spec, of a platform and an environment |
| `conda list --explicit` | us | the file with its digest |
| `conda-lock.yml`, `pixi.lock` | py-rattler | the file with its digest, of a platform |

Spelled `PLATFORM (ENVIRONMENT): WANT`, both in front only where they matter; a file of a lock as `SUBDIR/FILE#DIGEST`.
What is installed by pip is told, and does not pass.
"""

import re
import tomllib
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import yaml

from headgate.conda.locks import is_explicit, parse_lock
from headgate.conda.names import PackageName, Subdir
from headgate.conda.specs import parse_spec
from headgate.kernel.errors import HeadgateError, Invalid

MAX_BYTES = 32 << 20
_LOCK = re.compile(r"^(?:packages?|environments):", re.MULTILINE)
_ENVIRONMENT = re.compile(r"^dependencies:", re.MULTILINE)
_TOML = re.compile(r"^\s*\[", re.MULTILINE)
_CONDA = ("dependencies", "host-dependencies", "build-dependencies")
_FAMILIES = {"unix": ("linux", "osx", "emscripten"), "linux": ("linux",), "osx": ("osx",), "win": ("win",)}
_SPEC_KEYS = ("version", "build", "build-number", "subdir", "md5", "sha256", "license")


@dataclass(frozen=True, slots=True)
class Environment:
    """Wants, for which platforms (empty: it does not say), and sentences on what of it does not pass."""

    wants: Sequence[str]
    platforms: Sequence[Subdir] = ()
    notes: Sequence[str] = ()


def parse_environment(text: str) -> Environment:
    """Read an environment of any kind.

    Raises Invalid `environment-invalid` or `lock-invalid`, with the line and what is wrong there.
    """
    if len(text) > MAX_BYTES:
        raise Invalid("environment-invalid", f"The file has more than {MAX_BYTES >> 20} MiB.")
    if is_explicit(text) or (_LOCK.search(text) and not _ENVIRONMENT.search(text)):
        return _of_lock(text)
    read = _of_yaml if _ENVIRONMENT.search(text) or not _TOML.search(text) else _of_toml
    found = read(text)
    if not found.wants:
        raise _invalid(1, "it names no conda package.")
    return found


def looks_like_environment(text: str) -> bool:
    """Whether a text is meant as an environment rather than as specs, one a line."""
    return is_explicit(text) or any(sign.search(text) for sign in (_LOCK, _ENVIRONMENT, _TOML))


def _invalid(line: int, message: str) -> Invalid:
    return Invalid("environment-invalid", f"Line {line} of the environment cannot be used: {message}")


def _of_lock(text: str) -> Environment:
    lock = parse_lock(text)
    wants = {f"{one.platform}: {one.place}#{one.sha256 or one.md5}": None for one in lock.files}
    platforms = sorted({one.platform for one in lock.files if not one.platform.is_noarch})
    return Environment(list(wants), platforms, lock.notes)


def _checked(line: int, spec: str) -> str:
    try:
        parse_spec(spec)
    except HeadgateError as error:
        raise _invalid(line, error.message) from error
    return spec


# environment.yml


def _of_yaml(text: str) -> Environment:
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        raise _invalid((mark.line if mark else 0) + 1, f"{error.problem or error.context}.") from error
    except yaml.YAMLError as error:
        raise _invalid(1, f"{error}.") from error
    if not isinstance(root, yaml.MappingNode):
        raise _invalid(1, "it is none of environment.yml, pixi.toml, an explicit list, conda-lock.yml or pixi.lock.")
    members = {str(key.value): value for key, value in root.value}
    listed = members.get("dependencies")
    if not isinstance(listed, yaml.SequenceNode):
        raise _invalid(_line(listed or root), "`dependencies` must be a list.")
    wants: dict[str, None] = {}
    notes: dict[str, None] = {}
    for node in listed.value:
        if isinstance(node, yaml.ScalarNode):
            wants[_without_channel(_line(node), str(node.value), notes)] = None
        else:
            notes |= dict.fromkeys(_of_pip(node))
    platforms = [Subdir.parse(one) for one in _texts(members.get("platforms"))]
    return Environment(list(wants), platforms, list(notes))


def _without_channel(line: int, text: str, notes: dict[str, None]) -> str:
    """The spec alone: where it comes from is said by whoever asks."""
    channel, is_named, spec = text.rpartition("::")
    if is_named:
        notes[f"The channel of {text} is not looked at: {channel}."] = None
    return _checked(line, spec.strip())


def _of_pip(node: yaml.Node) -> Iterator[str]:
    members = {str(key.value): value for key, value in node.value} if isinstance(node, yaml.MappingNode) else {}
    if set(members) != {"pip"} or not isinstance(members["pip"], yaml.SequenceNode | yaml.ScalarNode):
        raise _invalid(_line(node), "besides match specs there is only `pip:` with a list.")
    for requirement in _texts(members["pip"]):
        yield f"pip installs {requirement}; it does not pass."


def _texts(node: yaml.Node | None) -> list[str]:
    if isinstance(node, yaml.SequenceNode):
        return [str(one.value) for one in node.value if isinstance(one, yaml.ScalarNode)]
    return []


def _line(node: yaml.Node) -> int:
    return int(node.start_mark.line) + 1


# pixi.toml


@dataclass(slots=True)
class _Manifest:
    """A pixi manifest; `text` is where lines are looked up."""

    text: str
    table: Mapping[str, Any]
    notes: dict[str, None] = field(default_factory=dict)

    def line(self, *keys: str) -> int:
        """Where a key stands: the first line that begins with it, or with a header that ends with it."""
        lines = self.text.splitlines()
        name = re.escape(keys[-1])
        found = re.compile(rf'\s*"?{name}"?\s*=|\s*\[[^\]]*\b{name}"?\]')
        return next((number for number, line in enumerate(lines, 1) if found.match(line)), 1)

    def member(self, table: Mapping[str, Any], key: str) -> Mapping[str, Any]:
        """A table in a table; empty when it is not there."""
        value = table.get(key, {})
        if not isinstance(value, Mapping):
            raise _invalid(self.line(key), f"`{key}` must be a table.")
        return value

    def platforms(self) -> list[Subdir]:
        """For which platforms it is."""
        about = self.member(self.table, "workspace") or self.member(self.table, "project")
        listed = about.get("platforms", [])
        texts = [one.get("platform", one.get("name")) if isinstance(one, Mapping) else one for one in listed]
        try:
            return [Subdir.parse(str(one)) for one in texts]
        except Invalid as error:
            raise _invalid(self.line("platforms"), error.message) from error

    def environments(self) -> dict[str, list[Mapping[str, Any]]]:
        """The features of each environment, as tables; what no environment uses is not installed by pixi either."""
        features = self.member(self.table, "feature")
        found = {"default": [self.table]}
        for name, told in self.member(self.table, "environments").items():
            listed = told.get("features", []) if isinstance(told, Mapping) else told
            is_bare = isinstance(told, Mapping) and told.get("no-default-feature", False)
            missing = [one for one in listed if one not in features]
            if missing:
                raise _invalid(self.line(name), f"there is no feature {missing[0]!r}.")
            found[name] = [*([] if is_bare else [self.table]), *(self.member(features, one) for one in listed)]
        return found

    def specs(self, feature: Mapping[str, Any], platform: Subdir | None) -> Iterator[str]:
        """What a feature asks for on a platform."""
        targets = self.member(feature, "target")
        fitting = [self.member(targets, selector) for selector in targets if _fits(selector, platform)]
        for part in (feature, *fitting):
            for kind in _CONDA:
                for name, value in self.member(part, kind).items():
                    spec = self._spec(name, value)
                    if spec is not None:
                        yield spec
            for name in self.member(part, "pypi-dependencies"):
                self.notes[f"pip installs {name}; it does not pass."] = None

    def _spec(self, name: str, value: Any) -> str | None:
        line = self.line(name)
        told = {"version": value} if isinstance(value, str) else value
        if not isinstance(told, Mapping):
            raise _invalid(line, f"{name} must have a version, or a table.")
        if any(key in told for key in ("path", "git", "url")):
            self.notes[f"{name} is built from source; it does not pass."] = None
            return None
        try:
            PackageName.parse(name.lower())
        except Invalid as error:
            raise _invalid(line, error.message) from error
        said = {key.replace("-", "_"): told[key] for key in _SPEC_KEYS if told.get(key, "*") != "*"}
        version = str(said.pop("version", ""))
        brackets = ",".join(f"{key}='{one}'" for key, one in said.items())
        return _checked(line, f"{name} {version}".rstrip() + (f"[{brackets}]" if brackets else ""))


def _fits(selector: str, platform: Subdir | None) -> bool:
    if platform is None:
        return False
    return selector == platform or platform.partition("-")[0] in _FAMILIES.get(selector.replace("macos", "osx"), ())


def _of_toml(text: str) -> Environment:
    try:
        table: Mapping[str, Any] = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        said = re.search(r"line (\d+)", str(error))
        raise _invalid(int(said[1]) if said else text.count("\n") + 1, f"{error}.") from error
    manifest = _Manifest(text, _pixi_of(table))
    platforms = manifest.platforms()
    environments = manifest.environments()
    wants: dict[str, None] = {}
    asked: Sequence[Subdir | None] = platforms or [None]
    for platform in asked:
        seen: list[set[str]] = []
        for name, features in environments.items():
            specs = {spec: None for feature in features for spec in manifest.specs(feature, platform)}
            if set(specs) in seen:
                continue
            seen.append(set(specs))
            front = _front(platform if platforms else None, name if len(environments) > 1 else None)
            wants |= {front(spec): None for spec in specs}
    return Environment(list(wants), platforms, list(manifest.notes))


def _pixi_of(table: Mapping[str, Any]) -> Mapping[str, Any]:
    tools = table.get("tool")
    pixi = tools.get("pixi") if isinstance(tools, Mapping) else None
    return pixi if isinstance(pixi, Mapping) else table


def _front(platform: Subdir | None, environment: str | None) -> Callable[[str], str]:
    words = [*([platform] if platform else []), *([f"({environment})"] if environment else [])]
    return lambda spec: f"{' '.join(words)}: {spec}" if words else spec
