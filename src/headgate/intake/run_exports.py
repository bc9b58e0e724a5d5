"""The run_exports.json of an upstream without shards: CEP 21 wants what it says inside our shards."""

import hashlib
from collections.abc import Mapping

import msgspec

from headgate.conda.names import package_of
from headgate.conda.shards import Shard
from headgate.kernel.errors import Invalid

RunExports = dict[str, dict[str, msgspec.Raw]]
"""package name -> file name -> its run exports as raw JSON, of the files that have any."""


class _Entry(msgspec.Struct):
    run_exports: msgspec.Raw = msgspec.Raw(b"{}")


class _Document(msgspec.Struct, rename={"conda": "packages.conda"}):
    packages: dict[str, _Entry] = {}
    conda: dict[str, _Entry] = {}


def group_run_exports(document: bytes) -> RunExports:
    """Read a document (CEP 12). Raises Invalid `run-exports-invalid`."""
    try:
        decoded = msgspec.json.decode(document, type=_Document)
        found: RunExports = {}
        for filename, entry in (*decoded.packages.items(), *decoded.conda.items()):
            if len(entry.run_exports) > len(b"{}"):
                # A copy, because a view would keep the whole document.
                found.setdefault(package_of(filename), {})[filename] = entry.run_exports.copy()
    except msgspec.DecodeError as error:
        raise Invalid("run-exports-invalid", f"This is not a run_exports.json: {error}.") from error
    return found


def mix_fingerprint(fingerprint: bytes, exports: Mapping[str, msgspec.Raw]) -> bytes:
    """A package's fingerprint that changes with its run exports as well."""
    digest = hashlib.sha256(fingerprint)
    for filename in sorted(exports):
        digest.update(filename.encode())
        digest.update(exports[filename])
    return digest.digest()


def add_run_exports(shard: Shard, exports: Mapping[str, msgspec.Raw]) -> Shard:
    """Give each record its run exports, unless it has its own."""
    for filename, raw in exports.items():
        record = shard.find(filename)
        if record is not None:
            record.setdefault("run_exports", msgspec.json.decode(raw))
    return shard
