"""A closure of 397 packages: looked at, decided on, in the target's index; policies ask for licences."""

import json
import os
import subprocess
import sys
import time
from http.client import HTTPConnection
from pathlib import Path
from typing import Any

from bench.scale import SUBDIR, Absent
from bench.timing import Bench, Figure, at_most
from tests.live import LiveServer, environment

_SPECS = ("qgis", "r-base", "python=3.12", "matplotlib", "jupyterlab")
_SOURCE = "unapproved-conda"
_PATIENCE_S = 300.0
_POLICY = {
    "name": "licences",
    "rule": [{"kind": "license", "exclude": ["agpl", "proprietary"], "action": "warn"}],
}


def run(bench: Bench) -> list[Figure]:
    upstream = bench.folder("promotion-upstream")
    make_channel(upstream)
    looks: list[float] = []
    decisions: list[float] = []
    applied: list[float] = []
    with LiveServer(bench.scratch / "promotion", upstream=upstream.as_uri()) as server:
        done = server.run("mirror", "sync", _SOURCE, "--wait")
        assert done.returncode == 0, done.stderr
        client = _Client(server)
        client.ask("POST", "policies", {"document": _POLICY})
        client.ask("POST", "policies/licences/attachments", {"is_everywhere": True})
        for number in range(bench.runs + 1):
            target = f"target-{number}"
            client.ask("POST", "channels", {"name": target, "kind": "hosted"})
            wish = {"wants": list(_SPECS), "source": _SOURCE, "target": target, "platforms": [SUBDIR]}
            began = time.perf_counter()
            plan = client.ask("POST", "promotions/preview", wish)
            looks.append(time.perf_counter() - began)
            assert plan["new"] == 397, plan["new"]
            began = time.perf_counter()
            made = client.ask("POST", "promotions", {**wish, "digest": plan["digest"]})
            decisions.append(time.perf_counter() - began)
            client.wait(made["id"])
            applied.append(time.perf_counter() - began)
    path = "promotion of 397 packages"
    return [
        Figure(path, "preview", looks, "s", aim=at_most(5)),
        Figure(path, "decided on: the same facts again", decisions, "s"),
        Figure(path, "applied, the bytes being here", applied[1:], "s", aim=at_most(30)),
        Figure(path, "applied, the bytes fetched from a folder", applied[:1], "s"),
    ]


def make_channel(folder: Path) -> None:
    """Real records with small packages behind them. Raises Absent."""
    tool = Path(os.environ.get("HEADGATE_SHARED", "/nowhere")) / "tools" / "make_installable_channel.py"
    if not tool.exists():
        raise Absent("HEADGATE_SHARED names no folder with tools/make_installable_channel.py")
    words = [word for spec in _SPECS for word in ("--spec", spec)]
    subprocess.run(
        [sys.executable, str(tool), str(folder), *words], check=True, env=environment(), stdout=subprocess.DEVNULL
    )


class _Client:
    """The administrator, over one connection."""

    def __init__(self, server: LiveServer) -> None:
        self._connection = HTTPConnection("127.0.0.1", server.port, timeout=_PATIENCE_S)
        self._headers = {"Authorization": f"Bearer {server.token}", "Content-Type": "application/json"}

    def ask(self, method: str, path: str, body: Any = None) -> Any:
        """The document that the API answers with; it must succeed."""
        sent = None if body is None else json.dumps(body).encode()
        self._connection.request(method, f"/api/v1/{path}", sent, self._headers)
        answer = self._connection.getresponse()
        said = answer.read()
        assert answer.status < 300, said
        return json.loads(said)

    def wait(self, promotion: int) -> None:
        """Until it is applied."""
        give_up_at = time.monotonic() + _PATIENCE_S
        while (state := self.ask("GET", f"promotions/{promotion}")["state"]) != "applied":
            assert state == "planned", state
            assert time.monotonic() < give_up_at, "it was never applied"
            time.sleep(0.1)
