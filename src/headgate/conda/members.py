"""A stored shard as members of a repodata document: from msgpack to JSON, with no dictionary per record in between.

Records of known keys are read into structures, which takes half the time. A shard with any other key goes the long way.
"""

from typing import Any, Final

import msgspec
from msgspec import UNSET

from headgate.conda.records import Record, become_plain
from headgate.conda.shards import Shard, decode_as, decode_stored
from headgate.kernel.errors import Invalid

# In the order of the alphabet, as shards have them (they are encoded so) and documents too.
_KEYS: Final = (
    "app_entry app_type arch attestations_sha256 build build_number constrains date depends extra_depends features fn "
    "has_prefix icon indexed_timestamp legacy_bz2_md5 legacy_bz2_size license license_family md5 name namespace noarch "
    "platform preferred_env purls python_site_packages_path run_exports sha256 signatures size subdir summary timestamp "
    "track_features type url version"
).split()

_Record: Any = msgspec.defstruct("_Record", [(key, Any, UNSET) for key in _KEYS], forbid_unknown_fields=True, gc=False)


class _Known(msgspec.Struct, rename={"conda": "packages.conda"}):
    packages: dict[str, _Record] = {}
    conda: dict[str, _Record] = {}
    v3: dict[str, dict[str, _Record]] = {}
    removed: list[str] = []


class Members(msgspec.Struct, frozen=True):
    """What one shard adds to a document: JSON members without braces per map, and the file names it withdraws.

    `v3` is by group; every map may be empty.
    """

    packages: bytes
    conda: bytes
    v3: dict[str, bytes]
    removed: list[str]


_decoder = msgspec.msgpack.Decoder(_Known)
_encoder = msgspec.json.Encoder()
_sorting = msgspec.json.Encoder(order="deterministic")


def render_members(body: bytes) -> Members:
    """The members of a shard that `encode_shard` wrote; without `run_exports` (CEP 21). Raises Invalid `shard-invalid`."""
    try:
        known = decode_as(body, _decoder)
    except Invalid:
        return members_of(decode_stored(body))
    return Members(
        _render(known.packages),
        _render(known.conda),
        {group: _render(records) for group, records in known.v3.items()},
        known.removed,
    )


def members_of(shard: Shard) -> Members:
    """The same of a shard that was decoded. Changes its records."""
    return Members(
        _render_plain(shard.packages),
        _render_plain(shard.conda),
        {group: _render_plain(records) for group, records in shard.v3.items()},
        shard.removed,
    )


def _render(records: dict[str, Any]) -> bytes:
    for record in records.values():
        record.run_exports = UNSET
        # JSON has no bytes; the two usual ones first, without a loop.
        if record.md5.__class__ is bytes:
            record.md5 = record.md5.hex()
        if record.sha256.__class__ is bytes:
            record.sha256 = record.sha256.hex()
        if record.legacy_bz2_md5.__class__ is bytes:
            record.legacy_bz2_md5 = record.legacy_bz2_md5.hex()
        if record.attestations_sha256.__class__ is bytes:
            record.attestations_sha256 = record.attestations_sha256.hex()
    return _encoder.encode(records)[1:-1]


def _render_plain(records: dict[str, Record]) -> bytes:
    for record in records.values():
        become_plain(record)
        record.pop("run_exports", None)
    return _sorting.encode(records)[1:-1]
