"""Waits for who guesses: how long, for whom, and for whom not."""

import pytest

from headgate.access.lockout import REMEMBERED, Count, Lockout, Recent, SignInLocked


class Clock:
    """A clock that stands still until it is moved."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def fail(lockout: Lockout, account: str, address: str, times: int) -> None:
    for number in range(times):
        lockout.fail(account, address, f"{account} {address} {number}".encode())


def wait(lockout: Lockout, account: str, address: str, credentials: bytes = b"other") -> int:
    try:
        lockout.check(account, address, credentials)
    except SignInLocked as locked:
        return locked.retry_after_s
    return 0


@pytest.mark.parametrize(("failures", "expected"), [(4, 0), (5, 1), (6, 2), (9, 16), (40, 900)])
def test_wait_doubles_up_to_a_quarter_of_an_hour(failures: int, expected: int) -> None:
    lockout = Lockout(Clock())
    fail(lockout, "ada", "192.0.2.1", failures)
    assert wait(lockout, "ada", "192.0.2.1") == expected


def test_wait_ends_and_a_success_forgets_it() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    fail(lockout, "ada", "192.0.2.1", 7)
    clock.now += 4
    assert wait(lockout, "ada", "192.0.2.1") == 0
    lockout.succeed("ada", "192.0.2.1", b"good")
    fail(lockout, "ada", "192.0.2.1", 4)
    assert wait(lockout, "ada", "192.0.2.1") == 0


def test_failures_at_one_address_keep_nobody_out_at_another() -> None:
    lockout = Lockout(Clock())
    fail(lockout, "ada", "192.0.2.1", 50)
    assert wait(lockout, "ada", "198.51.100.1") == 0


def test_many_accounts_at_one_address_and_many_addresses_for_one_account() -> None:
    lockout = Lockout(Clock())
    for number in range(101):
        fail(lockout, f"user{number}", "192.0.2.1", 1)
        fail(lockout, "ada", f"198.51.100.{number}", 1)
    assert wait(lockout, "bob", "192.0.2.1") == 2
    assert wait(lockout, "ada", "203.0.113.9") == 2
    assert wait(lockout, "bob", "203.0.113.9") == 0


def test_who_signed_in_well_before_is_looked_at_whatever_others_did() -> None:
    lockout = Lockout(Clock())
    lockout.succeed("ada", "192.0.2.1", b"good")
    fail(lockout, "ada", "192.0.2.1", 50)
    for number in range(200):
        fail(lockout, "ada", f"198.51.100.{number}", 1)
    assert wait(lockout, "ada", "192.0.2.1", b"good") == 0
    assert wait(lockout, "ada", "192.0.2.1", b"a guess") > 0


def test_credentials_that_are_good_no_more_are_a_guess_again() -> None:
    lockout = Lockout(Clock())
    lockout.succeed("ada", "192.0.2.1", b"old")
    lockout.fail("ada", "192.0.2.1", b"old")
    fail(lockout, "ada", "192.0.2.1", 8)
    assert wait(lockout, "ada", "192.0.2.1", b"old") > 0


def test_one_machine_has_a_whole_64_of_ipv6() -> None:
    lockout = Lockout(Clock())
    for number in range(6):
        fail(lockout, "ada", f"2001:db8::{number + 1:x}", 1)
    assert wait(lockout, "ada", "2001:db8::ffff") == 2
    assert wait(lockout, "ada", "2001:db8:0:1::1") == 0


def test_failures_of_an_hour_ago_are_forgotten() -> None:
    clock = Clock()
    lockout = Lockout(clock)
    fail(lockout, "ada", "192.0.2.1", 50)
    clock.now += 3_601
    fail(lockout, "ada", "192.0.2.1", 1)
    assert wait(lockout, "ada", "192.0.2.1") == 0


def test_memory_is_bounded() -> None:
    count: Count[str] = Count(5, 1.0, Clock())
    for number in range(3 * REMEMBERED):
        count.add(f"name {number}")
    assert len(count) == REMEMBERED


def test_what_was_touched_last_is_forgotten_last() -> None:
    recent: Recent[str, int] = Recent(2)
    recent.put("a", 1)
    recent.put("b", 2)
    assert recent.find("a") == 1
    recent.put("c", 3)
    assert (recent.find("a"), recent.find("b"), recent.find("c")) == (1, None, 3)
