"""A process that runs jobs. Ends at SIGTERM; as `python -m headgate.worker DATA` also when its standard input closes."""

import asyncio
import os
import signal
import sys
from datetime import timedelta
from functools import partial
from pathlib import Path

from headgate.access.ldap.client import LdapClient
from headgate.access.ldap.sync import LdapSync
from headgate.access.secrets import load_secret
from headgate.advisories.book import AdvisoryBook
from headgate.advisories.feeds import FeedService
from headgate.advisories.importing import Importer
from headgate.advisories.store import TOPIC as ADVISORIES
from headgate.audit.checkpoints import Retention
from headgate.audit.room import open_store
from headgate.audit.signing import Signer
from headgate.audit.streams import PURPOSE, Forwarder
from headgate.bootstrap import Core, Place, build_core, open_place, open_routes, trust_root
from headgate.carrying import build_airgap
from headgate.channels.knowledge import FollowedBook, use_assessments
from headgate.channels.revising import republish
from headgate.channels.routes import Routes
from headgate.channels.search_cards import CardWriter
from headgate.db.sealing import Sealer
from headgate.db.snapshots import Snapshots
from headgate.db.turns import Turns
from headgate.db.watch import watch_of
from headgate.jobs.advisory_days import AdvisoryDays
from headgate.jobs.advisory_keeper import AdvisoryKeeper
from headgate.jobs.cards import CardKeeper
from headgate.jobs.engine import open_client
from headgate.jobs.parts import WorkerParts
from headgate.jobs.records import KeepingPlan, RecordKeeper
from headgate.jobs.requests import UpkeepRequest
from headgate.jobs.runner import UpkeepPlan, run_worker
from headgate.jobs.service import JobService
from headgate.kernel.memory import relax_collector
from headgate.logs import set_up_logs


async def work(place: Place, *, has_parent: bool) -> None:
    """Run jobs of this data folder until told to stop; with a parent, until that ends."""
    core = build_core(place)
    routes = open_routes(place)
    watch = watch_of(core.database)
    jobs = JobService(open_client(place.jobs_url), core.database)
    upkeep = place.settings.upkeep
    request = UpkeepRequest(
        shard_age_days=upkeep.shard_age_days,
        blob_age_hours=upkeep.blob_age_hours,
        history_days=place.settings.jobs.history_days,
    )
    plan = UpkeepPlan(upkeep.interval_hours * 3600, request, timedelta(minutes=place.settings.ldap.sync_minutes))
    ldap = LdapClient(load_secret(place.folder.secret))
    stop = asyncio.Event()
    _stop_on(stop, has_parent=has_parent)
    try:
        feeds = FeedService(core.database, Importer(core.database))
        snapshots = Snapshots(core.database, watch)
        book = AdvisoryBook()
        snapshots.follow(ADVISORIES, book.load)
        use_assessments(core.database, FollowedBook(book, ADVISORIES))
        judge_again = partial(republish, core.database, cause="advisories changed")
        keeper = AdvisoryKeeper(core.store, core.database, snapshots, feeds, jobs, judge_again)
        following = LdapSync(core.database, ldap)
        parts = WorkerParts(
            core.database,
            watch,
            core.store,
            routes,
            jobs,
            trust_root(place),
            core.signing,
            following,
            feeds,
            keeper,
            build_airgap(core),
            _build_keeper(core, routes, snapshots, book),
            CardKeeper(CardWriter(core.database), watch),
            core.backups,
        )
        await run_worker(place.jobs_url, parts, plan, stop)
    finally:
        ldap.close()
        jobs.close()
        await routes.close()
        await watch.close()
        await core.database.close()


def _build_keeper(core: Core, routes: Routes, snapshots: Snapshots, book: AdvisoryBook) -> RecordKeeper:
    settings, database = core.place.settings, core.database
    log, secret = settings.access_log, load_secret(core.place.folder.secret)
    turns = Turns(database, core.place.folder.workers)
    return RecordKeeper(
        open_store(database, core.place.folder.access_log),
        KeepingPlan(timedelta(days=log.keep_days), timedelta(days=log.keep_daily_days)),
        Retention(database, Signer(secret), settings.audit.keep),
        Forwarder(database, Sealer(secret, PURPOSE), routes.everywhere),
        turns,
        AdvisoryDays(database, snapshots, book, turns),
    )


def _stop_on(stop: asyncio.Event, *, has_parent: bool) -> None:
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    if has_parent:
        # The parent holds the other end of our standard input: it closes with the parent, however that ends.
        loop.add_reader(sys.stdin.fileno(), lambda: None if os.read(sys.stdin.fileno(), 1) else stop.set())


def run(place: Place, *, has_parent: bool) -> None:
    """Work until told to stop."""
    set_up_logs(place.settings.log.level, place.settings.log.format)
    relax_collector()
    asyncio.run(work(place, has_parent=has_parent))


def main() -> None:
    """The entry of a process that `headgate serve` started."""
    run(open_place(Path(sys.argv[1])), has_parent=True)


if __name__ == "__main__":
    main()
