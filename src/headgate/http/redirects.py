"""Where one request may lead to the next: redirects, and addresses that an upstream's index names.

                       same origin            same host         another host
    credentials        kept                   dropped           dropped
    addresses          as before              as before         no nearer than the upstream is, unless the host is listed

HTTPS never leads to plain HTTP, HTTP never to a file. Behind a proxy the addresses are the proxy's to see; there the names
of hosts are judged instead (`nearness_of_name`).
"""

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from typing import Final

import aiohttp
from multidict import CIMultiDict
from yarl import URL

from headgate.http.addresses import Nearness, nearness_of_host, nearness_of_name
from headgate.http.masking import mask_url
from headgate.kernel.errors import Invalid, Unavailable

ANY_HOST: Final = "*"

# Carried to another origin; every other header may be a secret of the first.
_HARMLESS = frozenset({"accept", "accept-encoding", "range", "if-range", "if-none-match", "if-modified-since"})

# What RFC 3986 allows in a URL. Such text is sent exactly as it is: presigned URLs break when quoted anew.
_PROPER = re.compile(r"(?:[A-Za-z0-9\-._~:/?#\[\]@!$&'()*+,;=]|%[0-9A-Fa-f]{2})*")


IsProxied = Callable[[URL], bool]


def never(_url: URL) -> bool:
    """No URL is reached through a proxy."""
    return False


@dataclass(frozen=True, slots=True)
class Hop:
    """One request of a chain: a URL without user information, its headers, and the nearest address it may reach."""

    url: URL
    headers: Mapping[str, str]
    limit: Nearness = Nearness.ANY

    @property
    def shown(self) -> str:
        """The URL with its secrets hidden."""
        return mask_url(str(self.url))


def first_hop(url: str, headers: Mapping[str, str]) -> Hop:
    """The request for a URL that an administrator configured: `user:password@` becomes Basic credentials.

    Raises Invalid `upstream-url` when it is no absolute http or https URL.
    """
    try:
        parsed = _parse(url)
        if parsed.scheme not in {"http", "https"} or not parsed.host:
            raise ValueError("neither http nor https")
        sent = CIMultiDict(headers)
        if parsed.user is not None or parsed.password is not None:
            sent["Authorization"] = aiohttp.encode_basic_auth(parsed.user or "", parsed.password or "")
        return Hop(parsed.with_user(None), sent)
    except ValueError:
        raise Invalid(
            "upstream-url", f"{mask_url(url)} is not an address Headgate can read: write http://, https:// or file://."
        ) from None


async def next_hop(hop: Hop, location: str, hosts: Collection[str], is_proxied: IsProxied = never) -> Hop:
    """The request that `hop` leads to, `location` being absolute or relative.

    `hosts` are the host names that may be led to, `*` for all; `is_proxied` says of a URL that a proxy resolves its
    host, whose name alone is then judged. Raises Unavailable `upstream-redirect-refused` when the
    rules forbid it and `upstream-unreachable` when the host name of `hop` no longer resolves.
    """
    target = _target(hop, location)
    headers = hop.headers if same_origin(hop.url, target) else _harmless(hop.headers)
    if _host(target) == _host(hop.url):
        return Hop(target, headers, hop.limit)
    if _host(target) in hosts:
        return Hop(target, headers)
    if ANY_HOST not in hosts:
        raise _refused(hop, target, "which is not in the list of hosts that may be led to")
    limit = min(hop.limit, await _farthest(hop, is_proxied))
    if is_proxied(target) and nearness_of_name(_host(target)) > limit:
        raise _refused(hop, target, "which is nearer to us than the upstream")
    return Hop(target, headers, limit)


async def check_hop(hop: Hop, source: str, is_proxied: IsProxied = never) -> None:
    """Raises Unavailable `upstream-redirect-refused` when the host of `hop` has an address nearer than its limit."""
    if hop.limit is Nearness.ANY or is_proxied(hop.url):
        return  # a proxied host was judged by its name when the hop was made
    try:
        _, nearest = await nearness_of_host(_host(hop.url), hop.url.port)
    except OSError:
        raise _unresolved(hop) from None
    if nearest > hop.limit:
        raise Unavailable(
            "upstream-redirect-refused",
            f"{mask_url(source)} names {hop.shown}, whose address is nearer to us than its own.",
        )


def same_origin(first: URL, second: URL) -> bool:
    """Whether credentials for the first may be sent to the second: same scheme, host and port, or the same under TLS."""
    if _host(first) != _host(second):
        return False
    if (first.scheme, first.port) == (second.scheme, second.port):
        return True
    return (first.scheme, first.port, second.scheme, second.port) == ("http", 80, "https", 443)


def with_credentials_of(url: URL, owner: str) -> URL:
    """`url` with the user information of the URL `owner` when both have the same origin, else unchanged."""
    source = _parse(owner)
    return url.with_user(source.user).with_password(source.password) if same_origin(source, url) else url


def _target(hop: Hop, location: str) -> URL:
    try:
        target = hop.url.join(_parse(location)).with_fragment(None)
        is_web = target.scheme in {"http", "https"} and bool(target.host) and target.port is not None
        target = target.with_user(None)
    except ValueError:
        raise Unavailable(
            "upstream-redirect-refused", f"{hop.shown} leads to something that is not an address."
        ) from None
    if not is_web:
        raise _refused(hop, target, "which is not an address on the web")
    if hop.url.scheme == "https" and target.scheme == "http":
        raise _refused(hop, target, "which gives up the protection of HTTPS")
    return target


async def _farthest(hop: Hop, is_proxied: IsProxied) -> Nearness:
    if is_proxied(hop.url):
        return nearness_of_name(_host(hop.url))
    try:
        farthest, _ = await nearness_of_host(_host(hop.url), hop.url.port)
    except OSError:
        raise _unresolved(hop) from None
    return farthest


def _parse(text: str) -> URL:
    return URL(text, encoded=_PROPER.fullmatch(text) is not None)


def _host(url: URL) -> str:
    return (url.host or "").lower()


def _harmless(headers: Mapping[str, str]) -> Mapping[str, str]:
    return {name: value for name, value in headers.items() if name.lower() in _HARMLESS}


def _refused(hop: Hop, target: URL, why: str) -> Unavailable:
    return Unavailable("upstream-redirect-refused", f"{hop.shown} leads to {mask_url(str(target))}, {why}.")


def _unresolved(hop: Hop) -> Unavailable:
    return Unavailable("upstream-unreachable", f"{hop.shown} could not be reached: its host name cannot be resolved.")
