"""Records: what repodata says of one file, in the form of JSON and in the form of shards.

The two differ in their digests alone: hexadecimal strings in JSON, raw bytes in shards (CEP 16). Unknown keys are kept
as they came.
"""

import math
from binascii import unhexlify
from collections.abc import Mapping
from typing import Any

from headgate.kernel.errors import Invalid

Record = dict[str, Any]
RecordView = Mapping[str, Any]
"""A record that is only read."""

# Later than any time in seconds conda can mean (the last second of the year 9999): beyond it, milliseconds.
_LAST_SECOND = 253_402_300_799
_WIRE_DIGESTS = (("md5", 16), ("sha256", 32))
# Some indexers write these as raw bytes too; JSON has no bytes, so they become hexadecimal on the way out.
_JSON_DIGESTS = ("md5", "sha256", "legacy_bz2_md5", "attestations_sha256")


def to_wire(record: Record) -> Record:
    """A copy of a JSON record with its digests as raw bytes. Raises Invalid `record-digest-invalid`."""
    return become_wire(dict(record))


def become_wire(record: Record) -> Record:
    """Turn a JSON record into its wire form in place, and return it. Raises Invalid `record-digest-invalid`."""
    for key, size in _WIRE_DIGESTS:
        value = record.get(key)
        if value is not None:
            try:
                raw = unhexlify(value) if isinstance(value, str) else b""
            except ValueError:
                raw = b""
            if len(raw) != size:
                what = f"The {key} of a record is {value!r:.100}, not {2 * size} hexadecimal digits."
                raise Invalid("record-digest-invalid", what)
            record[key] = raw
    return record


def from_wire(record: Record) -> Record:
    """A copy of a shard's record with its digests as hexadecimal strings."""
    return become_plain(dict(record))


def become_plain(record: Record) -> Record:
    """Turn a shard's record into its JSON form in place, and return it."""
    for key in _JSON_DIGESTS:
        value = record.get(key)
        if isinstance(value, bytes):
            record[key] = value.hex()
    return record


def build_time_ms(record: RecordView) -> int | None:
    """When the package was built, in milliseconds; None when its `timestamp` is absent or makes no sense.

    Old builds wrote seconds. They are told apart as conda does: a number past the year 9999 is milliseconds.
    """
    value = record.get("timestamp")
    if value.__class__ is int and value > _LAST_SECOND:  # as nearly all are
        return value
    if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value) or value <= 0:
        return None
    return int(value if value > _LAST_SECOND else value * 1000) or None


def stamp(record: Record, *, known_ms: int | None, first_sync: bool, now_ms: int) -> Record:
    """Set `indexed_timestamp` (CEP 47, milliseconds) in place, in either form, and return the record.

    The first that exists: the record's own value, the one we gave before (`known_ms`), in a first sync the build time
    but never the future, and else now.
    """
    own = record.get("indexed_timestamp")
    if own.__class__ is int and own > 0:
        return record
    built_ms = build_time_ms(record) if first_sync else None
    if known_ms is not None:
        record["indexed_timestamp"] = known_ms
    elif built_ms is not None:
        record["indexed_timestamp"] = min(built_ms, now_ms)
    else:
        record["indexed_timestamp"] = now_ms
    return record
