"""What the access log keeps, and how much of that it says of people: all, less, or nothing."""

import hashlib
import hmac
from base64 import b32encode
from dataclasses import dataclass
from enum import StrEnum
from ipaddress import ip_address, ip_network

NOBODY = "anonymous"
_PURPOSE = b"headgate access log pseudonyms\0"


class Kind(StrEnum):
    """What was asked for. Stored."""

    DOWNLOAD = "download"
    INDEX = "index"
    SHARD = "shard"


class Addresses(StrEnum):
    """What is kept of an address."""

    WHOLE = "whole"
    TRUNCATED = "truncated"
    """Its network: /24 of IPv4, /48 of IPv6."""
    NONE = "none"


class People(StrEnum):
    """What is kept of who asked."""

    NAMES = "names"
    PSEUDONYMS = "pseudonyms"
    """The same person has the same one, and only this server's key leads from a name to it."""
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Masking:
    """Takes out of an entry what is not to be kept. `secret` is the server's."""

    secret: bytes
    addresses: Addresses = Addresses.WHOLE
    people: People = People.NAMES

    def address(self, address: str) -> str:
        """What is kept of an address; nothing of one that cannot be read."""
        if self.addresses is Addresses.WHOLE:
            return address
        if self.addresses is Addresses.NONE:
            return ""
        try:
            parsed = ip_address(address)
        except ValueError:
            return ""
        mapped = getattr(parsed, "ipv4_mapped", None) or parsed
        return str(ip_network((mapped, 24 if mapped.version == 4 else 48), strict=False))

    def person(self, name: str) -> str:
        """What is kept of a user's name; who gives none has none to hide."""
        if self.people is People.NAMES or name == NOBODY:
            return name
        if self.people is People.NONE:
            return ""
        digest = hmac.digest(self.secret, _PURPOSE + name.encode(), hashlib.sha256)
        return f"~{b32encode(digest[:10]).decode().lower()}"

    def token(self, name: str) -> str:
        """What is kept of a token's name, which its owner chose."""
        return name if self.people is People.NAMES else ""
