"""Who vouches for what a mirror brings: found out at its sync, kept as facts, passed on while it is true."""

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headgate.bootstrap import Services
from headgate.channels import mirrors
from headgate.channels.patching import PatchService
from headgate.conda.attestations import TrustRoot, bundles_of, join_bundles, sidecar_digest
from headgate.conda.content_trust import (
    KEY_MGR,
    ROOT,
    public_of,
)
from headgate.intake.attesting import check_again
from headgate.kernel.errors import Invalid
from headgate.policy.proofs import Proof, ProofState
from tests.signing import ATTESTATIONS, FILE, PUBLISHER, SHA256, needs_signing
from tests.trusted import FOLLOWER, LINUX, NOARCH, ONE, SHOWN, TWO, Upstream, is_true_to, record


@pytest.fixture
async def upstream(services: Services, tmp_path: Path) -> Upstream:
    folder = tmp_path / "upstream"
    folder.mkdir()
    made = Upstream(services, folder)
    made.write_trust()
    return made


async def test_signatures_are_verified_told_and_passed_on(upstream: Upstream) -> None:
    stamped = record(TWO, indexed_timestamp=1_700_000_000_000, run_exports={"weak": ["two"]})
    plain = {key: value for key, value in stamped.items() if key != "run_exports"}
    records = {ONE: record(ONE), TWO: stamped, "bare-1-0.conda": record("bare-1-0.conda")}
    records["lie-1-0.conda"] = record("lie-1-0.conda")
    signatures = {ONE: upstream.signed(records[ONE]), TWO: upstream.signed(plain)}
    signatures["lie-1-0.conda"] = upstream.signed(record("lie-1-0.conda", license="GPL"))
    upstream.write(records, signatures)
    await upstream.follow(content_trust="report")
    await upstream.sync()
    for channel in (FOLLOWER, SHOWN):
        for filename in (ONE, TWO):
            signature, attestation = await upstream.proofs(filename, channel)
            assert signature == Proof(ProofState.VERIFIED, publishers=(public_of(upstream.packages),))
            assert attestation.state is ProofState.ABSENT
        assert (await upstream.proofs("bare-1-0.conda", channel))[0].state is ProofState.ABSENT
        lie, _ = await upstream.proofs("lie-1-0.conda", channel)
        assert (lie.state, lie.reason) == (ProofState.INVALID, "the signature is not one of this record")
        document = await upstream.document(channel)
        assert set(document["signatures"]) == {ONE, TWO}
        assert is_true_to(upstream, document, ONE)
        assert is_true_to(upstream, document, TWO)
        assert "indexed_timestamp" in document["packages.conda"]["bare-1-0.conda"]


async def test_a_patched_record_loses_its_signature(upstream: Upstream, services: Services) -> None:
    records = {ONE: record(ONE), TWO: record(TWO)}
    upstream.write(records, {name: upstream.signed(one) for name, one in records.items()})
    await upstream.follow(content_trust="report")
    await upstream.sync()
    patch = json.dumps({"packages.conda": {ONE: {"license": "BSD-3-Clause"}}}).encode()
    await PatchService(services.core.database).apply("tests", FOLLOWER, {NOARCH: patch})
    await services.snapshots.reload()
    for channel in (FOLLOWER, SHOWN):
        signature, _ = await upstream.proofs(ONE, channel)
        assert (signature.state, signature.reason) == (
            ProofState.INVALID, "the record was changed since it was signed",
        )  # fmt: skip
        assert set((await upstream.document(channel))["signatures"]) == {TWO}


async def test_a_channel_that_does_not_look_at_signatures_has_none(upstream: Upstream) -> None:
    upstream.write({ONE: record(ONE)}, {ONE: upstream.signed(record(ONE))})
    await upstream.follow(content_trust="off")
    await upstream.sync()
    assert (await upstream.proofs(ONE))[0].state is ProofState.ABSENT
    assert "signatures" not in await upstream.document()


async def test_required_signatures_keep_out_what_has_none(upstream: Upstream) -> None:
    records = {ONE: record(ONE), TWO: record(TWO)}
    upstream.write(records, {ONE: upstream.signed(records[ONE])})
    await upstream.follow(content_trust="require")
    await upstream.sync()
    assert await upstream.offered() == {"one"}
    upstream.write(records, {TWO: upstream.signed(records[TWO]), ONE: upstream.signed(records[TWO])})
    await upstream.sync()
    assert await upstream.offered() == {"two"}
    await upstream.change("signatures", content_trust="report")
    await upstream.sync()
    assert await upstream.offered() == {"one", "two"}


async def test_only_signed_asks_for_good_signatures_where_they_are_checked(upstream: Upstream) -> None:
    records = {ONE: record(ONE), TWO: record(TWO)}
    upstream.write(records, {ONE: upstream.signed(records[ONE]), TWO: upstream.signed(records[ONE])})
    await upstream.follow(content_trust="report")
    await upstream.change("filters", only_signed=True)
    await upstream.sync()
    assert await upstream.offered() == {"one"}
    await upstream.change("signatures", content_trust="off")
    await upstream.sync()
    assert await upstream.offered() == {"one", "two"}, "unchecked, the claim counts"


async def test_roots_are_followed_and_never_go_back(upstream: Upstream) -> None:
    records = {ONE: record(ONE)}
    upstream.write(records, {ONE: upstream.signed(records[ONE])})
    await upstream.follow(content_trust="report")
    await upstream.sync()
    old_manager, newer = upstream.manager, Ed25519PrivateKey.generate()
    body = upstream.metadata(ROOT, 2, [upstream.root], **{ROOT: upstream.root, KEY_MGR: newer})
    (upstream.folder / "2.root.json").write_bytes(body)
    upstream.manager = newer
    upstream.write_trust(2)
    await upstream.sync()
    assert (await upstream.proofs(ONE))[0].is_verified
    (upstream.folder / "2.root.json").unlink()
    upstream.manager = old_manager
    upstream.write_trust(3)
    await upstream.sync()
    proof, _ = await upstream.proofs(ONE)
    assert proof.state is ProofState.INVALID
    assert "by the keys that root version 2 names" in proof.reason


async def test_an_older_key_manager_is_refused(upstream: Upstream) -> None:
    upstream.write({ONE: record(ONE)}, {ONE: upstream.signed(record(ONE))})
    upstream.write_trust(2)
    await upstream.follow(content_trust="require")
    await upstream.sync()
    upstream.write_trust(1)
    with pytest.raises(Invalid, match="has shown 2 before"):
        await upstream.sync()


async def test_expired_metadata_count_only_where_that_is_accepted(upstream: Upstream) -> None:
    upstream.ends_at = datetime.now(UTC) - timedelta(days=1)
    upstream.write_trust()
    upstream.write({ONE: record(ONE)}, {ONE: upstream.signed(record(ONE))})
    await upstream.follow(content_trust="report")
    await upstream.sync()
    proof, _ = await upstream.proofs(ONE)
    assert proof.state is ProofState.INVALID
    assert "expired at" in proof.reason
    await upstream.change("signatures", accept_expired=True)
    await upstream.sync()
    assert (await upstream.proofs(ONE))[0].is_verified


async def test_where_signatures_are_required_a_sync_without_trust_fails_and_changes_nothing(upstream: Upstream) -> None:
    upstream.write({ONE: record(ONE)}, {ONE: upstream.signed(record(ONE))})
    await upstream.follow(content_trust="require")
    await upstream.sync()
    (upstream.folder / "key_mgr.json").unlink()
    upstream.write({ONE: record(ONE), TWO: record(TWO)}, {})
    with pytest.raises(Invalid, match="has no key_mgr"):
        await upstream.sync()
    assert await upstream.offered() == {"one"}


@pytest.mark.parametrize("root", ["", "{}", "nonsense"])
def test_a_mirror_needs_a_root_to_check_signatures(root: str) -> None:
    with pytest.raises(Invalid) as caught:
        mirrors.new("main", ["https://x.example/c"], None,
                    {"settings": {"signatures": {"content_trust": "report", "root": root}}})  # fmt: skip
    assert caught.value.code == "content-trust-invalid"


def attested(sidecar: bytes) -> dict[str, Any]:
    return record(FILE, subdir="linux-64", sha256=SHA256, attestations_sha256=sidecar_digest(sidecar))


@needs_signing
async def test_attestations_of_an_upstream_are_fetched_and_checked(upstream: Upstream) -> None:
    good = join_bundles(bundles_of((ATTESTATIONS / "conda-attestation.sigstore.json").read_bytes()))
    root = TrustRoot.load(ATTESTATIONS / "public-good.json")
    upstream.write({ONE: record(ONE)}, {})
    upstream.write({FILE: attested(good), ONE: record(ONE)}, {}, LINUX)
    await upstream.follow()
    await upstream.sync()
    await upstream.sync(LINUX, root)
    assert await upstream.offered(LINUX) == {"signed-package", "one"}
    _, missing = await upstream.proofs(f"linux-64/{FILE}")
    assert missing.state is ProofState.NOT_CHECKED
    assert "status 404" in missing.reason
    await upstream.change("signatures", attestations="require")
    await upstream.sync(LINUX, root)
    assert await upstream.offered(LINUX) == set()
    (upstream.folder / LINUX / f"{FILE}.sigs").write_bytes(good)
    upstream.write({FILE: attested(good), TWO: record(TWO)}, {}, LINUX)
    await upstream.sync(LINUX, root)
    assert await upstream.offered(LINUX) == {"signed-package"}
    _, proof = await upstream.proofs(f"linux-64/{FILE}")
    assert (proof.state, proof.publishers) == (ProofState.VERIFIED, (PUBLISHER,))


@needs_signing
@pytest.mark.parametrize("name", ["bundle_no_log_entry.txt.sigstore", "dsse-2sigs.sigstore.json"])
async def test_broken_attestations_of_an_upstream_are_facts_with_a_reason(upstream: Upstream, name: str) -> None:
    broken = join_bundles(bundles_of((ATTESTATIONS / name).read_bytes()))
    upstream.write({FILE: attested(broken)}, {}, LINUX)
    (upstream.folder / LINUX / f"{FILE}.sigs.{sidecar_digest(broken)}").write_bytes(broken)
    await upstream.follow()
    await upstream.sync(LINUX, TrustRoot.load(ATTESTATIONS / "public-good.json"))
    _, proof = await upstream.proofs(f"linux-64/{FILE}")
    assert proof.state is ProofState.INVALID
    assert proof.reason
    assert await upstream.offered(LINUX) == {"signed-package"}, "reported, and no more"


@needs_signing
async def test_attestations_are_checked_again_against_another_root(upstream: Upstream, services: Services) -> None:
    good = join_bundles(bundles_of((ATTESTATIONS / "conda-attestation.sigstore.json").read_bytes()))
    empty = '{"mediaType": "application/vnd.dev.sigstore.trustedroot+json;version=0.1"}'
    (upstream.folder / "nobody.json").write_text(empty)
    upstream.write({FILE: attested(good)}, {}, LINUX)
    (upstream.folder / LINUX / f"{FILE}.sigs").write_bytes(good)
    await upstream.follow()
    await upstream.sync(LINUX, TrustRoot.load(upstream.folder / "nobody.json"))
    assert (await upstream.proofs(f"linux-64/{FILE}"))[1].state is ProofState.INVALID
    root = TrustRoot.load(ATTESTATIONS / "public-good.json")
    assert await check_again(services.core.database, root, 10) == 1
    assert (await upstream.proofs(f"linux-64/{FILE}"))[1].is_verified
    assert await check_again(services.core.database, root, 10) == 0
