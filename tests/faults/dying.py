"""A process that does one piece of work on a data folder, and is killed (`kill -9`) at one point of it.

    python -m tests.faults.dying DATA MODULE:FUNCTION TIMES WORK ARGUMENTS…

It dies once the function has returned for the TIMES-th time. WORK is `revise CHANNEL SUBDIR`, `attach POLICY CHANNEL`,
`import FEED FILE`, `move CHANNEL TARGET SPEC`, `rollback CHANNEL SUBDIR REVISION`, `unfreeze CHANNEL` or `backup FOLDER JOB`. When it lives to the end, its exit code is 0.
"""

import asyncio
import importlib
import inspect
import os
import signal
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from headgate.advisories.room import open_room
from headgate.approvals.batches import BatchAction, BatchWish
from headgate.backups.copying import Tally
from headgate.backups.service import BackupPlan, BackupService
from headgate.bootstrap import Core, build_core, open_place
from headgate.channels.policing import Target
from headgate.channels.revising import revise_subdir
from headgate.conda.names import ChannelName, Subdir
from headgate.jobs.backups import forget_job
from tests.live import ROOT, environment


def die(data: Path, point: str, times: int, *words: str | Path) -> None:
    """Let a process work on the data folder until it is killed at that point."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.faults.dying", str(data), point, str(times), *map(str, words)],
        check=False, capture_output=True, env=environment(), cwd=ROOT, timeout=120, text=True,
    )  # fmt: skip
    assert done.returncode == -signal.SIGKILL, f"it was not killed: {done.stderr}"


def die_after(point: str, times: int) -> None:
    """See to it that this process is killed there."""
    module_name, _, path = point.partition(":")
    module = importlib.import_module(module_name)
    owner_name, _, name = path.rpartition(".")
    owner = getattr(module, owner_name) if owner_name else module
    real: Callable[..., Any] = getattr(owner, name)
    left = [times]

    def count() -> None:
        left[0] -= 1
        if left[0] == 0:
            os.kill(os.getpid(), signal.SIGKILL)

    async def deadly(*args: Any, **given: Any) -> Any:
        answer = await real(*args, **given)
        count()
        return answer

    def deadly_at_once(*args: Any, **given: Any) -> Any:
        answer = real(*args, **given)
        count()
        return answer

    setattr(owner, name, deadly if inspect.iscoroutinefunction(real) else deadly_at_once)


async def _report(_tally: Tally) -> None:
    """Nobody watches."""


async def work(core: Core, words: list[str]) -> None:
    """Do the work."""
    match words:
        case ["revise", channel, subdir]:
            await revise_subdir(core.database, channel, subdir)
        case ["attach", policy, channel]:
            await core.policies.attach("tests", policy, Target(channel=channel))
        case ["import", feed, path]:
            await open_room(core.database).feeds.take("tests", feed, Path(path), is_whole=True)
        case ["move", channel, target, spec]:
            wish = BatchWish(BatchAction.MOVE, ChannelName(channel), [spec], ChannelName(target))
            await core.life.batches.carry_out("tests", wish)
        case ["rollback", channel, subdir, revision]:
            targets = {Subdir(subdir): int(revision)}
            await core.life.rollbacks.roll_back("tests", ChannelName(channel), targets, comment="as it was")
        case ["unfreeze", channel]:
            await core.life.freezing.unfreeze("tests", ChannelName(channel))
        case ["backup", folder, job]:
            backups = BackupService(core.place.folder, core.database, BackupPlan(Path(folder)))
            await backups.make("tests", job, _report, forget_job)
        case _:
            raise SystemExit(f"{words} is none of the works in the docstring")
    await core.database.close()


def main() -> None:
    """Read the words, and do it."""
    data, point, times, *words = sys.argv[1:]
    die_after(point, int(times))
    asyncio.run(work(build_core(open_place(Path(data))), words))


if __name__ == "__main__":
    main()
