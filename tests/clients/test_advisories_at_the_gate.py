"""An advisory becomes known: what it affects leaves the index by itself, and comes back by an exemption."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.clients.conftest import Rattler
from tests.live import LiveServer
from tests.packages import package
from tests.upstreams import write_channel
from tests.waiting import eventually

pytestmark = pytest.mark.client

POLICY = """
name = "no-known-cves"
mode = "enforce"            # off | audit | enforce

[[rule]]
kind = "advisory-status"
status = ["reported", "active"]
action = "block"            # warn | hold | block

[[rule]]
kind = "minimum-age"
days = 7
action = "hold"
except = ["*"]     # match specs
"""
ADVISORY = {
    "schema_version": "1.7.0",
    "id": "PYSEC-2026-1",
    "modified": "2026-01-02T00:00:00Z",
    "published": "2026-01-01T00:00:00Z",
    "aliases": ["CVE-2026-1"],
    "summary": "demo before 2.0 runs what it is sent",
    "affected": [
        {
            "package": {"ecosystem": "PyPI", "name": "demo"},
            "ranges": [{"type": "ECOSYSTEM", "events": [{"introduced": "0"}, {"fixed": "2.0"}]}],
        }
    ],
}


@pytest.fixture
def server(tmp_path: Path) -> Iterator[LiveServer]:
    write_channel(tmp_path / "upstream", [])
    for version in ("1.0", "2.0"):
        filename, body = package("demo", version, noarch="generic", purls=["pkg:pypi/demo"])
        (tmp_path / filename).write_bytes(body)
    with LiveServer(tmp_path / "data", upstream=(tmp_path / "upstream").as_uri(), workers=2) as server:
        for version in ("1.0", "2.0"):
            server.json("upload", "approved-conda", tmp_path / f"demo-{version}-0.conda")
        yield server


def test_an_advisory_closes_the_gate_and_an_exemption_opens_it(server: LiveServer, tmp_path: Path) -> None:
    url = f"{server.url}/conda/approved-conda"
    clients = iter(range(100))

    def installs(spec: str) -> bool:
        return Rattler(tmp_path / f"client{next(clients)}").try_install(url, [spec]).returncode == 0

    (tmp_path / "policy.toml").write_text(POLICY)
    server.json("policy", "apply", tmp_path / "policy.toml")
    server.json("policy", "attach", "no-known-cves", "--channel", "approved-conda")
    assert installs("demo=1.0")
    (tmp_path / "advisory.json").write_text(json.dumps(ADVISORY))
    server.json("advisory", "import", tmp_path / "advisory.json")
    assert eventually(lambda: not installs("demo=1.0"), 60)
    assert installs("demo=2.0")
    why = server.run("why", "approved-conda", "demo-1.0-0.conda")
    assert "CVE-2026-1" in why.stdout, why.stderr
    server.json(
        "exemption", "add", "--spec", "demo=1.0", "--channel", "approved-conda", "--reason", "only used offline"
    )
    assert eventually(lambda: installs("demo=1.0"), 60)
