import json
from typing import Any

import pytest

from headgate.conda.patches import UNPATCHED, PatchInstructions, apply_patches
from headgate.conda.shards import Shard
from headgate.kernel.errors import Invalid
from tests.unit.conda.making import wire_record


def patch(**parts: Any) -> PatchInstructions:
    keys = {"conda": "packages.conda"}
    return PatchInstructions.parse(json.dumps({keys.get(key, key): value for key, value in parts.items()}).encode())


def shard() -> Shard:
    return Shard(
        packages={"demo-1.0-0.tar.bz2": wire_record(depends=["a"])},
        conda={"demo-1.0-0.conda": wire_record(depends=["a"]), "demo-2.0-0.conda": wire_record(version="2.0")},
        v3={"conda": {"demo-3.0-0": wire_record(version="3.0", depends=["a"])}},
        removed=["demo-0.1-0.conda"],
    )


@pytest.mark.parametrize(
    "document", [b"", b"[]", b"<html>", b'{"packages": []}', b'{"patch_instructions_version": 3}', b'{"remove": [1]}']
)
def test_other_documents_are_refused(document: bytes) -> None:
    with pytest.raises(Invalid) as error:
        PatchInstructions.parse(document)
    assert error.value.code == "patch-invalid"


@pytest.mark.parametrize("version", [0, 1, 2])
def test_known_versions_are_read(version: int) -> None:
    assert PatchInstructions.parse(b'{"patch_instructions_version": %d}' % version).is_empty


def test_names_are_those_of_every_part() -> None:
    instructions = patch(
        packages={"a-1-0.tar.bz2": {}},
        conda={"b-b-1-0.conda": {}},
        v3={"conda": {"c-1-0": {}}},
        revoke=["d-1-0.conda"],
        remove=["e-1-0.conda", "nonsense", "-1-0.conda"],
    )
    assert instructions.names() == {"a", "b-b", "c", "d", "e"}
    assert not instructions.is_empty


def test_a_fix_for_tar_bz2_holds_for_the_same_conda_too() -> None:
    patched = apply_patches(shard(), patch(packages={"demo-1.0-0.tar.bz2": {"depends": ["b"], "new": 1}}))
    assert patched.packages["demo-1.0-0.tar.bz2"]["depends"] == ["b"]
    assert patched.conda["demo-1.0-0.conda"] == wire_record(depends=["b"], new=1)


def test_a_fix_for_conda_holds_for_it_alone_and_has_the_last_word() -> None:
    fixes = {"packages": {"demo-1.0-0.tar.bz2": {"depends": ["b"]}}, "conda": {"demo-1.0-0.conda": {"depends": ["c"]}}}
    patched = apply_patches(shard(), patch(**fixes))
    assert patched.packages["demo-1.0-0.tar.bz2"]["depends"] == ["b"]
    assert patched.conda["demo-1.0-0.conda"]["depends"] == ["c"]


def test_none_deletes_a_key_and_unknown_files_are_never_added() -> None:
    patched = apply_patches(
        shard(),
        patch(conda={"demo-2.0-0.conda": {"depends": None, "absent": None}, "demo-9.0-0.conda": {"depends": []}}),
    )
    assert "depends" not in patched.conda["demo-2.0-0.conda"]
    assert "absent" not in patched.conda["demo-2.0-0.conda"]
    assert "demo-9.0-0.conda" not in patched.conda


def test_v3_has_fixes_of_its_own() -> None:
    assert apply_patches(shard(), patch(v3={"conda": {"demo-3.0-0": {"depends": ["z"]}}})).v3 == {
        "conda": {"demo-3.0-0": wire_record(version="3.0", depends=["z"])}
    }


def test_identity_and_bytes_of_a_file_cannot_be_patched() -> None:
    fix = dict.fromkeys(UNPATCHED, "changed") | {"md5": None}
    assert apply_patches(shard(), patch(packages={"demo-1.0-0.tar.bz2": fix})) == shard()


def test_revoked_files_stay_but_cannot_be_installed() -> None:
    instructions = patch(revoke=["demo-1.0-0.tar.bz2", "demo-3.0-0.conda"])
    patched = apply_patches(shard(), instructions)
    for filename in ("demo-1.0-0.tar.bz2", "demo-1.0-0.conda", "demo-3.0-0.conda"):
        record = patched.find(filename)
        assert record is not None
        assert (record["revoked"], record["depends"]) == (True, ["a", "package_has_been_revoked"])
    assert apply_patches(patched, instructions) == patched


def test_removed_files_leave_their_names_behind() -> None:
    patched = apply_patches(shard(), patch(remove=["demo-1.0-0.tar.bz2", "demo-3.0-0.conda", "other-1-0.conda"]))
    assert (patched.packages, list(patched.conda), patched.v3) == ({}, ["demo-2.0-0.conda"], {"conda": {}})
    assert patched.removed == ["demo-0.1-0.conda", "demo-1.0-0.conda", "demo-1.0-0.tar.bz2", "demo-3.0-0.conda"]


def test_the_given_shard_is_left_alone() -> None:
    given = shard()
    apply_patches(given, patch(packages={"demo-1.0-0.tar.bz2": {"depends": []}}, revoke=["demo-2.0-0.conda"]))
    assert given == shard()
