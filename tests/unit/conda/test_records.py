import pytest

from headgate.conda.records import build_time_ms, from_wire, stamp, to_wire
from headgate.kernel.errors import Invalid

NOW = 1_790_000_000_000


def test_only_digests_change_form() -> None:
    record = {"md5": "0a" * 16, "sha256": "0b" * 32, "legacy_bz2_md5": "0c" * 16, "x": {"md5": "no digest"}}
    wire = to_wire(record)
    assert wire == record | {"md5": b"\x0a" * 16, "sha256": b"\x0b" * 32}
    assert from_wire(wire) == record


def test_digests_that_others_write_raw_come_out_as_text() -> None:
    assert from_wire({"legacy_bz2_md5": b"\x01" * 16}) == {"legacy_bz2_md5": "01" * 16}


@pytest.mark.parametrize("key", ["md5", "sha256"])
@pytest.mark.parametrize("value", ["", "zz", "0a" * 15, "0a" * 33, 5, b"\x0a" * 32, "0a " * 16 + "0a" * 8])
def test_malformed_digests_are_refused(key: str, value: object) -> None:
    with pytest.raises(Invalid) as error:
        to_wire({key: value})
    assert error.value.code == "record-digest-invalid"


@pytest.mark.parametrize(
    ("timestamp", "expected"),
    [
        (1_600_000_000, 1_600_000_000_000),
        (1_600_000_000_123, 1_600_000_000_123),
        (1.5, 1500),
        (0, None),
        (-1, None),
        ("1600000000", None),
        (True, None),
        (None, None),
        (float("inf"), None),
    ],
)
def test_build_time_knows_seconds_from_milliseconds(timestamp: object, expected: int | None) -> None:
    assert build_time_ms({"timestamp": timestamp}) == expected


@pytest.mark.parametrize(
    ("record", "known", "first", "expected"),
    [
        ({"indexed_timestamp": NOW + 5, "timestamp": 1_600_000_000}, 7, True, NOW + 5),
        ({"timestamp": 1_600_000_000}, 7, True, 7),
        ({"timestamp": 1_600_000_000}, None, True, 1_600_000_000_000),
        ({"timestamp": NOW + 5}, None, True, NOW),
        ({"timestamp": 1_600_000_000}, None, False, NOW),
        ({}, None, True, NOW),
        ({"indexed_timestamp": 0}, None, True, NOW),
        ({"indexed_timestamp": True}, None, True, NOW),
        ({"indexed_timestamp": "soon"}, None, True, NOW),
    ],
)
def test_stamp_takes_the_first_word_there_is(record, known, first, expected) -> None:
    assert stamp(record, known_ms=known, first_sync=first, now_ms=NOW) is record
    assert record["indexed_timestamp"] == expected
