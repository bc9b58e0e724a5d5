"""Laws of the stamp (CEP 47): never the future unless upstream said so, and once given it stays."""

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headgate.conda.records import stamp

MOMENTS = st.integers(-5, 10_000_000_000_000)
ODD = st.none() | st.booleans() | st.text(max_size=5) | st.floats()
RECORDS = st.fixed_dictionaries({}, optional={"timestamp": MOMENTS | ODD, "indexed_timestamp": MOMENTS | ODD, "x": ODD})
NOW = st.integers(1, 5_000_000_000_000)


def upstreams_word(record: dict[str, Any]) -> int | None:
    own = record.get("indexed_timestamp")
    return own if type(own) is int and own > 0 else None


@given(RECORDS, st.none() | NOW, st.booleans(), NOW)
def test_a_stamp_is_upstreams_or_known_or_not_in_the_future(record, known, first, now) -> None:
    said = upstreams_word(record)
    given_at = stamp(dict(record), known_ms=known, first_sync=first, now_ms=now)["indexed_timestamp"]
    assert type(given_at) is int
    if said is not None:
        assert given_at == said
    elif known is not None:
        assert given_at == known
    else:
        assert 0 < given_at <= now


@given(RECORDS, st.none() | NOW, st.booleans(), NOW, st.none() | NOW, st.booleans(), NOW)
def test_stamping_again_changes_nothing(record, known, first, now, known_later, first_later, later) -> None:
    once = stamp(dict(record), known_ms=known, first_sync=first, now_ms=now)
    again = stamp(dict(once), known_ms=known_later, first_sync=first_later, now_ms=later)
    assert again["indexed_timestamp"] == once["indexed_timestamp"]


@given(RECORDS, st.booleans(), NOW)
def test_only_the_stamp_is_added(record, first, now) -> None:
    stamped = stamp(dict(record), known_ms=None, first_sync=first, now_ms=now)
    assert stamped.keys() == record.keys() | {"indexed_timestamp"}
    assert all(stamped[key] is record[key] for key in record if key != "indexed_timestamp")
