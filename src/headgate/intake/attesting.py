"""Attestations as they come in: checked against the trust root of this server, and kept with what they prove."""

from sqlalchemy import select

from headgate.channels.proofs import Checked, find_sidecar, save_attestation
from headgate.channels.revising import republish
from headgate.conda.attestations import (
    MAX_SIDECAR_BYTES,
    Attested,
    TrustRoot,
    bundles_of,
    join_bundles,
    sidecar_digest,
)
from headgate.conda.names import ArtifactName, Sha256, Subdir
from headgate.db import tables_signatures
from headgate.db.engine import Database
from headgate.http.client import Outgoing, mask_url
from headgate.kernel.errors import Unavailable


async def check_attestations(
    root: TrustRoot, artifact: ArtifactName, subdir: Subdir, sha256: Sha256, given: bytes
) -> Checked:
    """What bundles, given alone or as a list, prove of a file. Raises Invalid `attestation-malformed`."""
    sidecar = join_bundles(bundles_of(given))
    attested = await root.verify(artifact, subdir, sha256, sidecar)
    return Checked(artifact, subdir, str(sha256), sidecar_digest(sidecar), sidecar, attested, root.key)


async def fetch_sidecar(outgoing: Outgoing, url: str, digest: str, told_by: str) -> bytes:
    """The attestations of the file at `url`, as its record names them. Raises Unavailable `attestation-missing`."""
    seen = []
    for place in (f"{url}.sigs.{digest}", f"{url}.sigs"):
        async with outgoing.open(place, told_by=told_by) as answer:
            if answer.status == 200:
                body = await answer.read(MAX_SIDECAR_BYTES)
                if sidecar_digest(body) == digest:
                    return body
                seen.append("other bytes than the record names")
            else:
                seen.append(f"status {answer.status}")
    raise Unavailable("attestation-missing", f"{mask_url(url)}.sigs: upstream gives {' and '.join(seen)}.")


async def check_again(database: Database, root: TrustRoot, limit: int) -> int:
    """Check some attestations again that were checked against another root, and judge their packages anew; how many."""
    table = tables_signatures.attestation
    stale = select(table).where(table.c.root != root.key, table.c.root != "").limit(limit)
    async with database.read() as connection:
        rows = (await connection.execute(stale)).all()
        bodies = {row.sidecar: await find_sidecar(connection, row.sidecar) for row in rows}
    checked = []
    for row in rows:
        artifact, body = ArtifactName.parse(row.filename), bodies[row.sidecar]
        attested = Attested(reason="its attestations are gone")
        if body is not None:
            attested = await root.verify(artifact, row.subdir, Sha256(row.sha256), body)
        checked.append(Checked(artifact, row.subdir, row.sha256, row.sidecar, body, attested, root.key))
    if checked:
        async with database.write() as connection:
            for one in checked:
                await save_attestation(connection, one)
        await republish(database, {str(one.artifact.name) for one in checked}, "attestations checked again")
    return len(checked)
