"""How mirrors are reached: the one place where their secrets are in the clear."""

from dataclasses import dataclass, field

from headgate.channels.bases import find_base, keep_base
from headgate.channels.mirror_service import mirror_of
from headgate.channels.mirrors import complete
from headgate.channels.model import Source
from headgate.conda.names import Subdir
from headgate.db.sealing import Sealer
from headgate.http.client import Outgoing
from headgate.http.network import NetworkSettings


@dataclass(frozen=True, slots=True)
class Route:
    """The way to one mirror: `urls` are complete, secrets included, and tried in their order."""

    outgoing: Outgoing
    urls: tuple[str, ...] = field(repr=False)
    sealer: Sealer = field(repr=False)

    def roots(self, subdir: Subdir) -> list[str]:
        """The subdir's URL at each place, ending in a slash."""
        return [f"{url.rstrip('/')}/{subdir}/" for url in self.urls]

    def keep_base(self, base_url: str, root: str) -> str:
        """What is written down of a base URL."""
        return keep_base(base_url, root, self.sealer)

    def find_base(self, kept: str, root: str) -> str:
        """The base URL again, at one of the roots."""
        return find_base(kept, root, self.sealer)


class Routes:
    """Finds the route of each mirror."""

    def __init__(self, outgoing: Outgoing, sealer: Sealer) -> None:
        self._outgoing = outgoing
        self._sealer = sealer

    async def close(self) -> None:
        """Close every connection."""
        await self._outgoing.close()

    def of(self, source: Source) -> Route:
        """The route to a mirror. Raises Unavailable `secret-unreadable`."""
        urls, _ = self.settings_of(source)
        return Route(self._outgoing, urls, self._sealer)

    def settings_of(self, source: Source) -> tuple[tuple[str, ...], NetworkSettings]:
        """A mirror's URLs and network settings, secrets included. Raises Unavailable `secret-unreadable`."""
        whole = complete(mirror_of(source), source.sealed, self._sealer)
        return whole.urls, whole.settings.network
