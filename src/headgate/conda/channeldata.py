"""channeldata.json (CEP 38): one entry per package of a channel, for people and for conda-build."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import msgspec

from headgate.conda.records import Record, build_time_ms
from headgate.conda.shards import Shard
from headgate.conda.specs import age_key
from headgate.conda.streams import encode, encode_members, gather, join_members
from headgate.kernel.errors import Invalid

FLAGS = ("activate.d", "binary_prefix", "deactivate.d", "post_link", "pre_link", "pre_unlink", "text_prefix")
SCRIPTS = frozenset({"activate.d", "deactivate.d", "post_link", "pre_link", "pre_unlink"})
TEXTS = ("dev_url", "doc_url", "home", "license", "source_url", "summary")


class _Flags(msgspec.Struct, rename={"activate": "activate.d", "deactivate": "deactivate.d"}):
    activate: bool | None = None
    deactivate: bool | None = None
    post_link: bool | None = None
    pre_link: bool | None = None
    pre_unlink: bool | None = None


class _Flagged(msgspec.Struct):
    packages: dict[str, _Flags] = {}


_flags = msgspec.json.Decoder(_Flagged)


def read_scripts(document: bytes) -> dict[str, frozenset[str]]:
    """Which of SCRIPTS a channeldata.json says that each package brings; of packages of which it says so of each.

    Raises Invalid `channeldata-invalid`.
    """
    try:
        packages = _flags.decode(document).packages
    except (msgspec.DecodeError, RecursionError) as error:
        raise Invalid("channeldata-invalid", f"This is not a channeldata.json: {error}.") from error
    found: dict[str, frozenset[str]] = {}
    for name, one in packages.items():
        said = {
            "activate.d": one.activate, "deactivate.d": one.deactivate, "post_link": one.post_link,
            "pre_link": one.pre_link, "pre_unlink": one.pre_unlink,
        }  # fmt: skip
        if None not in said.values():
            found[name] = frozenset(flag for flag, is_there in said.items() if is_there)
    return found


def summarise(name: str, shards_by_subdir: Mapping[str, Shard], about: Mapping[str, Any] | None) -> dict[str, Any]:
    """The entry of one package; `name` must have a record in one of the shards, or Invalid `package-empty` is raised.

    `about` is its about.json, to which the caller may add any of FLAGS. `timestamp` is in seconds, as CEP 38 has it.
    """
    records = [record for shard in shards_by_subdir.values() for _, record in shard.records()]
    if not records:
        raise Invalid("package-empty", f"{name!r} has no file in this channel, so it has no channeldata entry.")
    newest = max(records, key=age_key)
    known = dict(about or {})
    entry: dict[str, Any] = {flag: bool(known.get(flag, False)) for flag in FLAGS}
    entry["run_exports"] = _run_exports(records)
    entry["subdirs"] = sorted(subdir for subdir, shard in shards_by_subdir.items() if any(shard.records()))
    entry["timestamp"] = max(build_time_ms(record) or 0 for record in records) // 1000
    entry["version"] = newest.get("version")
    texts = {"license": newest.get("license")} | {key: known[key] for key in TEXTS if known.get(key)}
    return entry | {key: value for key, value in texts.items() if value}


def render_channeldata(subdirs: Sequence[str], entries: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[bytes]:
    """The JSON document in pieces, from (name, entry) in the order of names."""
    return gather(_stream(subdirs, entries))


def _stream(subdirs: Sequence[str], entries: Iterable[tuple[str, dict[str, Any]]]) -> Iterator[bytes]:
    yield b'{"channeldata_version":1,"packages":{'
    yield from join_members(encode_members({name: entry}) for name, entry in entries)
    yield b'},"subdirs":' + encode(sorted(subdirs)) + b"}"


def _run_exports(records: Iterable[Record]) -> dict[str, Any]:
    """By version; of several builds the newest that has any speaks for its version."""
    speaking = (record for record in sorted(records, key=age_key) if record.get("run_exports"))
    return {str(record.get("version")): record["run_exports"] for record in speaking}
