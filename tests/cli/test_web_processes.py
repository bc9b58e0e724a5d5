"""Web workers end when they are told to, however far they have come."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.live import environment, free_port
from tests.waiting import eventually

# Of a start that takes longer than anybody waits for the end.
_SERVER = """
import pathlib, sys, time
from granian.constants import Interfaces
from headgate.cli.web_processes import WebProcesses

def load():
    pathlib.Path(sys.argv[2]).touch()
    time.sleep(45)

WebProcesses("none", address="127.0.0.1", port=int(sys.argv[1]), interface=Interfaces.ASGI, workers=2,
             respawn_failed_workers=True, workers_kill_timeout=40).serve(target_loader=load, wrap_loader=False)
"""
_PATIENCE_S = 15


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT], ids=["terminated", "interrupted"])
def test_a_worker_that_is_still_starting_does_not_keep_the_server(tmp_path: Path, number: signal.Signals) -> None:
    begun = tmp_path / "begun"
    words = [sys.executable, "-c", _SERVER, str(free_port()), str(begun)]
    with subprocess.Popen(words, stdin=subprocess.DEVNULL, env=environment()) as server:
        try:
            assert eventually(begun.exists)
            server.send_signal(number)
            assert server.wait(_PATIENCE_S) == 0
        finally:
            server.kill()
