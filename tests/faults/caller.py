"""A caller of a live server over real HTTP, which notices answers that end too early."""

import json
from collections.abc import Callable
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPException, HTTPMessage, IncompleteRead
from typing import Any

from tests.live import LiveServer
from tests.waiting import eventually


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; `is_whole` is False when its body ended before its Content-Length."""

    status: int
    headers: HTTPMessage
    body: bytes
    is_whole: bool

    def json(self) -> Any:
        """The body as JSON."""
        return json.loads(self.body)


class Caller:
    """The administrator of a live server. `get` is for conda clients, `api` for the JSON API."""

    def __init__(self, server: LiveServer) -> None:
        self.server = server

    def get(self, path: str, *, method: str = "GET", **headers: str) -> Reply:
        """What the conda door answers; `headers` with _ for -."""
        return self._ask(method, f"/conda/{path}", None, {key.replace("_", "-"): one for key, one in headers.items()})

    def api(self, method: str, path: str, document: Any = None) -> Reply:
        """What the API answers to a JSON document."""
        body = None if document is None else json.dumps(document).encode()
        return self._ask(method, f"/api/v1/{path}", body, self._credentials() | {"Content-Type": "application/json"})

    def upload(self, channel: str, filename: str, data: bytes) -> Reply:
        """What the API answers to a package file."""
        return self._ask("POST", f"/api/v1/channels/{channel}/artifacts?filename={filename}", data, self._credentials())

    def send(self, method: str, path: str, data: bytes) -> Reply:
        """What a path answers to the administrator's bytes."""
        return self._ask(method, path, data, self._credentials())

    def ended_at(self, job_id: str) -> str | None:
        """When a job ended; None while it has not."""
        moment: str | None = self.api("GET", f"jobs/{job_id}").json()["ended_at"]
        return moment

    def follow(self, channel: str, url: str) -> None:
        """Make a public mirror of an upstream's noarch."""
        wanted = {"name": channel, "kind": "mirror", "privacy": "public"}
        made = self.api("POST", "channels", wanted | {"mirrors": [{"urls": [url], "subdirs": ["noarch"]}]})
        assert made.status == 201, made.body

    def start_sync(self, channel: str) -> str:
        """Ask for a sync; its job id."""
        asked = self.api("POST", f"channels/{channel}/sync", {})
        assert asked.status == 202, asked.body
        job_id: str = asked.json()["id"]
        return job_id

    def ended(self, job_id: str, timeout_s: float = 60) -> dict[str, Any]:
        """The job once it has ended."""
        job: dict[str, Any] = {}

        def has_ended() -> bool:
            job.update(self.api("GET", f"jobs/{job_id}").json())
            return job["state"] in {"done", "failed", "stopped"}

        assert eventually(has_ended, timeout_s), job
        return job

    def sync(self, channel: str) -> dict[str, Any]:
        """Sync a mirror; its job, ended."""
        return self.ended(self.start_sync(channel))

    def _credentials(self) -> dict[str, str]:
        return {"Authorization": f"Bearer {self.server.token}"}

    def _ask(self, method: str, path: str, body: bytes | None, headers: dict[str, str]) -> Reply:
        connection = HTTPConnection("127.0.0.1", self.server.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            answer = connection.getresponse()
            try:
                return Reply(answer.status, answer.headers, answer.read(), is_whole=True)
            except IncompleteRead as cut:
                return Reply(answer.status, answer.headers, cut.partial, is_whole=False)
        finally:
            connection.close()


def attempt(ask: Callable[[], Reply]) -> Reply | None:
    """The answer, or None when the server died over the question or was not there."""
    try:
        return ask()
    except (OSError, HTTPException):
        return None
