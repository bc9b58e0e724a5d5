"""`kill -9` of the jobs process during a promotion: the target has all of it or nothing, and then all of it."""

import os
import signal
import threading
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from headgate.conda.shards import decode_index
from tests.faults.caller import Caller
from tests.faults.invariants import check_held, check_index, check_settled
from tests.faults.test_kill import is_jobs_worker, workers
from tests.faults.upstream import Upstream, body_of, send
from tests.live import LiveServer
from tests.waiting import eventually

pytestmark = [pytest.mark.fault, pytest.mark.slow]

SOURCE, TARGET = "outer", "approved-conda"
FILES = 60
NAMES = [f"thing{number}-1-0.conda" for number in range(FILES)]


def kill_jobs_worker(server: LiveServer) -> None:
    """Kill it wherever it is; another takes its place."""
    (pid,) = eventually(lambda: [one for one in workers(server) if is_jobs_worker(one)], 60)
    os.kill(pid, signal.SIGKILL)
    assert eventually(lambda: [one for one in workers(server) if is_jobs_worker(one) and one != pid], 60)


def passed(caller: Caller) -> int:
    """How many files the target's index has: it is asked for at every moment."""
    listed = check_listed(caller)
    assert listed in {0, FILES}, f"{listed} of {FILES} passed"
    return listed


def check_listed(caller: Caller) -> int:
    answer = caller.get(f"{TARGET}/noarch/repodata_shards.msgpack.zst")
    if answer.status == 404:
        return 0
    return len(decode_index(answer.body).shards)


def promote_everything(caller: Caller) -> Any:
    """Decide on all of it; the promotion."""
    wants = [name.rsplit("-", 2)[0] for name in NAMES]
    wish = {"wants": wants, "source": SOURCE, "target": TARGET, "platforms": ["linux-64"]}
    made = caller.api("POST", "promotions", wish)
    assert made.status == 202, made.body
    return made.json()


def check_everything(caller: Caller) -> None:
    """Whole, held on disk, and one revision."""
    check_settled(caller, [TARGET])
    assert len(check_index(caller, TARGET)) == FILES
    assert len(check_held(caller.server.data)) >= FILES
    revisions = caller.api("GET", f"channels/{TARGET}/revisions").json()["items"]
    assert [one["changed"] for one in revisions if "promotion" in one["cause"]] == [FILES]


def test_a_promotion_is_wholly_there_or_not_at_all_whenever_its_worker_dies(tmp_path: Path) -> None:
    """Killed as the first file is brought, half-way, before the last file, and just after it was sent."""
    moments = [0, FILES // 2, FILES - 1]
    sent: list[str] = []
    reached = {moment: threading.Event() for moment in moments}

    def note(request: BaseHTTPRequestHandler, truth: bytes) -> None:
        send(request, 200, truth)
        sent.append(request.path)
        if len(sent) - 1 in reached:
            reached[len(sent) - 1].set()

    with Upstream() as upstream:
        upstream.publish({name: body_of(name, 2_000) for name in NAMES})
        upstream.lies = {f"noarch/{name}": note for name in NAMES}
        with LiveServer(tmp_path / "data", upstream=upstream.url, workers=1) as server:
            caller = Caller(server)
            caller.follow(SOURCE, upstream.url)
            assert caller.sync(SOURCE)["state"] == "done"
            caller.api("PATCH", f"channels/{TARGET}", {"privacy": "public"})
            promotion = promote_everything(caller)
            for moment in moments:
                assert reached[moment].wait(60), f"only {len(sent)} files were asked for"
                kill_jobs_worker(server)
                passed(caller)
            assert eventually(lambda: passed(caller) == FILES, 60)
            assert caller.ended(promotion["job"])["state"] == "done"
            assert caller.api("GET", f"promotions/{promotion['id']}").json()["state"] == "applied"
            check_everything(caller)
