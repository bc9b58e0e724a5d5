"""How requests leave this machine: what may be said of it per mirror, and how its secrets are told apart.

as given --conceal--> shown (`•••` where a secret was) + secrets --reveal--> as given
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated, Any, Final

import msgspec
from yarl import URL

from headgate.http.certificates import check_client_certificate
from headgate.http.masking import HIDDEN, mask_url
from headgate.http.proxies import Proxies
from headgate.http.s3 import DEFAULT_REGION, S3Access, check_s3, find_bucket, find_url, is_s3
from headgate.kernel.errors import Invalid

DIRECT: Final = "direct"
UNVERIFIED: Final = (
    "Certificates are not verified: whoever sits on the way can pass for the upstream and read its credentials. "
    "Add the missing CA and set verify to true."
)

_Seconds = Annotated[float, msgspec.Meta(gt=0, le=3600)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=1000)]


class NetworkSettings(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How one mirror is reached. What is None is as the server's own settings say."""

    proxy: str | None = None
    """http or https URL, credentials included; `direct`: no proxy, whatever the server's own is."""
    no_proxy: tuple[str, ...] | None = None
    """Hosts, `.suffixes`, addresses and CIDR blocks that are reached without the proxy."""
    ca: tuple[str, ...] = ()
    """Names of CA bundles that are trusted for this mirror alone, besides those trusted everywhere."""
    verify: bool = True
    """False: certificates are not checked, and everything that shows the mirror warns of it."""
    client_certificate: str | None = None
    """PEM certificate (chain) that the upstream asks of us."""
    client_key: str | None = None
    """PEM key of `client_certificate`, without a passphrase. Secret."""
    bearer_token: str | None = None
    """Sent to the upstream as `Authorization: Bearer`. Secret."""
    connect_timeout_seconds: _Seconds | None = None
    stall_timeout_seconds: _Seconds | None = None
    retries: Annotated[int, msgspec.Meta(ge=0, le=10)] | None = None
    """How often a request that found no answer, or a passing failure, is made again."""
    connections: _Count | None = None
    """Requests open at once, of all processes together."""
    bytes_per_second: Annotated[int, msgspec.Meta(ge=1024)] | None = None
    """Most bytes received per second, by all processes together."""
    s3_region: str | None = None
    """Where an `s3://` bucket is; us-east-1 unless set."""
    s3_endpoint: str | None = None
    """The URL of an S3 service that is not AWS."""
    s3_path_style: bool | None = None
    """Whether the bucket stands in the path; None: at an endpoint of one's own, not at AWS."""
    s3_access_key: str | None = None
    """What signs, with `s3_secret_key`; without both the environment or the instance's role does."""
    s3_secret_key: str | None = None
    """Secret."""
    s3_unsigned: bool = False
    """The bucket is public: requests bear no signature."""

    def warnings(self) -> list[str]:
        """What is dangerous about them, in sentences."""
        return [] if self.verify else [UNVERIFIED]


@dataclass(frozen=True, slots=True)
class Network:
    """How requests leave, with everything looked up: equal values may share their connections."""

    proxies: Proxies = Proxies()  # noqa: RUF009 - it is frozen
    authorities: tuple[str, ...] = ()
    """PEM texts that are trusted besides the system's."""
    is_verifying: bool = True
    client_certificate: str | None = field(default=None, repr=False)
    """PEM certificate and key."""
    bearer_token: str | None = field(default=None, repr=False)
    connect_timeout_s: float = 10
    stall_timeout_s: float = 60
    retries: int = 0
    connections: int = 100
    bytes_per_second: int | None = None
    s3: S3Access | None = None
    """The buckets of a mirror, and who signs."""
    owner: int = 0
    """The mirror whose own limits these are; 0: they are shared."""

    def of_mirror(self, settings: NetworkSettings, authorities: Sequence[str], owner: int) -> "Network":
        """What becomes of the server's own network by a mirror's settings."""
        has_limits = settings.connections is not None or settings.bytes_per_second is not None
        given: dict[str, Any] = {
            "connect_timeout_s": settings.connect_timeout_seconds,
            "stall_timeout_s": settings.stall_timeout_seconds,
            "retries": settings.retries,
            "connections": settings.connections,
            "bytes_per_second": settings.bytes_per_second,
        }
        client = (settings.client_certificate or "") + "\n" + (settings.client_key or "")
        return replace(
            self,
            proxies=_proxies(self.proxies, settings),
            authorities=(*self.authorities, *authorities),
            is_verifying=settings.verify,
            client_certificate=client if settings.client_key else None,
            bearer_token=settings.bearer_token,
            owner=owner if has_limits else 0,
            **{key: value for key, value in given.items() if value is not None},
        )


def _proxies(own: Proxies, settings: NetworkSettings) -> Proxies:
    if settings.proxy == DIRECT:
        return Proxies()
    if settings.proxy is None:
        return own if settings.no_proxy is None else own.sparing(settings.no_proxy)
    return Proxies(settings.proxy, settings.proxy, own.no_proxy if settings.no_proxy is None else settings.no_proxy)


def resolve_urls(network: Network, urls: Sequence[str], settings: NetworkSettings) -> tuple[Network, tuple[str, ...]]:
    """The ordinary URL of each, and the network that also signs for those that are `s3://`."""
    region = settings.s3_region or DEFAULT_REGION
    buckets = {
        url: find_bucket(url, region, settings.s3_endpoint, has_path_style=settings.s3_path_style)
        for url in urls
        if is_s3(url)
    }
    if not buckets:
        return network, tuple(urls)
    access = S3Access(
        tuple(buckets.values()), region, settings.s3_access_key, settings.s3_secret_key, settings.s3_unsigned
    )
    return replace(network, s3=access), tuple(find_url(url, buckets[url]) if url in buckets else url for url in urls)


def obstacle(network: Network, url: str) -> str | None:
    """Why a client cannot be sent to an ordinary URL that we reach through `network`; None when it can."""
    if not url.startswith(("http://", "https://")):
        return "it is a folder of this server"
    if network.proxies.find(URL(url)) is not None:
        return "it is reached through a proxy"
    if network.authorities or not network.is_verifying:
        return "its certificate is trusted here by a setting, and perhaps by no client"
    if network.client_certificate is not None:
        return "it asks for our client certificate"
    if network.bearer_token is not None or mask_url(url) != url:
        return "it asks for our credentials"
    return None


def check_network(settings: NetworkSettings) -> None:
    """Raises Invalid `proxy-invalid`, `certificate-invalid` or `s3-invalid`."""
    if settings.proxy is not None:
        check_proxy(settings.proxy)
    check_client_certificate(settings.client_certificate, settings.client_key)
    check_s3(settings.s3_region, settings.s3_endpoint, settings.s3_access_key, settings.s3_secret_key)


def check_proxy(proxy: str) -> None:
    """Raises Invalid `proxy-invalid` unless it is the URL of an http or https proxy, or `direct`."""
    if proxy == DIRECT:
        return
    try:
        url = URL(proxy)
        is_proxy = url.scheme in {"http", "https"} and bool(url.host) and url.path in {"", "/"} and url.port is not None
    except ValueError:
        is_proxy = False
    if not is_proxy:
        raise Invalid(
            "proxy-invalid",
            f"{mask_url(proxy)} is not a proxy: write http://host:port or http://user:password@host:port, with special "
            "characters percent-encoded.",
        )


SECRETS: Final = ("proxy", "client_key", "bearer_token", "s3_secret_key")


def conceal(settings: NetworkSettings) -> tuple[NetworkSettings, dict[str, str]]:
    """The settings as they may be shown, and what was left out of them."""
    secrets: dict[str, str] = {}
    changes: dict[str, str] = {}
    for name in SECRETS:
        value = getattr(settings, name)
        if value is not None and (shown := _shown(name, value)) != value:
            secrets[name], changes[name] = value, shown
    return msgspec.structs.replace(settings, **changes), secrets


def reveal(shown: NetworkSettings, secrets: Mapping[str, str]) -> NetworkSettings:
    """What `conceal` was given."""
    return msgspec.structs.replace(shown, **secrets)


def _shown(name: str, value: str) -> str:
    return mask_url(value) if name == "proxy" else HIDDEN
