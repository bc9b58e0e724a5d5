import pytest

from headgate.http.addresses import AddressRefused, Nearness, guarded_socket, nearness_of


@pytest.mark.parametrize(
    ("address", "nearness"),
    [
        ("1.1.1.1", Nearness.PUBLIC),
        ("2606:4700::1111", Nearness.PUBLIC),
        ("10.1.2.3", Nearness.PRIVATE),
        ("172.16.0.1", Nearness.PRIVATE),
        ("192.168.1.1", Nearness.PRIVATE),
        ("100.64.0.1", Nearness.PRIVATE),
        ("fd00:ec2::254", Nearness.PRIVATE),
        ("127.0.0.1", Nearness.LOOPBACK),
        ("127.9.9.9", Nearness.LOOPBACK),
        ("::1", Nearness.LOOPBACK),
        ("::ffff:127.0.0.1", Nearness.LOOPBACK),
        ("64:ff9b::7f00:1", Nearness.LOOPBACK),
        ("2002:7f00:1::", Nearness.LOOPBACK),
        ("169.254.169.254", Nearness.ANY),
        ("fe80::1%eth0", Nearness.ANY),
        ("::ffff:169.254.169.254", Nearness.ANY),
        ("0.0.0.0", Nearness.ANY),
        ("::", Nearness.ANY),
        ("224.0.0.1", Nearness.ANY),
        ("255.255.255.255", Nearness.ANY),
    ],
)
def test_nearness_of_addresses_however_they_are_written(address: str, nearness: Nearness) -> None:
    assert nearness_of(address) is nearness


def test_no_socket_is_made_for_an_address_beyond_the_limit() -> None:
    make = guarded_socket(Nearness.PUBLIC)
    with pytest.raises(AddressRefused):
        make((2, 1, 6, "", ("10.0.0.1", 80)))
    make((2, 1, 6, "", ("1.1.1.1", 80))).close()
