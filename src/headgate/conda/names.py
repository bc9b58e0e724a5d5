"""Names, parsed once at the door: what is not a channel, subdir, package, digest or artifact name ends here.

The grammar is that of CEP 26, with a stricter eye on what could become a path: no separator, no `..`, no control
character passes any parser. Package names are lower case: clients compare them so, and `Team-Lib` must not slip past a
rule written for `team-lib`.
"""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Self

from headgate.kernel.errors import Invalid

Extension = Literal[".conda", ".tar.bz2"]
EXTENSIONS: tuple[Extension, ...] = (".conda", ".tar.bz2")
RESERVED_COMPONENTS = frozenset({".", "..", "label", "t", "get", "api"})
KNOWN_SUBDIRS = frozenset(
    {
        "noarch",
        "emscripten-wasm32",
        "freebsd-64",
        "osx-64",
        "osx-arm64",
        "wasi-wasm32",
        "zos-z",
        "win-32",
        "win-64",
        "win-arm64",
        "linux-32",
        "linux-64",
        "linux-aarch64",
        "linux-armv6l",
        "linux-armv7l",
        "linux-loongarch64",
        "linux-ppc",
        "linux-ppc64",
        "linux-ppc64le",
        "linux-riscv32",
        "linux-riscv64",
        "linux-s390x",
    }
)

_COMPONENT = re.compile(r"[a-z0-9_][a-z0-9_.-]*")
_SUBDIR = re.compile(r"noarch|[a-z0-9]+-[a-z0-9]+")
_PACKAGE = re.compile(r"(?:[a-z0-9]|_(?!_))[._-]?(?:[a-z0-9]+(?:[._-]|\Z))*")
_VERSION = re.compile(r"[A-Za-z0-9._+!]+")
_BUILD = re.compile(r"[A-Za-z0-9_.+]+")
_STEM = re.compile(r"[a-z0-9_][A-Za-z0-9._+!-]*")
_STEMS = re.compile(r"[a-z0-9_][A-Za-z0-9._+!-]{0,210}(?:\n[a-z0-9_][A-Za-z0-9._+!-]{0,210})*")
_SHA256 = re.compile(r"[0-9a-f]{64}")


def _matches(pattern: re.Pattern[str], text: str, limit: int) -> bool:
    return len(text) <= limit and ".." not in text and pattern.fullmatch(text) is not None


class ChannelName(str):
    """A channel, or a subchannel such as `team/dev` (CEP 26; at most 128 characters)."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a name as a person or a URL gave it. Raises Invalid `channel-name-invalid`."""
        components = text.split("/")
        if len(text) > 128 or not all(_matches(_COMPONENT, component, 128) for component in components):
            raise Invalid(
                "channel-name-invalid",
                f"{text[:128]!r} is not a channel name: use lower-case letters, digits, '_', '.', '-' in each part, "
                "parts joined by '/', at most 128 characters in all.",
            )
        reserved = sorted(RESERVED_COMPONENTS.intersection(components))
        if reserved:
            raise Invalid("channel-name-invalid", f"{text!r} is not a channel name: the part {reserved[0]!r} is taken.")
        if components[-1] in KNOWN_SUBDIRS:
            raise Invalid("channel-name-invalid", f"{text!r} ends in the name of a subdir; choose another last part.")
        return cls(text)


class Subdir(str):
    """A platform folder of a channel: `noarch`, `linux-64`, ... (CEP 26)."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a subdir name. Raises Invalid `subdir-invalid`."""
        if not _matches(_SUBDIR, text, 32):
            raise Invalid("subdir-invalid", f"{text[:64]!r} is not a subdir: 'noarch', or a form such as 'linux-64'.")
        return cls(text)

    @property
    def is_noarch(self) -> bool:
        """Whether its packages suit every platform."""
        return self == "noarch"


class PackageName(str):
    """The name of a package alone, in lower case (CEP 26; at most 64 characters)."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a package name. Raises Invalid `package-name-invalid`."""
        if not is_package_name(text):
            raise Invalid(
                "package-name-invalid",
                f"{text[:64]!r} is not a package name: lower-case letters and digits, joined by single '.', '_', '-', "
                "at most 64 characters.",
            )
        return cls(text)


class Sha256(str):
    """A SHA-256 digest as 64 lower-case hexadecimal digits."""

    __slots__ = ()

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read a digest. Raises Invalid `sha256-invalid`."""
        if not _matches(_SHA256, text, 64):
            raise Invalid("sha256-invalid", f"{text[:80]!r} is not a SHA-256: 64 lower-case hexadecimal digits.")
        return cls(text)

    @classmethod
    def from_raw(cls, raw: bytes) -> Self:
        """The digest of 32 raw bytes. Raises Invalid `sha256-invalid` for any other number of them."""
        return cls.parse(raw.hex())

    @property
    def raw(self) -> bytes:
        """The same digest as 32 bytes."""
        return bytes.fromhex(self)


@dataclass(frozen=True, slots=True)
class ArtifactName:
    """The name of one package file: `name-version-build` and its extension (CEP 26; at most 211 characters)."""

    name: str
    version: str
    build: str
    extension: Extension

    @classmethod
    def parse(cls, filename: str) -> Self:
        """Read a file name, without any folder. Raises Invalid `artifact-name-invalid`."""
        extension = next((known for known in EXTENSIONS if filename.endswith(known)), None)
        parts = filename.removesuffix(extension or "").rsplit("-", 2)
        if extension is None or len(filename) > 211 or len(parts) != 3 or not _are_parts(*parts):
            raise Invalid(
                "artifact-name-invalid",
                f"{filename[:211]!r} is not the name of a conda package file: it must read "
                "<name>-<version>-<build>.conda or .tar.bz2, with the letters CEP 26 allows in each.",
            )
        name, version, build = parts
        return cls(name, version, build, extension)

    @property
    def stem(self) -> str:
        """The file name without its extension."""
        return f"{self.name}-{self.version}-{self.build}"

    @property
    def filename(self) -> str:
        """The file name, as it was parsed."""
        return self.stem + self.extension

    def __str__(self) -> str:
        return self.filename


def _are_parts(name: str, version: str, build: str) -> bool:
    return is_package_name(name) and _matches(_VERSION, version, 64) and _matches(_BUILD, build, 64)


def is_package_name(text: str) -> bool:
    """Whether `text` would pass `PackageName.parse`."""
    return _matches(_PACKAGE, text, 64)


def is_safe_filename(filename_or_stem: str) -> bool:
    """Whether a key of repodata can do no harm as part of a URL or path; says nothing of its grammar."""
    return _matches(_STEM, filename_or_stem, 211)


def are_safe_filenames(texts: Sequence[str]) -> bool:
    """Whether all of them are safe as `is_safe_filename` says: in one look, for there are hundreds of thousands."""
    lines = "\n".join(texts)
    return ".." not in lines and lines.count("\n") == len(texts) - 1 and _STEMS.fullmatch(lines) is not None


def package_of(filename_or_stem: str) -> str:
    """The package name at the head of a file name or stem; for the hot path, so it only splits.

    Raises Invalid `artifact-name-invalid` when there are not three parts.
    """
    parts = filename_or_stem.rsplit("-", 2)
    if len(parts) != 3 or not parts[0]:
        raise Invalid(
            "artifact-name-invalid",
            f"{filename_or_stem[:211]!r} names no package: it must read <name>-<version>-<build>.",
        )
    return parts[0]
