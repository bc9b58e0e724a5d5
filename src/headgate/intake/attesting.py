"""Attestations as they come in: checked against the trust root of this server, and kept with what they prove."""

from headgate.channels.proofs import Checked
from headgate.conda.attestations import MAX_SIDECAR_BYTES, TrustRoot, bundles_of, join_bundles, sidecar_digest
from headgate.conda.names import ArtifactName, Sha256, Subdir
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
