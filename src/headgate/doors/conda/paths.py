"""What a conda client's URL path asks for. Every part is parsed into a type here, or the path is refused.

[/t/<token>] /conda | /get | /api/repo  [/t/<token>] /<channel>[/label/<subchannel>] [/<subdir>] /<file>
<file> may be <package>.sigs, or <package>.sigs.<sha256>: its attestations
[/t/<token>] /<channel>…                (a token at the root: rattler puts it there, whatever follows)
"""

import re
from dataclasses import dataclass
from functools import lru_cache
from urllib.parse import unquote_to_bytes

from headgate.conda.names import EXTENSIONS, KNOWN_SUBDIRS, ArtifactName, ChannelName, Sha256, Subdir
from headgate.kernel.errors import Invalid, NotFound

SHARD_INDEX = "repodata_shards.msgpack.zst"
SUBDIR_DOCUMENTS = frozenset(
    {
        "repodata.json",
        "repodata.json.zst",
        "repodata.json.bz2",
        "current_repodata.json",
        "current_repodata.json.zst",
        "repodata_from_packages.json",
        "patch_instructions.json",
        "run_exports.json",
        "run_exports.json.zst",
    }
)
CHANNEL_DOCUMENTS = frozenset({"channeldata.json", "notices.json"})
_TRUST = re.compile(r"key_mgr\.json|([1-9][0-9]{0,5}\.)?root\.json")
_SIDECAR = ".sigs"
_SHARD_SUFFIX = ".msgpack.zst"
_PREFIXES = ((b"conda",), (b"get",), (b"api", b"repo"))
_LONGEST_PATH = 2_048


@dataclass(frozen=True, slots=True)
class CondaPath:
    """A parsed path: exactly one of `shard`, `artifact`, `document` or `is_listing` says what is asked for.

    `sidecar` says that of an artifact its attestations are meant: those named by this sha256, or (empty) the newest.
    """

    channel: ChannelName
    token: str | None = None
    subdir: Subdir | None = None
    document: str | None = None
    shard: Sha256 | None = None
    artifact: ArtifactName | None = None
    sidecar: str | None = None
    is_listing: bool = False

    @property
    def is_trust(self) -> bool:
        """Whether it is metadata of conda content trust."""
        return self.document is not None and _TRUST.fullmatch(self.document) is not None


@lru_cache(maxsize=20_000)
def parse_path(raw: bytes) -> CondaPath:
    """Read the raw, still percent-encoded path of a request.

    Raises NotFound `path-unknown` for what no channel serves, Invalid `path-invalid` for what no client sends.
    """
    if len(raw) > _LONGEST_PATH:
        raise Invalid("path-invalid", f"The path is longer than {_LONGEST_PATH} characters.")
    token, parts = _split(raw)
    decoded = [_decode(part) for part in parts]
    text = None if token is None else _decode(token)
    try:
        return _classify(decoded, text)
    except Invalid as error:
        raise NotFound("path-unknown", f"No channel serves this path: {error.message}") from error


def _split(raw: bytes) -> tuple[bytes | None, list[bytes]]:
    parts = raw.split(b"/")[1:]
    token: bytes | None = None
    if parts[:1] == [b"t"] and len(parts) > 1:
        token, parts = parts[1], parts[2:]
    for prefix in _PREFIXES:
        if tuple(parts[: len(prefix)]) == prefix:
            parts = parts[len(prefix) :]
            break
    if parts[:1] == [b"t"] and len(parts) > 1 and token is None:
        token, parts = parts[1], parts[2:]
    return token, parts


def _decode(part: bytes) -> str:
    try:
        text = unquote_to_bytes(part).decode() if b"%" in part else part.decode()
    except UnicodeDecodeError as error:
        raise Invalid("path-invalid", "The path is not UTF-8.") from error
    if "/" in text or "\\" in text or text in {".", ".."} or not text.isprintable():
        raise Invalid("path-invalid", "The path has a part that cannot be in any name.")
    return text


def _classify(parts: list[str], token: str | None) -> CondaPath:
    if parts and not parts[-1]:
        return CondaPath(_channel(parts[:-1]), token, is_listing=True)
    if not parts or "" in parts:
        raise Invalid("path-invalid", "the path has an empty part.")
    *folders, last = parts
    if last in CHANNEL_DOCUMENTS or _TRUST.fullmatch(last):
        return CondaPath(_channel(folders), token, document=last)
    if last.endswith(_SHARD_SUFFIX) and folders[-1:] == ["shards"]:
        digest = Sha256.parse(last.removesuffix(_SHARD_SUFFIX))
        return CondaPath(_channel(folders[:-2]), token, _subdir(folders[:-1]), shard=digest)
    if last in SUBDIR_DOCUMENTS or last == SHARD_INDEX:
        return CondaPath(_channel(folders[:-1]), token, _subdir(folders), document=last)
    if last.endswith(EXTENSIONS) or _SIDECAR in last:
        return _file(folders, last, token)
    if not KNOWN_SUBDIRS.isdisjoint(parts):
        raise Invalid("path-invalid", f"no index or package is called {last[:80]!r}.")
    return CondaPath(_channel(parts), token, is_listing=True)


def _file(folders: list[str], last: str, token: str | None) -> CondaPath:
    filename, sidecar = last, None
    if not last.endswith(EXTENSIONS):
        filename, _, sidecar = last.rpartition(_SIDECAR)
        sidecar = Sha256.parse(sidecar.removeprefix(".")) if sidecar else ""
    return CondaPath(
        _channel(folders[:-1]), token, _subdir(folders), artifact=ArtifactName.parse(filename), sidecar=sidecar
    )


def _subdir(folders: list[str]) -> Subdir:
    return Subdir.parse(folders[-1] if folders else "")


def _channel(parts: list[str]) -> ChannelName:
    """`team`, `team/dev`, or `team/label/dev`, where the label `main` is the channel itself."""
    if "label" in parts:
        at = parts.index("label")
        label = parts[at + 1 :]
        parts = parts[:at] + ([] if label == ["main"] else label)
    return ChannelName.parse("/".join(parts))
