"""Attestations: the good one says who made the file, and each broken one says what is wrong."""

from collections.abc import Mapping
from typing import Any

import msgspec
import pytest

from headgate.conda.attestations import TrustRoot, bundles_of, claimed_sidecar, join_bundles
from headgate.conda.names import ArtifactName, Sha256
from headgate.kernel.errors import Invalid
from tests.signing import ATTESTATIONS, FILE, PUBLISHER, SHA256, TARGET, needs_signing

GOOD = "conda-attestation.sigstore.json"
# file -> words of the reason
BROKEN = {
    "bundle_invalid_version.txt.sigstore": "Invalid media type",
    "bundle_no_log_entry.txt.sigstore": "must have an inclusion promise",
    "conda-attestation-rekor2.sigstore.json": "does not match any trusted TSA certificate",
    "dsse-2sigs.sigstore.json": "exactly one signature, found 2",
}


def root() -> TrustRoot:
    return TrustRoot.load(ATTESTATIONS / "public-good.json")


async def reason_of(sidecar: bytes, *, filename: str = FILE, sha256: str = SHA256) -> str:
    found = await root().verify(ArtifactName.parse(filename), "linux-64", Sha256(sha256), sidecar)
    assert not found.is_verified
    return found.reason


def changed(member: str, value: Any) -> bytes:
    bundle = msgspec.json.decode((ATTESTATIONS / GOOD).read_bytes())
    bundle["dsseEnvelope"][member] = value
    return join_bundles([msgspec.json.encode(bundle)])


@needs_signing
@pytest.mark.parametrize("root_file", ["public-good.json", None])
async def test_good_attestation_says_who_made_the_file(root_file: str | None) -> None:
    trusted = TrustRoot.load(None if root_file is None else ATTESTATIONS / root_file)
    sidecar = join_bundles(bundles_of((ATTESTATIONS / GOOD).read_bytes()))
    found = await trusted.verify(ArtifactName.parse(FILE), "linux-64", Sha256(SHA256), sidecar)
    (publisher,) = found.publishers
    assert (publisher.identity, publisher.channel) == (PUBLISHER, TARGET)
    assert publisher.issuer == "https://token.actions.githubusercontent.com"
    assert publisher.claims["source_repository_uri"] == "https://github.com/prefix-dev/sigstore-example"


@needs_signing
@pytest.mark.parametrize(("file", "words"), BROKEN.items())
async def test_broken_attestation_is_refused_with_its_reason(file: str, words: str) -> None:
    assert words in await reason_of(join_bundles(bundles_of((ATTESTATIONS / file).read_bytes())))


@needs_signing
async def test_attestation_of_other_bytes_or_another_name_proves_nothing() -> None:
    sidecar = join_bundles(bundles_of((ATTESTATIONS / GOOD).read_bytes()))
    assert "does not match any subject" in await reason_of(sidecar, sha256="0" * 64)
    assert "the attestation subject is" in await reason_of(sidecar, filename="other-1!2.0-0.conda")


@needs_signing
@pytest.mark.parametrize(("member", "value"), [("signatures", [{"sig": "AAAA"}]), ("payload", "e30=")])
async def test_attestation_that_was_changed_proves_nothing(member: str, value: Any) -> None:
    assert "invalid" in await reason_of(changed(member, value))


@needs_signing
async def test_one_good_attestation_among_others_suffices_and_alone_speaks() -> None:
    good, late = (bundles_of((ATTESTATIONS / name).read_bytes())[0] for name in (GOOD, [*BROKEN][2]))
    found = await root().verify(ArtifactName.parse(FILE), "linux-64", Sha256(SHA256), join_bundles([late, good]))
    assert [one.identity for one in found.publishers] == [PUBLISHER]


@pytest.mark.parametrize("body", [b"", b"nonsense", b"[]", b"[1]", b"7", b"[{}" + b",{}" * 20 + b"]", b"[" * 5000])
def test_what_is_no_list_of_bundles_is_refused(body: bytes) -> None:
    with pytest.raises(Invalid) as caught:
        bundles_of(body)
    assert caught.value.code == "attestation-malformed"


def test_bundles_keep_every_byte() -> None:
    body = b' {"a" : 1,\n "b":"\\u00e9"}'
    assert bundles_of(body) == [body.strip()]
    assert bundles_of(b"[" + body + b"]") == [body.strip()]


@pytest.mark.parametrize(
    ("record", "named"),
    [
        ({}, None),
        ({"attestations_sha256": "AB" * 32}, "ab" * 32),
        ({"attestations_sha256": b"\xab" * 32}, "ab" * 32),
        ({"attestations_sha256": "nonsense"}, None),
        ({"attestations_sha256": 7}, None),
    ],
)
def test_record_names_its_attestations(record: Mapping[str, Any], named: str | None) -> None:
    assert claimed_sidecar(dict(record)) == named


def test_trust_root_must_be_one(tmp_path: Any) -> None:
    (tmp_path / "root.json").write_text("{}")
    for path in (tmp_path / "root.json", tmp_path / "absent.json"):
        with pytest.raises(Invalid, match="no trusted root"):
            TrustRoot.load(path)
