"""Addresses of callers, and ranges of them: IPv4 and IPv6, in CIDR notation."""

from collections.abc import Iterable
from functools import lru_cache
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from headgate.kernel.errors import Invalid

_LONGEST = 45


def parse_ranges(texts: Iterable[str]) -> tuple[str, ...]:
    """Ranges as they are kept: `10.0.0.7` becomes `10.0.0.7/32`. Raises Invalid `address-range-invalid`."""
    return tuple(str(_parse(text)) for text in texts)


def _parse(text: str) -> IPv4Network | IPv6Network:
    try:
        return ip_network(text.strip())
    except ValueError as error:
        raise Invalid(
            "address-range-invalid",
            f"{text[:64]!r} is no range of addresses: {error}. Write 10.20.0.0/16, 192.0.2.7 or 2001:db8::/32.",
        ) from error


def parse_address(text: str) -> IPv4Address | IPv6Address | None:
    """An address, or None; an IPv4 address that is written as IPv6 (`::ffff:192.0.2.7`) is the IPv4 one."""
    if len(text) > _LONGEST:
        return None
    try:
        found = ip_address(text)
    except ValueError:
        return None
    mapped = found.ipv4_mapped if isinstance(found, IPv6Address) else None
    return mapped or found


@lru_cache(maxsize=16_384)
def is_within(address: str, ranges: tuple[str, ...]) -> bool:
    """True when an address lies in one of the ranges; what is no address lies in none."""
    found = parse_address(address)
    return found is not None and any(found in ip_network(one) for one in ranges)


def are_within(inner: Iterable[str], outer: Iterable[str]) -> bool:
    """True when each range lies in one of the outer ranges."""
    around = [ip_network(one) for one in outer]
    return all(any(_is_inside(ip_network(one), other) for other in around) for one in inner)


def _is_inside(inner: IPv4Network | IPv6Network, outer: IPv4Network | IPv6Network) -> bool:
    return inner.version == outer.version and inner.subnet_of(outer)  # type: ignore[arg-type]  # one version, two types


@lru_cache(maxsize=16_384)
def neighbourhood(address: str) -> str:
    """Who counts as one caller: an IPv4 address, or the /64 of an IPv6 address, which one machine has whole."""
    found = parse_address(address)
    if isinstance(found, IPv6Address):
        return str(ip_network((found, 64), strict=False))
    return address[:_LONGEST]
