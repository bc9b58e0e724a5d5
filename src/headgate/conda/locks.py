"""Lock files: the very package files that an environment consists of.

conda's explicit list is read here; conda-lock.yml and pixi.lock by py-rattler, all their environments and platforms.
What is not a conda package file (PyPI's, sources) is told apart. py-rattler says what is wrong with a lock, but rarely
where; the line is looked for afterwards.
"""

import re
import tempfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from urllib.parse import unquote, urlsplit

import yaml
from rattler import LockFile

from headgate.conda.names import ArtifactName, Subdir
from headgate.kernel.errors import Invalid

EXPLICIT = "@EXPLICIT"
_DIGEST = re.compile(r"(?:sha256:)?([0-9a-f]{64})|(?:md5:)?([0-9a-f]{32})")
_PLATFORM = re.compile(r"#\s*platform:\s*(\S+)\s*")
_URL = re.compile(r"\S*://\S+")


@dataclass(frozen=True, slots=True)
class LockedFile:
    """A file that a lock names for a platform; `sha256` and `md5` are empty when the lock does not say them."""

    platform: Subdir
    subdir: Subdir
    filename: str
    sha256: str = ""
    md5: str = ""

    @property
    def place(self) -> str:
        """`subdir/filename`."""
        return f"{self.subdir}/{self.filename}"


@dataclass(frozen=True, slots=True)
class Lock:
    """The files of a lock, and sentences on what of it is no conda package file."""

    files: Sequence[LockedFile]
    notes: Sequence[str] = ()


def read_lock(path: Path) -> dict[str, str]:
    """The files that a lock names, as `subdir/filename` -> sha256 ("" when the lock does not say).

    Raises Invalid `lock-invalid`, also when it names none.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, ValueError) as error:
        raise Invalid("lock-invalid", f"{path} is not a lock file that can be read: {error}.") from error
    return {one.place: one.sha256 for one in parse_lock(text).files}


def parse_lock(text: str) -> Lock:
    """Read a lock of any kind. Raises Invalid `lock-invalid` with the line and what is wrong there."""
    lock = _explicit(text) if is_explicit(text) else _locked(text)
    if not lock.files:
        raise Invalid("lock-invalid", "The lock names no conda package.")
    return lock


def is_explicit(text: str) -> bool:
    """Whether it is conda's list of URLs."""
    return any(line.strip() == EXPLICIT for line in text.splitlines())


def _explicit(text: str) -> Lock:
    said: Subdir | None = None
    found: list[tuple[Subdir, str, str, str]] = []
    for number, line in enumerate(map(str.strip, text.splitlines()), 1):
        platform = _PLATFORM.fullmatch(line)
        try:
            if platform is not None:
                said = Subdir.parse(platform[1])
            elif line and not line.startswith(("#", "@")):
                url, _, digest = line.partition("#")
                found.append((*_place(url), *_digests(digest)))
        except Invalid as error:
            raise _invalid(number, error.message) from error
    usual = next((subdir for subdir, *_ in found if not subdir.is_noarch), Subdir("noarch"))
    return Lock(
        [
            LockedFile(said or (usual if subdir.is_noarch else subdir), subdir, filename, sha256, md5)
            for subdir, filename, sha256, md5 in found
        ]
    )


def _digests(digest: str) -> tuple[str, str]:
    read = _DIGEST.fullmatch(digest)
    if digest and read is None:
        raise Invalid("lock-invalid", f"{digest[:80]!r} behind # is neither an md5 nor a sha256.")
    return (read[1] or "", read[2] or "") if read else ("", "")


def _locked(text: str) -> Lock:
    with tempfile.TemporaryDirectory(prefix="headgate-lock-") as folder:
        path = Path(folder) / "lock.yml"
        path.write_text(text, encoding="utf-8")
        try:
            return _gathered(LockFile.from_path(path))
        except Exception as error:
            # py-rattler has no common error of its own.
            raise _invalid(_line_of(text, str(error)), f"{error}.") from error


def _gathered(lock: LockFile) -> Lock:
    files: dict[LockedFile, None] = {}
    notes: dict[str, None] = {}
    for _, environment in lock.environments():
        for platform, packages in environment.packages_by_platform().items():
            for package in packages:
                kind = type(package).__name__
                if kind == "CondaLockedBinaryPackage":
                    subdir, filename = _place(package.location)
                    digests = package.hashes
                    sha256 = digests.sha256.hex() if digests and digests.sha256 else ""
                    md5 = digests.md5.hex() if digests and digests.md5 else ""
                    files[LockedFile(_platform_of(platform, subdir), subdir, filename, sha256, md5)] = None
                else:
                    what = "a PyPI package" if kind == "PypiLockedPackage" else "built from source"
                    notes[f"{package.name} is {what}; it does not pass."] = None
    return Lock(list(files), list(notes))


def _platform_of(platform: object, subdir: Subdir) -> Subdir:
    """What a lock calls its platform may be any word; then the files say."""
    try:
        return Subdir.parse(str(platform))
    except Invalid:
        return subdir


def _place(url: str) -> tuple[Subdir, str]:
    *_, subdir, filename = ("", "", *PurePosixPath(unquote(urlsplit(url).path)).parts)
    return Subdir.parse(subdir), ArtifactName.parse(filename).filename


def _invalid(line: int, message: str) -> Invalid:
    return Invalid("lock-invalid", f"Line {line} of the lock cannot be used: {message}")


def _line_of(text: str, complaint: str) -> int:
    """Where what py-rattler complains about stands; 1 when nothing tells."""
    said = re.search(r"line (\d+)", complaint)
    if said is not None:
        return int(said[1])
    lines = text.splitlines()
    named = _URL.search(complaint)
    if named is not None:
        found = next((number for number, line in enumerate(lines, 1) if named[0] in line), None)
        if found is not None:
            return found
    member = re.search(r"missing field `(\w+)`", complaint)
    wrong = re.search(r"invalid (?:type|value): \w+ [`\"]([^`\"]*)[`\"]", complaint)
    for node in _nodes(text):
        if member is not None and isinstance(node, yaml.MappingNode):
            keys = {str(key.value) for key, _ in node.value}
            if keys & {"name", "url", "conda", "kind"} and member[1] not in keys:
                return int(node.start_mark.line) + 1
        if wrong is not None and isinstance(node, yaml.ScalarNode) and node.value == wrong[1]:
            return int(node.start_mark.line) + 1
    return 1


def _nodes(text: str) -> Iterator[yaml.Node]:
    """Every node of a YAML document, the entries of its lists of packages first."""
    try:
        root = yaml.compose(text, Loader=yaml.CSafeLoader)
    except yaml.YAMLError:
        return
    waiting = [root] if root is not None else []
    seen: set[int] = set()
    while waiting:
        node = waiting.pop(0)
        if id(node) in seen:
            continue
        seen.add(id(node))
        if isinstance(node, yaml.SequenceNode):
            waiting.extend(node.value)
        elif isinstance(node, yaml.MappingNode):
            waiting.extend(part for pair in node.value for part in pair)
        yield node
