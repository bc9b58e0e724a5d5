"""How mirrors are reached: the one place where their secrets are in the clear.

Connections belong to a `Network`, which is a value: mirrors that leave in the same way share them, and a mirror that is
changed gets others at its next request.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection
from yarl import URL

from headgate.channels.authorities import read_bundles
from headgate.channels.bases import find_base, keep_base
from headgate.channels.mirror_service import mirror_of
from headgate.channels.mirrors import complete
from headgate.channels.model import Source
from headgate.channels.modes import Mode
from headgate.conda.names import Subdir
from headgate.db.sealing import Sealer
from headgate.http.breakers import Resting
from headgate.http.client import Outgoing
from headgate.http.limits import Limits
from headgate.http.masking import mask_url
from headgate.http.network import Network, NetworkSettings, obstacle, resolve_urls
from headgate.kernel.errors import Unavailable

NOT_REDIRECTED: Final = "Files of {} are delivered, although the mode is redirect: {}."


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
    """Finds the route of each mirror. `network` is how requests leave unless a mirror says otherwise."""

    def __init__(
        self, network: Network, sealer: Sealer, file_roots: Sequence[Path] = (), limits: Limits | None = None
    ) -> None:
        self.network = network
        self._limits = limits or Limits()
        self._sealer = sealer
        self._file_roots = tuple(file_roots)
        self._bundles: dict[str, str] = {}
        self._everywhere: tuple[str, ...] = ()
        self._known: dict[int, tuple[Source, Network, Route]] = {}
        self._pool: dict[Network, Outgoing] = {}
        self._plain: Network | None = None

    async def load(self, connection: AsyncConnection) -> None:
        """Read the CA bundles again."""
        found = await read_bundles(connection)
        bundles = {bundle.name: bundle.pem for bundle in found if not bundle.is_everywhere}
        everywhere = tuple(bundle.pem for bundle in found if bundle.is_everywhere)
        if (bundles, everywhere) != (self._bundles, self._everywhere):
            self._bundles, self._everywhere = bundles, everywhere
            self._known.clear()

    async def close(self) -> None:
        """Close every connection."""
        for outgoing in self._pool.values():
            await outgoing.close()
        self._limits.close()

    def of(self, source: Source) -> Route:
        """The route to a mirror. Raises Unavailable `secret-unreadable`."""
        known = self._known.get(source.id)
        if known is not None and known[0] == source:
            return known[2]
        network, urls = self._resolved(source)
        route = Route(self._outgoing(network), urls, self._sealer)
        self._known[source.id] = (source, network, route)
        self._retire()
        return route

    def everywhere(self) -> Outgoing:
        """The way to what is no mirror, with the CA bundles that count everywhere."""
        return self._outgoing(self.network_of(NetworkSettings(), 0))

    def settings_of(self, source: Source) -> tuple[tuple[str, ...], NetworkSettings]:
        """A mirror's URLs and network settings, secrets included. Raises Unavailable `secret-unreadable`."""
        whole = complete(mirror_of(source), source.sealed, self._sealer)
        return whole.urls, whole.settings.network

    def network_of(self, settings: NetworkSettings, owner: int) -> Network:
        """How a mirror with these settings is reached."""
        named = [self._bundles[name] for name in settings.ca if name in self._bundles]
        return self.network.of_mirror(settings, (*self._everywhere, *named), owner)

    def warnings(self, source: Source) -> list[str]:
        """What is dangerous about a mirror's settings, and what of them cannot work."""
        warnings = source.settings.warnings()
        if source.settings.fetch.mode is not Mode.REDIRECT:
            return warnings
        try:
            network, urls = self._resolved(source)
        except Unavailable as error:
            return [*warnings, error.message]
        reasons = {url: reason for url in urls if (reason := obstacle(network, url)) is not None}
        return [*warnings, *(NOT_REDIRECTED.format(mask_url(url), reason) for url, reason in reasons.items())]

    def resting(self, source: Source) -> list[Resting]:
        """The hosts of a mirror's URLs that are left alone just now."""
        hosts = {f"{url.host}:{url.port}" for url in map(URL, self._resolved(source)[1])}
        return [one for one in self.all_resting() if one.host in hosts]

    def all_resting(self) -> list[Resting]:
        """Every host that is left alone just now, by all processes of the server."""
        return self._limits.breakers.resting()

    def fresh(self, source: Source) -> Route:
        """The same route with connections and breakers of its own, for a trial; whoever asks closes them."""
        network, urls = self._resolved(source)
        return Route(Outgoing(network, file_roots=self._file_roots), urls, self._sealer)

    def plain(self) -> Outgoing:
        """Connections to what is no mirror, such as advisory feeds: as requests leave unless a mirror says otherwise."""
        self._plain = self.network_of(NetworkSettings(), 0)
        return self._outgoing(self._plain)

    def _resolved(self, source: Source) -> tuple[Network, tuple[str, ...]]:
        urls, settings = self.settings_of(source)
        return resolve_urls(self.network_of(settings, source.id), urls, settings)

    def _outgoing(self, network: Network) -> Outgoing:
        if network not in self._pool:
            self._pool[network] = Outgoing(network, file_roots=self._file_roots, limits=self._limits)
        return self._pool[network]

    def _retire(self) -> None:
        used = {network for _, network, _ in self._known.values()} | {self._plain}
        for network in self._pool.keys() - used:
            self._pool.pop(network).retire()
