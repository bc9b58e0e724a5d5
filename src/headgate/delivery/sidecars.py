"""Attestations as clients ask for them: `<file>.sigs`, byte for byte, for whom the file itself is meant."""

from headgate.channels.model import Channel
from headgate.channels.proofs import Checked, find_sidecar, has_attestation, save_attestation
from headgate.channels.revising import republish
from headgate.conda.attestations import TrustRoot, claimed_sidecar
from headgate.conda.names import ArtifactName, Sha256, Subdir
from headgate.db.engine import Database
from headgate.delivery.located import Located, Locator
from headgate.delivery.sources import FromUpstream, WithPolicy
from headgate.intake.attesting import fetch_sidecar
from headgate.kernel.errors import NotFound, Unavailable


class Sidecars:
    """Finds attestations: those that are kept, else upstream's."""

    def __init__(
        self, database: Database, locator: Locator, delivery: WithPolicy, upstream: FromUpstream, root: TrustRoot
    ) -> None:
        self._database = database
        self._locator = locator
        self._delivery = delivery
        self._upstream = upstream
        self._root = root

    async def find(
        self, channel: Channel, subdir: Subdir, artifact: ArtifactName, asked: Sha256 | None
    ) -> tuple[str, bytes]:
        """The sha256 and the bytes of a file's attestations: those `asked` for, else those that its record names.

        Raises NotFound `artifact-unknown` or `attestation-unknown`, Refused as for the file, Unavailable.
        """
        wanted = await self._locator.locate(channel, subdir, artifact)
        await self._delivery.check(wanted)
        named = claimed_sidecar(wanted.record)
        digest = asked or named
        if digest is None:
            raise NotFound("attestation-unknown", f"Nobody attests {artifact} in {channel.name}/{subdir}.")
        async with self._database.read() as connection:
            is_known = await has_attestation(connection, wanted.sha256, artifact.filename, digest)
            body = await find_sidecar(connection, digest) if is_known else None
        if body is None:
            if digest != named:
                raise NotFound("attestation-unknown", f"{artifact} never had the attestations {digest}.")
            body = await self._fetched(wanted, digest)
        return digest, body

    async def _fetched(self, wanted: Located, digest: str) -> bytes:
        """From upstream, checked and kept. Raises Unavailable `attestation-missing`."""
        failure: Unavailable | None = None
        for address in await self._upstream.addresses(wanted):
            try:
                body = await fetch_sidecar(address.outgoing, address.url, digest, address.told_by)
                break
            except Unavailable as error:
                failure = error
        else:
            raise failure or Unavailable("attestation-missing", "No upstream is known.")
        subdir = Subdir(wanted.subdir.name)
        attested = await self._root.verify(wanted.artifact, subdir, wanted.sha256, body)
        checked = Checked(wanted.artifact, subdir, wanted.sha256, digest, body, attested, self._root.key)
        async with self._database.write() as connection:
            await save_attestation(connection, checked)
        await republish(self._database, [str(wanted.artifact.name)], "attestations checked")
        return body
