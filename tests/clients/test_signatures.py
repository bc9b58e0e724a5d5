"""Signatures and attestations on a live server: made by our command line, verified as clients verify them."""

import json
import stat
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest

from headgate.conda.content_trust import (
    PKG_MGR,
    advance_root,
    canonical,
    check_key_manager,
    explain_signatures,
    parse_root,
)
from tests.live import ROOT, LiveServer, environment
from tests.packages import package
from tests.signing import ATTESTATIONS, FILE, PUBLISHER, SHA256, needs_signing
from tests.waiting import eventually

pytestmark = pytest.mark.client
GOOD = "conda-attestation.sigstore.json"


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LiveServer]:
    with LiveServer(tmp_path_factory.mktemp("data")) as server:
        server.json("channel", "create", "team", "--kind", "hosted", "--privacy", "public")
        yield server


def fetch(server: LiveServer, path: str) -> bytes:
    with urlopen(f"{server.url}/conda/team/{path}", timeout=60) as answer:
        body: bytes = answer.read()
    return body


def test_published_records_are_signed_by_keys_that_the_exported_root_leads_to(
    server: LiveServer, tmp_path: Path
) -> None:
    filename, body = package("demo")
    (tmp_path / filename).write_bytes(body)
    server.json("upload", "team", tmp_path / filename)
    key = tmp_path / "root.key"
    made = server.json("signing", "init", "--root-key", key)
    assert stat.S_IMODE(key.stat().st_mode) == 0o600
    assert [one["is_held"] for one in made["keys"]] == [False, True, True]
    server.json("channel", "set", "team", "--sign")
    server.json("signing", "export", tmp_path / "root.json")
    root = parse_root((tmp_path / "root.json").read_bytes())
    server.json("signing", "rotate", "key_mgr", "--root-key", key)
    root = advance_root(root, fetch(server, "2.root.json"))
    wanted = check_key_manager(root, fetch(server, "key_mgr.json")).delegation(PKG_MGR)

    def is_signed() -> bool:
        found: dict[str, Any] = json.loads(fetch(server, "noarch/repodata.json"))
        record, signatures = found["packages.conda"][filename], found.get("signatures", {})
        return explain_signatures(canonical(record), signatures.get(filename, {}), wanted)[1] == ""

    eventually(is_signed)
    server.json("signing", "rotate", "pkg_mgr")
    wanted = check_key_manager(root, fetch(server, "key_mgr.json")).delegation(PKG_MGR)
    eventually(is_signed)


@needs_signing
def test_a_client_verifies_an_attestation_that_came_with_an_upload(server: LiveServer, tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes((ATTESTATIONS / FILE).read_bytes())
    broken = ATTESTATIONS / "bundle_no_log_entry.txt.sigstore"
    refused = server.run("upload", "team", tmp_path / FILE, "--attestation", broken)
    assert refused.returncode == 1
    assert "must have an inclusion promise" in refused.stderr
    server.json("upload", "team", tmp_path / FILE, "--attestation", ATTESTATIONS / GOOD)
    told = server.json("why", "team", FILE)[0]["attestation"]
    assert (told["state"], told["publishers"]) == ("verified", [PUBLISHER])
    record = json.loads(fetch(server, "linux-64/repodata.json"))["packages.conda"][FILE]
    wish = {
        "url": f"{server.url}/conda/team", "filename": FILE, "subdir": "linux-64", "sha256": SHA256,
        "attestations_sha256": record["attestations_sha256"], "root": str(ATTESTATIONS / "public-good.json"),
    }  # fmt: skip
    done = subprocess.run(
        [sys.executable, ROOT / "tests" / "clients" / "rattler_verify.py", json.dumps(wish)],
        capture_output=True, check=False, env=environment(), text=True, timeout=90,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == PUBLISHER
