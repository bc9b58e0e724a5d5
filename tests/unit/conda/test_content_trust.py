"""Conda content trust: what is signed by whom it must be passes, and everything else says why it does not."""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from headgate.conda.content_trust import (
    KEY_MGR,
    PKG_MGR,
    ROOT,
    Delegation,
    Metadata,
    advance_root,
    canonical,
    check_current,
    check_key_manager,
    describe,
    envelop,
    explain_signatures,
    parse_root,
    public_of,
    sign,
)
from headgate.kernel.errors import Invalid
from tests.signing import CONTENT_TRUST, needs_signing

MADE = datetime(2026, 1, 1, tzinfo=UTC)
ENDS = MADE + timedelta(days=365)


def delegation(*keys: Ed25519PrivateKey, threshold: int = 1) -> Delegation:
    return Delegation(tuple(public_of(key) for key in keys), threshold)


def root_of(version: int, own: Delegation, managers: Delegation, *signers: Ed25519PrivateKey) -> bytes:
    return envelop(describe(ROOT, version, MADE, ENDS, {ROOT: own, KEY_MGR: managers}), signers)


def keys(number: int) -> list[Ed25519PrivateKey]:
    return [Ed25519PrivateKey.generate() for _ in range(number)]


def refusal(call: Any) -> str:
    with pytest.raises(Invalid) as caught:
        call()
    assert caught.value.code == "content-trust-invalid"
    return caught.value.message


def test_canonical_json_is_sorted_and_indented_by_two() -> None:
    assert canonical({"b": [1], "a": "é"}) == b'{\n  "a": "\\u00e9",\n  "b": [\n    1\n  ]\n}'


def test_a_root_leads_to_a_key_manager_and_that_to_signatures_of_records() -> None:
    first, manager, packages = keys(3)
    root = parse_root(root_of(1, delegation(first), delegation(manager), first))
    body = envelop(describe(KEY_MGR, 1, MADE, ENDS, {PKG_MGR: delegation(packages)}), [manager])
    trusted = check_key_manager(root, body)
    record = {"name": "demo", "version": "1.0"}
    signatures = {public_of(packages): sign(packages, record)}
    wanted = trusted.delegation(PKG_MGR)
    assert explain_signatures(canonical(record), signatures, wanted) == (frozenset({public_of(packages)}), "")
    _, reason = explain_signatures(canonical(record | {"version": "1.1"}), signatures, wanted)
    assert reason == "the signature is not one of this record"
    _, reason = explain_signatures(canonical(record), {public_of(first): sign(first, record)}, wanted)
    assert "which the key manager does not name" in reason
    two = Delegation((public_of(packages), public_of(first)), 2)
    _, reason = explain_signatures(canonical(record), signatures, two)
    assert reason == "it has 1 good signatures, and 2 are needed"


def test_roots_follow_each_other_by_the_keys_of_both() -> None:
    first, second, manager = keys(3)
    root = parse_root(root_of(1, delegation(first), delegation(manager), first))
    following = root_of(2, delegation(second), delegation(manager), first, second)
    assert advance_root(root, following).version == 2
    assert "by the keys of root version 1" in refusal(
        lambda: advance_root(root, root_of(2, delegation(second), delegation(manager), second))
    )
    assert "by its own keys" in refusal(
        lambda: advance_root(root, root_of(2, delegation(second), delegation(manager), first))
    )
    for version in (1, 3):
        skipped = root_of(version, delegation(first), delegation(manager), first)
        assert "does not follow" in refusal(lambda body=skipped: advance_root(root, body))


def test_a_threshold_counts_keys_and_no_key_twice() -> None:
    first, second, manager = keys(3)
    own = delegation(first, second, threshold=2)
    assert "has 1 good signatures" in refusal(lambda: parse_root(root_of(1, own, delegation(manager), first)))
    assert parse_root(root_of(1, own, delegation(manager), first, second)).version == 1
    twice = Delegation((public_of(first), public_of(first)), 2)
    assert "has 1 good signatures" in refusal(lambda: parse_root(root_of(1, twice, delegation(manager), first)))


def test_a_key_manager_of_somebody_else_is_refused() -> None:
    first, manager, stranger = keys(3)
    root = parse_root(root_of(1, delegation(first), delegation(manager), first))
    body = envelop(describe(KEY_MGR, 1, MADE, ENDS, {PKG_MGR: delegation(stranger)}), [stranger])
    assert "has 0 good signatures" in refusal(lambda: check_key_manager(root, body))


def test_what_has_expired_is_refused() -> None:
    (first, manager) = keys(2)
    root = parse_root(root_of(1, delegation(first), delegation(manager), first))
    check_current(root, ENDS - timedelta(seconds=1))
    with pytest.raises(Invalid, match="expired at 2027-01-01") as caught:
        check_current(root, ENDS)
    assert caught.value.code == "content-trust-expired"


@pytest.mark.parametrize(
    "change",
    [
        {"type": "key_mgr"},
        {"version": "one"},
        {"expiration": "soon"},
        {"expiration": "2027-01-01T00:00:00"},
        {"delegations": {"root": {"pubkeys": ["zz"], "threshold": 1}}},
        {"delegations": {"root": {"pubkeys": [], "threshold": 0}}},
        {"delegations": []},
    ],
)
def test_metadata_that_makes_no_sense_is_refused(change: Mapping[str, Any]) -> None:
    (key,) = keys(1)
    signed = describe(ROOT, 1, MADE, ENDS, {ROOT: delegation(key), KEY_MGR: delegation(key)}) | dict(change)
    refusal(lambda: parse_root(envelop(signed, [key])))


@pytest.mark.parametrize(
    "body", [b"", b"[]", b"{}", b'{"signatures": {}, "signed": {}}', b"[" * 3000, b" " * (2 << 20)]
)
def test_what_is_no_metadata_is_refused(body: bytes) -> None:
    refusal(lambda: Metadata.parse(body, ROOT))


@pytest.mark.parametrize("signature", [{}, {"signature": 7}, {"signature": "ab"}, {"signature": "Z" * 128}, 7])
def test_signatures_that_make_no_sense_count_for_nothing(signature: Any) -> None:
    (key,) = keys(1)
    good, reason = explain_signatures(b"x", {public_of(key): signature}, delegation(key))
    assert (good, reason) == (frozenset(), "the signature is not one of this record")


def real(name: str) -> bytes:
    return (Path(CONTENT_TRUST) / name).read_bytes()


@needs_signing
def test_real_roots_and_key_manager_pass() -> None:
    third = advance_root(advance_root(parse_root(real("1.root.json")), real("2.root.json")), real("3.root.json"))
    manager = check_key_manager(third, real("key_mgr.json"))
    assert manager.delegation(PKG_MGR).pubkeys == ("f46b5a7caa43640744186564c098955147daa8bac4443887bc64d8bfee3d3569",)


@needs_signing
def test_each_invalid_real_one_is_refused() -> None:
    first = parse_root(real("1.root.json"))
    second = advance_root(first, real("2.root.json"))
    assert "has 0 good signatures by the keys of root version 1" in refusal(
        lambda: advance_root(first, real("2.root_invalid.json"))
    )
    assert "has 0 good signatures by the keys of root version 2" in refusal(
        lambda: advance_root(second, real("3.root_invalid.json"))
    )
    for name in ("2.root_invalid.json", "3.root_invalid.json"):
        assert "by its own keys" in refusal(lambda name=name: parse_root(real(name)))
    for name in ("key_mgr_invalid.json", "key_mgr_verify.json"):
        assert "has 0 good signatures" in refusal(lambda name=name: check_key_manager(first, real(name)))
    with pytest.raises(Invalid, match="expired at 2021-11-11"):
        check_current(first, datetime.now(UTC))


@needs_signing
@pytest.mark.parametrize("document", ["repodata.json", "repodata_short_signed_sample.json"])
def test_real_records_pass_unless_they_were_changed(document: str) -> None:
    repodata = msgspec.json.decode(real(document))
    records = repodata["packages"] | repodata.get("packages.conda", {})
    signers = {key for signatures in repodata["signatures"].values() for key in signatures}
    for filename, signatures in repodata["signatures"].items():
        good, reason = explain_signatures(canonical(records[filename]), signatures, Delegation(tuple(signers)))
        assert bool(good) is not filename.startswith("broken-"), filename
        assert bool(reason) is filename.startswith("broken-")
