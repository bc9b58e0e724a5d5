"""The law of packing: what a packer makes of a name is byte for byte what the long way makes of it, or nothing."""

import json
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from headgate.conda.packing import Packer
from headgate.conda.records import stamp
from headgate.conda.repodata import split_repodata
from headgate.conda.shards import encode_shard
from headgate.kernel.errors import Invalid
from tests.properties.test_conda_repodata import HEX, INTEGERS, TEXT, VALUES

NOW_MS = 1_790_000_000_000
USUAL = {
    "md5": HEX,
    "sha256": st.binary(min_size=32, max_size=32).map(bytes.hex) | st.just("ab") | st.none(),
    "legacy_bz2_md5": HEX,
    "depends": st.lists(TEXT, max_size=3),
    "size": INTEGERS,
    "timestamp": st.integers(-1, 2**63) | st.floats(allow_nan=False, allow_infinity=False) | st.booleans() | TEXT,
    "indexed_timestamp": st.integers(-1, 2**53) | st.booleans() | st.none(),
    "license": TEXT | st.none(),
    "extra_depends": VALUES,
    "run_exports": VALUES,
    "purls": st.lists(TEXT, max_size=1),
    "of_tomorrow": VALUES,
}


@st.composite
def records(draw: st.DrawFn) -> dict[str, Any]:
    return {"name": draw(st.sampled_from(["demo", "demo", "demo", "other"]))} | draw(
        st.fixed_dictionaries({}, optional=USUAL)
    )


def maps(extension: str) -> st.SearchStrategy[dict[str, dict[str, Any]]]:
    stems = st.sampled_from(["demo-1-0", "demo-1!2.0_3-h1", "demo-2-0"])
    return st.dictionaries(stems.map(lambda stem: stem + extension), records(), max_size=3)


@given(maps(".tar.bz2"), maps(".conda"), st.lists(st.just("demo-0-0.conda"), max_size=1), st.booleans())
def test_packing_is_the_long_way_or_nothing(
    packages: dict[str, Any], conda: dict[str, Any], removed: list[str], first_sync: bool
) -> None:
    document = {"packages": packages, "packages.conda": conda, "removed": removed}
    for name, fragments in split_repodata(json.dumps(document).encode()).names.items():
        packed = Packer(first_sync, NOW_MS).pack(name, fragments)
        if packed is None:
            continue
        try:
            shard = fragments.decode()
        except Invalid:
            raise AssertionError("packed what cannot be decoded") from None
        assert not shard.find_foreign(name)
        for _, record in shard.records():
            stamp(record, known_ms=None, first_sync=first_sync, now_ms=NOW_MS)
        assert packed == encode_shard(shard)
