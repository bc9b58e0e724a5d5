"""Attestations (CEP 27): Sigstore bundles in which a publisher says that a file is theirs; several make a sidecar.

`<file>.sigs` is a JSON array of bundles; the record names its sha256 as `attestations_sha256`. py-rattler verifies, as it
does for clients, without a network: against a trust root that is given.
"""

import hashlib
import re
import tempfile
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import msgspec
from rattler import BuildString, PackageRecord, RepoDataRecord
from rattler.exceptions import AttestationError
from rattler.networking import Client
from rattler.sigstore import ChannelCheck, TrustedRoot, VerificationPolicy, VerifiedAttestation, verify_attestation

from headgate.conda.names import ArtifactName, Sha256
from headgate.conda.records import Record
from headgate.kernel.errors import Invalid

MAX_SIDECAR_BYTES = 4 << 20
_MOST_BUNDLES = 20
_NOWHERE = "https://channel.invalid"
_DIGEST = re.compile(r"[0-9a-f]{64}")
# What py-rattler's sentences begin with; where the sidecar lay while it was looked at is nobody's business.
_NOISE = re.compile(
    r"attestation sidecar at \S+ is malformed: |no attestation for \S+ passed verification:"
    r"|sigstore verification failed: |- bundle 0: |bundle 0 is "
)


@dataclass(frozen=True, slots=True)
class Publisher:
    """Who attests, as the certificate and the statement say: `channel` is the one that the file was made for."""

    identity: str | None
    issuer: str | None
    channel: str | None
    signed_at: str | None
    log_index: int | None
    claims: dict[str, str]


@dataclass(frozen=True, slots=True)
class Attested:
    """What a sidecar proves of a file: who attests it; or nothing, and why."""

    publishers: tuple[Publisher, ...] = ()
    reason: str = ""

    @property
    def is_verified(self) -> bool:
        """True when at least one publisher attests the file."""
        return bool(self.publishers)


def claimed_sidecar(record: Record) -> str | None:
    """The sha256 of the sidecar that a record names, in either form of a record; None when it names none."""
    value = record.get("attestations_sha256")
    text = value.hex() if isinstance(value, bytes) else value
    return text.lower() if isinstance(text, str) and _DIGEST.fullmatch(text.lower()) else None


def sidecar_digest(body: bytes) -> str:
    """What a record names a sidecar by."""
    return hashlib.sha256(body).hexdigest()


def bundles_of(body: bytes) -> list[bytes]:
    """The bundles of a sidecar, or the one that stands alone, byte for byte. Raises Invalid `attestation-malformed`."""
    if len(body) > MAX_SIDECAR_BYTES:
        raise Invalid("attestation-malformed", f"The attestations have more than {MAX_SIDECAR_BYTES} bytes.")
    try:
        text = body.strip()
        raw = msgspec.json.decode(text, type=list[msgspec.Raw]) if text.startswith(b"[") else [msgspec.Raw(text)]
        for one in raw:
            msgspec.json.decode(one, type=dict[str, Any])
    except (ValueError, RecursionError) as error:
        raise Invalid("attestation-malformed", f"This is no Sigstore bundle, and no list of them: {error}.") from error
    if not 0 < len(raw) <= _MOST_BUNDLES:
        raise Invalid("attestation-malformed", f"There are {len(raw)} bundles; from 1 to {_MOST_BUNDLES} are taken.")
    return [bytes(one) for one in raw]


def join_bundles(bundles: list[bytes]) -> bytes:
    """A sidecar of these bundles."""
    return b"[" + b",".join(bundles) + b"]"


class TrustRoot:
    """Whom attestations are checked against: a file of Sigstore's form, or what py-rattler brings."""

    def __init__(self, root: TrustedRoot, key: str) -> None:
        self.key = key
        """The same for the same root: outcomes with another one are to be found again."""
        self._root = root

    @classmethod
    def load(cls, path: Path | None) -> "TrustRoot":
        """Raises Invalid `trust-root-invalid`."""
        if path is None:
            return cls(TrustedRoot.embedded(), f"py-rattler {version('py-rattler')}")
        try:
            text = path.read_text(encoding="utf-8")
            return cls(TrustedRoot.from_json(text), hashlib.sha256(text.encode()).hexdigest())
        except (OSError, ValueError) as error:
            raise Invalid("trust-root-invalid", f"{path} is no trusted root of Sigstore: {error}.") from error

    async def verify(self, artifact: ArtifactName, subdir: str, sha256: Sha256, sidecar: bytes) -> Attested:
        """What a sidecar proves of a file with this sha256. A sidecar that clients would refuse proves nothing."""
        try:
            bundles = bundles_of(sidecar)
            found = [await self._verify_one(artifact, subdir, sha256, sidecar)]
        except Invalid as error:
            return Attested(reason=error.message)
        except AttestationError as error:
            return Attested(reason=_plain(error))
        if len(bundles) > 1:
            found = [one for bundle in bundles if (one := await self._tried(artifact, subdir, sha256, bundle))]
        return Attested(tuple(_publisher(one) for one in found))

    async def _tried(
        self, artifact: ArtifactName, subdir: str, sha256: Sha256, bundle: bytes
    ) -> VerifiedAttestation | None:
        try:
            return await self._verify_one(artifact, subdir, sha256, join_bundles([bundle]))
        except AttestationError:
            return None

    async def _verify_one(
        self, artifact: ArtifactName, subdir: str, sha256: Sha256, sidecar: bytes
    ) -> VerifiedAttestation:
        digest = hashlib.sha256(sidecar).digest()
        record = PackageRecord(
            str(artifact.name), artifact.version, BuildString(artifact.build), 0, subdir,
            sha256=sha256.raw, attestations_sha256=digest,
        )  # fmt: skip
        with tempfile.TemporaryDirectory(prefix="headgate-attestation-") as folder:
            # py-rattler fetches what it verifies; from here it costs no request.
            for suffix in (".sigs", f".sigs.{digest.hex()}"):
                (Path(folder) / f"{artifact.filename}{suffix}").write_bytes(sidecar)
            place = RepoDataRecord(record, artifact.filename, (Path(folder) / artifact.filename).as_uri(), _NOWHERE)
            # The channel that it was made for is a fact for rules: a mirror cannot be that channel.
            policy = VerificationPolicy.require(channel_check=ChannelCheck.IGNORE, max_sidecar_size=MAX_SIDECAR_BYTES)
            outcome = await verify_attestation(place, policy, Client(), self._root)
        if outcome.attestation is None:
            raise Invalid("attestation-malformed", "Nothing in it could be verified.")
        return outcome.attestation


def _publisher(found: VerifiedAttestation) -> Publisher:
    names = ("source_repository_uri", "source_repository_ref", "source_repository_digest", "build_config_uri",
             "run_invocation_uri", "build_trigger", "runner_environment")  # fmt: skip
    claims = {name: str(value) for name in names if found.claims and (value := getattr(found.claims, name)) is not None}
    return Publisher(found.identity, found.issuer, found.target_channel, found.signed_at, found.log_index, claims)


def _plain(error: Exception) -> str:
    return " ".join(_NOISE.sub("", str(error)).split())[:500]
