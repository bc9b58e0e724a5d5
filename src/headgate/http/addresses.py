"""Which network addresses an outgoing connection may reach.

A URL that an administrator wrote may point anywhere. A URL that an upstream told us (a redirect, a `base_url`) may not
lead nearer to us than the upstream itself is: a public mirror must not make Headgate read an internal service.
"""

import asyncio
import socket
from collections.abc import Callable
from enum import IntEnum
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Any

AddressInfo = tuple[int | socket.AddressFamily, int | socket.SocketKind, int, str, tuple[Any, ...]]

_PRIVATE_ZONES = (".local", ".internal", ".intranet", ".lan", ".corp", ".home", ".private", ".home.arpa")
_NAT64 = IPv6Network("64:ff9b::/96")


class Nearness(IntEnum):
    """How near to this machine an address is; a connection has the nearest one it may reach."""

    PUBLIC = 0
    PRIVATE = 1
    """Private, shared (RFC 6598) and unique local networks."""
    LOOPBACK = 2
    ANY = 3
    """Also link-local (cloud metadata services live there), unspecified, multicast and reserved addresses."""


class AddressRefused(OSError):
    """A connection was about to be made to an address nearer than its limit."""


def nearness_of(address: str) -> Nearness:
    """The nearness of one literal IPv4 or IPv6 address; raises ValueError when it is none."""
    ip = _embedded(ip_address(address))
    if ip.is_loopback:
        return Nearness.LOOPBACK
    if ip.is_link_local or ip.is_unspecified or ip.is_multicast or ip.is_reserved:
        return Nearness.ANY
    return Nearness.PUBLIC if ip.is_global else Nearness.PRIVATE


def nearness_of_name(host: str) -> Nearness:
    """How near a host is as far as its name tells: a proxy resolves it, and we never see its address.

    An address counts as what it is. `localhost`, names without a dot, and names of private zones are nearer than
    others, which are taken for public: a public name that leads inside is for the proxy to refuse.
    """
    host = host.strip("[]").rstrip(".").lower()
    try:
        return nearness_of(host)
    except ValueError:
        pass
    if host == "localhost" or host.endswith(".localhost"):
        return Nearness.LOOPBACK
    # Old spellings of addresses (`0x7f000001`, `127.1`) are no names either.
    last = host.rpartition(".")[2]
    if last.isdecimal() or last.startswith("0x"):
        return Nearness.ANY
    return Nearness.PRIVATE if "." not in host or host.endswith(_PRIVATE_ZONES) else Nearness.PUBLIC


def _embedded(ip: IPv4Address | IPv6Address) -> IPv4Address | IPv6Address:
    """The IPv4 address that an IPv6 one stands for (mapped, 6to4, NAT64), else the address itself."""
    if isinstance(ip, IPv4Address):
        return ip
    if ip in _NAT64:
        return IPv4Address(int(ip) & 0xFFFFFFFF)
    return ip.ipv4_mapped or ip.sixtofour or ip


async def nearness_of_host(host: str, port: int | None) -> tuple[Nearness, Nearness]:
    """The farthest and the nearest address a host name resolves to; raises OSError when it does not resolve."""
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    near = [nearness_of(str(address[0])) for *_, address in found]
    return min(near), max(near)


def guarded_socket(limit: Nearness) -> Callable[[AddressInfo], socket.socket]:
    """Makes sockets for addresses no nearer than `limit`.

    The check sits where the address is final, so a name that resolves differently the second time is caught too.
    """

    def make(info: AddressInfo) -> socket.socket:
        family, kind, protocol, _, address = info
        if nearness_of(str(address[0])) > limit:
            raise AddressRefused("the address is nearer than the upstream that led there")
        return socket.socket(family, kind, protocol)

    return make
