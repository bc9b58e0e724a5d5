"""Keys: made once, kept close, and told apart."""

import stat
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

from headgate.airgap.keys import (
    find_signer,
    generate_key,
    load_private_key,
    load_public_key,
    parse_public_key,
    sign,
)
from headgate.kernel.errors import HeadgateError, Refused


def test_a_private_key_is_for_its_owner_alone(tmp_path: Path) -> None:
    public = generate_key(tmp_path / "K")
    assert stat.S_IMODE((tmp_path / "K").stat().st_mode) == 0o600
    assert load_public_key(tmp_path / "K.pub") == public
    assert parse_public_key((tmp_path / "K.pub").read_text()) == parse_public_key(public) == public


@pytest.mark.parametrize("taken", ["K", "K.pub"])
def test_no_key_is_written_over(tmp_path: Path, taken: str) -> None:
    (tmp_path / taken).write_text("mine")
    with pytest.raises(HeadgateError) as raised:
        generate_key(tmp_path / "K")
    assert raised.value.code == "key-exists"
    assert [path.name for path in tmp_path.iterdir()] == [taken]
    assert (tmp_path / taken).read_text() == "mine"


def test_the_signer_is_found_among_the_trusted(tmp_path: Path) -> None:
    keys = {name: generate_key(tmp_path / name) for name in ("one", "two")}
    signature = sign(load_private_key(tmp_path / "two"), b"manifest")
    assert find_signer(b"manifest", signature, keys) == keys["two"]
    for manifest, trusted in [(b"manifest!", keys), (b"manifest", {"one": keys["one"]}), (b"manifest", {})]:
        with pytest.raises(Refused):
            find_signer(manifest, signature, trusted)


def test_a_signature_counts_for_manifests_only(tmp_path: Path) -> None:
    public = generate_key(tmp_path / "K")
    key = load_private_key(tmp_path / "K")
    with pytest.raises(Refused):
        find_signer(b"manifest", key.sign(b"manifest"), {"K": public})
    assert Ed25519PublicKey.from_public_bytes(bytes.fromhex(public)) == key.public_key()


@pytest.mark.parametrize("body", ["", "headgate-ed25519-private zz", "ssh-ed25519 AAAA", "\xff" * 3000])
def test_what_is_no_key_is_refused_without_showing_it(tmp_path: Path, body: str) -> None:
    (tmp_path / "K").write_text(body)
    for load in (load_private_key, load_public_key):
        with pytest.raises(HeadgateError) as raised:
            load(tmp_path / "K")
        assert raised.value.code == "key-invalid"
        assert not body or body not in raised.value.message


def test_the_two_halves_are_not_taken_for_each_other(tmp_path: Path) -> None:
    generate_key(tmp_path / "K")
    secret = (tmp_path / "K").read_text().split()[1]
    with pytest.raises(HeadgateError):
        load_private_key(tmp_path / "K.pub")
    with pytest.raises(HeadgateError) as raised:
        load_public_key(tmp_path / "K")
    assert secret not in raised.value.message
    with pytest.raises(HeadgateError):
        parse_public_key((tmp_path / "K").read_text())
