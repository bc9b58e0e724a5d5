"""What vouches for packages goes along, is looked at anew, and counts on the far side as it did on the near one."""

import hashlib
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headgate.airgap.importing import Imported, Importer
from headgate.airgap.manifest import Selection, decode_manifest
from headgate.airgap.papers import CarriedTrust
from headgate.airgap.vouching import follow
from headgate.carrying import opened_exporter
from headgate.channels.metadata import read_metadata
from headgate.channels.policing import Target
from headgate.conda.attestations import TrustRoot, bundles_of, join_bundles, sidecar_digest
from headgate.conda.content_trust import KEY_MGR, PKG_MGR, ROOT, public_of
from headgate.conda.names import ArtifactName, ChannelName
from headgate.kernel.errors import Invalid
from headgate.policy.proofs import ProofState
from tests.bundles import Side, quiet
from tests.packages import package
from tests.signing import ATTESTATIONS, FILE, PUBLISHER, needs_signing
from tests.trusted import FOLLOWER, LINUX, ONE, TWO, Upstream, is_true_to, record

CARRIED = ChannelName("carried")
SIGNED_ONLY: dict[str, Any] = {"name": "signed", "mode": "enforce", "rule": [{"kind": "signature", "action": "block"}]}


class Followed(Upstream):
    """An upstream whose files the near side has already, so that nothing is fetched for a bundle."""

    def place(self, filename: str, body: bytes, **more: Any) -> dict[str, Any]:
        with self.services.core.store.writer() as writer:
            writer.write(body)
            writer.commit()
        sha256 = hashlib.sha256(body).hexdigest()
        return record(filename, sha256=sha256, size=len(body), **more)

    def offer(self, *names: str) -> dict[str, dict[str, Any]]:
        """Records of packages, the files of which are there."""
        packages = [package(name, "1.0", noarch="generic") for name in names]
        return {filename: self.place(filename, body) for filename, body in packages}

    def sign(self, records: dict[str, dict[str, Any]]) -> dict[str, Any]:
        return {filename: self.signed(one) for filename, one in records.items()}


@pytest.fixture
def upstream(near: Side, tmp_path: Path) -> Followed:
    (tmp_path / "upstream").mkdir()
    made = Followed(near.services, tmp_path / "upstream")
    made.write_trust()
    return made


def beyond(far: Side, upstream: Upstream) -> Upstream:
    """The same questions, asked on the far side."""
    return Upstream(far.services, upstream.folder, packages=upstream.packages)


async def carry(
    near: Side, far: Side, path: Path, since: bytes | None = None, root: TrustRoot | None = None
) -> tuple[bytes, Imported]:
    manifest = await near.export(FOLLOWER, path, since=since)
    core = far.services.core
    importer = Importer(core.database, core.store, root or TrustRoot.load(None))
    done = await importer.take("test", [path], far.trusted, CARRIED, quiet)
    await far.services.snapshots.reload()
    return manifest, done


async def test_signatures_and_whom_to_believe_arrive(near: Side, far: Side, upstream: Followed, tmp_path: Path) -> None:
    records = upstream.offer("one", "two", "bare")
    signatures = {ONE: upstream.signed(records[ONE]), TWO: upstream.signed(records[ONE])}
    upstream.write(records, signatures)
    await upstream.follow(content_trust="report")
    await upstream.sync()
    _, done = await carry(near, far, tmp_path / "0")
    assert (done.signatures, done.failed) == (1, 1)
    assert f"{TWO}: the signature is not one of this record" in done.failures[0]
    there = beyond(far, upstream)
    for filename in records:
        assert await there.proofs(filename, CARRIED) == await upstream.proofs(filename)
    document = await there.document(CARRIED)
    assert set(document["signatures"]) == {ONE}
    assert is_true_to(upstream, document, ONE)
    channel = far.services.catalog.get(CARRIED)
    for name in ("1.root.json", "root.json", "key_mgr.json"):
        told = await read_metadata(near.services.core.database, near.services.catalog.get(FOLLOWER), name)
        assert await read_metadata(far.services.core.database, channel, name) == told


async def test_an_increment_brings_only_new_signatures_and_goes_on_from_the_roots(
    near: Side, far: Side, upstream: Followed, tmp_path: Path
) -> None:
    records = upstream.offer("one", "two")
    upstream.write(records, upstream.sign(records))
    await upstream.follow(content_trust="report")
    await upstream.sync()
    full, _ = await carry(near, far, tmp_path / "0")
    assert len(decode_manifest(full).papers()) == 2
    await far.services.core.policies.apply("tests", SIGNED_ONLY)
    await far.services.core.policies.attach("tests", "signed", Target(channel=CARRIED))
    newer = Ed25519PrivateKey.generate()
    following = upstream.metadata(ROOT, 2, [upstream.root], **{ROOT: upstream.root, KEY_MGR: newer})
    (upstream.folder / "2.root.json").write_bytes(following)
    upstream.manager = newer
    upstream.write_trust(2)
    records |= upstream.offer("three")
    del records[TWO]
    upstream.write(records | upstream.offer("bare"), upstream.sign(records))
    await upstream.sync()
    more, done = await carry(near, far, tmp_path / "1", full)
    assert len(decode_manifest(more).papers()) == 1
    assert (done.signatures, done.failed) == (2, 0), "those of the first bundle are looked at again: the root is new"
    document = await beyond(far, upstream).document(CARRIED)
    assert set(document["signatures"]) == set(document["packages.conda"]) == set(records), "the rule lets no other pass"
    channel = far.services.catalog.get(CARRIED)
    assert await read_metadata(far.services.core.database, channel, "2.root.json") == following


def test_an_increment_goes_on_from_the_roots_that_are_believed(tmp_path: Path) -> None:
    # Nothing of the services is asked for metadata.
    one, other = (Upstream(None, tmp_path) for _ in range(2))  # type: ignore[arg-type]

    def carried(made: Upstream, *roots: bytes, version: int = 1, **more: bool) -> CarriedTrust:
        manager = made.metadata(KEY_MGR, version, [made.manager], **{PKG_MGR: made.packages})
        return CarriedTrust(list(roots or (made.first_root(),)), manager, **more)

    root = one.first_root()
    trust, kept = follow(carried(one, root, version=2), {})
    assert (trust.signers.pubkeys, trust.root.version) == ((public_of(one.packages),), 1)
    refused = {
        "another root of version 1": carried(other),
        "version 1 of the key_mgr, and version 2 came before": carried(one, root),
        "does not follow version 1": carried(one, root, one.metadata(ROOT, 3, [one.root], root=one.root)),
        "has no root": CarriedTrust([], b"{}"),
    }
    for sentence, wrong in refused.items():
        with pytest.raises(Invalid, match=sentence):
            follow(wrong, kept)
    assert follow(carried(other), {})[0].signers.pubkeys == (public_of(other.packages),)
    one.ends_at = datetime.now(UTC) - timedelta(days=1)
    with pytest.raises(Invalid, match="expired"):
        follow(carried(one), {})
    assert follow(carried(one, accept_expired=True), {})[0].root.version == 1


def real(name: str) -> bytes:
    return (ATTESTATIONS / name).read_bytes()


async def attest(upstream: Followed, root: TrustRoot) -> bytes:
    """Sync a file that names attestations; the sidecar."""
    sidecar = join_bundles(bundles_of(real("conda-attestation.sigstore.json")))
    one = upstream.place(FILE, real(FILE), subdir="linux-64") | {"attestations_sha256": sidecar_digest(sidecar)}
    upstream.write({FILE: one}, {}, LINUX)
    (upstream.folder / LINUX / f"{FILE}.sigs").write_bytes(sidecar)
    await upstream.follow()
    await upstream.sync(LINUX, root)
    return sidecar


@needs_signing
async def test_attestations_arrive_byte_for_byte_and_are_verified_again(
    near: Side, far: Side, upstream: Followed, tmp_path: Path
) -> None:
    root = TrustRoot.load(ATTESTATIONS / "public-good.json")
    sidecar = await attest(upstream, root)
    manifest, done = await carry(near, far, tmp_path / "0", root=root)
    there, place = beyond(far, upstream), f"linux-64/{FILE}"
    assert await there.proofs(place, CARRIED) == await upstream.proofs(place)
    assert (await there.proofs(place, CARRIED))[1].publishers == (PUBLISHER,)
    assert (done.attestations, done.failed) == (1, 0)
    channel = far.services.catalog.get(CARRIED)
    digest, body = await far.services.sidecars.find(channel, LINUX, ArtifactName.parse(FILE), None)
    assert (digest, body) == (sidecar_digest(sidecar), sidecar)
    more = await near.export(FOLLOWER, tmp_path / "1", since=manifest)
    assert decode_manifest(more).papers() == {}


@needs_signing
async def test_the_far_side_believes_whom_it_trusts_itself(
    near: Side, far: Side, upstream: Followed, tmp_path: Path
) -> None:
    await attest(upstream, TrustRoot.load(ATTESTATIONS / "public-good.json"))
    (tmp_path / "nobody.json").write_text('{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}')
    _, done = await carry(near, far, tmp_path / "0", root=TrustRoot.load(tmp_path / "nobody.json"))
    assert (done.attestations, done.failed) == (0, 1)
    assert done.failures[0].startswith(f"linux-64/{FILE}: ")
    _, proof = await beyond(far, upstream).proofs(f"linux-64/{FILE}", CARRIED)
    assert (proof.state, proof.publishers) == (ProofState.INVALID, ())


@needs_signing
async def test_what_could_not_be_had_is_said_and_the_bundle_goes_without(near: Side, upstream: Followed) -> None:
    one = upstream.place(FILE, real(FILE), subdir="linux-64") | {"attestations_sha256": "ab" * 32}
    upstream.write({FILE: one}, {}, LINUX)
    await upstream.follow()
    await upstream.sync(LINUX, TrustRoot.load(None))
    export_id = uuid4().hex
    async with opened_exporter(near.services.core) as exporter:
        prepared = await exporter.prepare("test", export_id, FOLLOWER, Selection(), None, quiet)
    assert prepared.papers == 0
    assert prepared.missing[0].startswith(f"linux-64/{FILE}: ")
