"""Which proxy a request goes through."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from ipaddress import ip_address, ip_network

from yarl import URL

from headgate.http.masking import mask_url


@dataclass(frozen=True, slots=True)
class Proxies:
    """A proxy per scheme, as URLs with their credentials, and what is reached without one.

    `no_proxy` has host names (with all below them), `.suffixes`, addresses, CIDR blocks, each with `:port` or not, and
    `*`. What the environment says never concerns this very machine: `spares_loopback`.
    """

    http: str | None = field(default=None, repr=False)
    https: str | None = field(default=None, repr=False)
    no_proxy: tuple[str, ...] = ()
    spares_loopback: bool = False

    @classmethod
    def of_environment(cls, environment: Mapping[str, str]) -> "Proxies":
        """As `http_proxy`, `https_proxy`, `all_proxy` and `no_proxy` say, in lower case or in capitals."""

        def value(name: str) -> str | None:
            return environment.get(name) or environment.get(name.upper()) or None

        listed = tuple(entry for entry in (value("no_proxy") or "").replace(",", " ").split() if entry)
        proxies = [_with_scheme(value(f"{scheme}_proxy") or value("all_proxy")) for scheme in ("http", "https")]
        return cls(proxies[0], proxies[1], listed, spares_loopback=True)

    def sparing(self, no_proxy: tuple[str, ...]) -> "Proxies":
        """The same proxies with another list of what is reached without them."""
        return replace(self, no_proxy=no_proxy)

    def find(self, url: URL) -> str | None:
        """The proxy for a URL, or None."""
        proxy = self.https if url.scheme == "https" else self.http
        if proxy is None or (self.spares_loopback and is_loopback(url.host or "")):
            return None
        return None if _is_listed(self.no_proxy, (url.host or "").rstrip(".").lower(), url.port) else proxy

    def shown(self) -> dict[str, str | None]:
        """The proxies with their secrets hidden."""
        return {"http": self.http and mask_url(self.http), "https": self.https and mask_url(self.https)}


def is_loopback(host: str) -> bool:
    """Whether a host is, by its name or address, this very machine."""
    host = host.strip("[]").rstrip(".").lower()
    if host == "localhost" or host.endswith(".localhost"):
        return True
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return False


def _with_scheme(proxy: str | None) -> str | None:
    """Environments often hold `proxy.example:3128`."""
    return proxy if proxy is None or "://" in proxy else f"http://{proxy}"


@lru_cache(4096)
def _is_listed(no_proxy: tuple[str, ...], host: str, port: int | None) -> bool:
    """Asked for every shard of an index, always about the same few hosts."""
    return any(_matches(entry, host, port) for entry in no_proxy)


def _matches(entry: str, host: str, port: int | None) -> bool:
    if entry == "*":
        return True
    entry, own_port = _port_of(entry.strip().lower())
    if own_port is not None and own_port != port:
        return False
    try:
        return ip_address(host) in ip_network(entry.strip("[]"), strict=False)
    except ValueError:
        suffix = entry.lstrip("*").lstrip(".").rstrip(".")
        return bool(suffix) and (host == suffix or host.endswith(f".{suffix}"))


def _port_of(entry: str) -> tuple[str, int | None]:
    head, colon, tail = entry.rpartition(":")
    is_plain = colon and tail.isdecimal() and (":" not in head or head.endswith("]"))
    return (head, int(tail)) if is_plain else (entry, None)
