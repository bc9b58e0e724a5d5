"""What a mirror's settings want here before anybody asks."""

import pytest

from headgate.channels.modes import FetchSettings, Mode
from headgate.delivery.ahead import choose

RECORDS = {
    f"demo-{version}-{build}.conda": {"version": version} for version in ("1.9", "1.10", "2.0") for build in "ab"
}
ALL = {"1.9", "1.10", "2.0"}


@pytest.mark.parametrize(
    ("settings", "is_in_use", "expected"),
    [
        (FetchSettings(), True, set()),
        (FetchSettings(mode=Mode.ACTIVE), False, ALL),
        (FetchSettings(mode=Mode.REDIRECT, newest=2), True, set()),
        (FetchSettings(newest=2), False, {"1.10", "2.0"}),
        (FetchSettings(newest=9), False, ALL),
        (FetchSettings(in_use=True), False, set()),
        (FetchSettings(in_use=True), True, {"2.0"}),
        (FetchSettings(in_use=True, newest=2), True, {"1.10", "2.0"}),
    ],
)
def test_choice(settings: FetchSettings, is_in_use: bool, expected: set[str]) -> None:
    chosen = dict(choose(settings, RECORDS, is_in_use=is_in_use))
    assert {record["version"] for record in chosen.values()} == expected
    assert len(chosen) == 2 * len(expected), "every build of a version"


def test_version_that_makes_no_sense_is_not_the_newest() -> None:
    records = {"demo-1.0-0.conda": {"version": "1.0"}, "demo-x-0.conda": {"version": "_?"}, "demo-0.conda": {}}
    assert set(dict(choose(FetchSettings(newest=5), records, is_in_use=False))) == {"demo-1.0-0.conda"}
