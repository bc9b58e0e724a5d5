"""How requests leave this machine: what may be said of it per mirror, and how its secrets are told apart.

as given --conceal--> shown (`•••` where a secret was) + secrets --reveal--> as given
"""

from collections.abc import Mapping
from typing import Annotated, Final

import msgspec

from headgate.http.masking import HIDDEN, mask_url

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
    """Requests open at once, per process."""
    bytes_per_second: Annotated[int, msgspec.Meta(ge=1024)] | None = None
    """Most bytes received per second, per process."""

    def warnings(self) -> list[str]:
        """What is dangerous about them, in sentences."""
        return [] if self.verify else [UNVERIFIED]


SECRETS: Final = ("proxy", "client_key", "bearer_token")


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
