"""What pages load: our own few files, and those that the build has fetched; named by their content, never changing.

/assets/headgate-0123456789ab.css      for ever in any cache; zstd, gzip or as it is, as the browser takes it
"""

import gzip
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from importlib.resources.abc import Traversable

import structlog
import zstandard

from headgate.doors.http import Scope, Send, finish, header, start
from headgate.kernel.errors import NotFound

PREFIX = "/assets/"
_TYPES = {".css": "text/css; charset=utf-8", ".js": "text/javascript; charset=utf-8", ".svg": "image/svg+xml"}
_FOLDERS = ("static", "vendor")

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Asset:
    """One file, in the encodings in which it is sent."""

    path: str
    content_type: str
    plain: bytes
    encoded: Mapping[str, bytes]
    """Content coding -> bytes, the one to prefer first."""


@cache
def assets() -> Mapping[str, Asset]:
    """Name -> file: all there are."""
    here = files("headgate.doors")
    found = (
        entry for folder in _FOLDERS if here.joinpath(folder).is_dir() for entry in here.joinpath(folder).iterdir()
    )
    return {entry.name: _read(entry) for entry in found if _ending(entry.name) in _TYPES}


@cache
def asset_path(name: str) -> str:
    """Where a page finds the file. One that is not there is a line in the log, and pages do without it."""
    known = assets().get(name)
    if known is None:
        log.error("asset_missing", name=name, remedy="Install with pip, or run `python hatch_build.py` in a checkout.")
        return f"{PREFIX}{name}"
    return known.path


async def send_asset(scope: Scope, send: Send) -> None:
    """Answer with a file. Raises NotFound `path-unknown`."""
    asset = _by_path().get(scope["path"])
    if asset is None:
        raise NotFound("path-unknown", "There is no such file for pages.")
    taken = header(scope, b"accept-encoding") or ""
    coding = next((coding for coding in asset.encoded if _takes(taken, coding)), None)
    body = asset.plain if coding is None else asset.encoded[coding]
    headers = {
        "content-type": asset.content_type,
        "content-length": str(len(body)),
        "cache-control": "public, max-age=31536000, immutable",
        "vary": "accept-encoding",
        "x-content-type-options": "nosniff",
    }
    await start(send, 200, headers if coding is None else headers | {"content-encoding": coding})
    await finish(send, b"" if scope["method"] == "HEAD" else body)


@cache
def _by_path() -> Mapping[str, Asset]:
    return {asset.path: asset for asset in assets().values()}


def _read(entry: Traversable) -> Asset:
    plain, (stem, _, _) = entry.read_bytes(), entry.name.rpartition(".")
    digest = hashlib.sha256(plain).hexdigest()[:12]
    ending = _ending(entry.name)
    encoded = {"zstd": _packed(entry, "zst"), "gzip": _packed(entry, "gz")}
    return Asset(f"{PREFIX}{stem}-{digest}{ending}", _TYPES[ending], plain, encoded)


def _packed(entry: Traversable, ending: str) -> bytes:
    """As the build packed it; our own files are small enough to be packed when they are first asked for."""
    beside = files("headgate.doors").joinpath("vendor", f"{entry.name}.{ending}")
    if beside.is_file():
        return beside.read_bytes()
    plain = entry.read_bytes()
    return zstandard.compress(plain, 19) if ending == "zst" else gzip.compress(plain, 9, mtime=0)


def _ending(name: str) -> str:
    return f".{name.rpartition('.')[2]}"


def _takes(accepted: str, coding: str) -> bool:
    """Whether Accept-Encoding names the coding, and not with `q=0` (RFC 9110, 12.5.3)."""
    for one in accepted.split(","):
        name, _, weight = one.strip().partition(";")
        if name.strip().lower() == coding:
            return weight.replace(" ", "") not in {"q=0", "q=0.0", "q=0.00", "q=0.000"}
    return False
