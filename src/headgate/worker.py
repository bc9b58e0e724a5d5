"""The process that runs jobs: `python -m headgate.worker DATA`. Ends at SIGTERM, or when its standard input closes."""

import asyncio
import os
import signal
import sys
from pathlib import Path

from headgate.advisories.book import AdvisoryBook
from headgate.advisories.feeds import FeedService
from headgate.advisories.importing import Importer
from headgate.advisories.store import TOPIC as ADVISORIES
from headgate.bootstrap import Place, build_core, open_outgoing, open_place
from headgate.db.snapshots import Snapshots
from headgate.db.watch import watch_of
from headgate.jobs.advisories import AdvisoryKeeper, hand_on_to_nobody
from headgate.jobs.engine import open_client
from headgate.jobs.runner import UpkeepPlan, WorkerParts, run_worker
from headgate.jobs.service import JobService
from headgate.kernel.memory import relax_collector
from headgate.logs import set_up_logs

_EXECUTOR = "worker-0"


async def work(place: Place) -> None:
    """Run jobs of this data folder until told to stop."""
    core = build_core(place)
    outgoing = open_outgoing(place.settings)
    watch = watch_of(core.database)
    jobs = JobService(open_client(place.jobs_url), core.database)
    upkeep = place.settings.upkeep
    plan = UpkeepPlan(upkeep.interval_hours * 3600, upkeep.shard_age_days, upkeep.blob_age_hours)
    stop = asyncio.Event()
    _stop_on(stop)
    try:
        feeds = FeedService(core.database, Importer(core.database))
        snapshots = Snapshots(core.database, watch)
        snapshots.follow(ADVISORIES, AdvisoryBook().load)
        keeper = AdvisoryKeeper(core.database, snapshots, feeds, jobs, hand_on_to_nobody)
        parts = WorkerParts(core.database, watch, core.store, outgoing, jobs, feeds, keeper)
        await run_worker(place.jobs_url, _EXECUTOR, parts, plan, stop)
    finally:
        jobs.close()
        await outgoing.close()
        await watch.close()
        await core.database.close()


def _stop_on(stop: asyncio.Event) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    # The parent holds the other end of our standard input: it closes with the parent, however that ends.
    loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 1) else stop.set())


def main() -> None:
    """The entry of the process."""
    place = open_place(Path(sys.argv[1]))
    set_up_logs(place.settings.log.level, place.settings.log.format)
    relax_collector()
    asyncio.run(work(place))


if __name__ == "__main__":
    main()
