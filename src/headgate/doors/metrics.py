"""What the server counts, for Prometheus. With several processes the counts meet in PROMETHEUS_MULTIPROC_DIR."""

import os
import time
from collections import defaultdict
from collections.abc import Iterable, Mapping
from datetime import datetime

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest, multiprocess
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from headgate.advisories.assessing import Knowledge
from headgate.kernel import clock

_REQUESTS = Counter("headgate_requests_total", "Answers given, by door and status.", ["door", "status"])
_SIGN_INS = Counter("headgate_sign_in_failures_total", "Sign-ins refused, by the code of the refusal.", ["code"])
_ARTIFACTS = Counter("headgate_artifacts_total", "Package files served, by where their bytes came from.", ["origin"])


_ADVISORIES = Gauge("headgate_advisories", "Advisories in force.", multiprocess_mode="mostrecent")
_FEED_AGE = Gauge(
    "headgate_advisory_feed_age_seconds", "Since a feed was last read.", ["feed"], multiprocess_mode="mostrecent"
)
_AFFECTED = Gauge(
    "headgate_affected_files",
    "Files of a channel that advisories affect, when it was last asked.",
    ["channel"],
    multiprocess_mode="mostrecent",
)
_FLUSH_EVERY_S = 1.0


class Tally:
    """Counts in plain integers, and tells Prometheus once a second: its own counters cost a tenth of a small request."""

    def __init__(self, counter: Counter) -> None:
        self._counter = counter
        self._counts: dict[tuple[str, ...], int] = defaultdict(int)
        self._flushed_at = time.monotonic()

    def count(self, *labels: str) -> None:
        """One more."""
        self._counts[labels] += 1
        if time.monotonic() - self._flushed_at > _FLUSH_EVERY_S:
            self.flush()

    def flush(self) -> None:
        """Hand over what was counted."""
        self._flushed_at = time.monotonic()
        for labels, number in self._counts.items():
            self._counter.labels(*labels).inc(number)
        self._counts.clear()


VERDICTS = Tally(Counter("headgate_verdicts_total", "Verdicts on package files that were asked for.", ["outcome"]))
EVALUATION = Histogram(
    "headgate_evaluation_seconds",
    "What the gate takes to judge a package that it does not remember.",
    buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5),
)
REFUSALS = Tally(Counter("headgate_refused_downloads_total", "Downloads that a policy refused, by code.", ["code"]))
REQUESTS = Tally(_REQUESTS)
UNLOGGED = Counter("headgate_access_log_dropped_total", "Requests that the access log had no room for.")
ARTIFACTS = Tally(_ARTIFACTS)
SIGN_IN_FAILURES = Tally(_SIGN_INS)


def observe_advisories(knowledge: Knowledge) -> None:
    """Let the metrics show what this process knows of advisories."""
    now = clock.now()
    _ADVISORIES.set(len(knowledge.briefs))
    for feed, read_at in knowledge.feeds.items():
        if read_at is not None:
            _FEED_AGE.labels(feed).set((now - read_at).total_seconds())


def observe_affected(channel: str, files: int) -> None:
    """Let the metrics show how many files of a channel are affected."""
    _AFFECTED.labels(channel).set(files)


def render_metrics() -> bytes:
    """The metrics of all processes as Prometheus text; those of other processes as of their last second of work."""
    for tally in (REQUESTS, ARTIFACTS, REFUSALS, SIGN_IN_FAILURES, VERDICTS):
        tally.flush()
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)


def render_streams(behind: Mapping[str, int]) -> bytes:
    """How many audit events each stream has not got yet."""
    family = GaugeMetricFamily("headgate_audit_stream_behind", "Events that a stream has not got.", labels=["stream"])
    for name, number in sorted(behind.items()):
        family.add_metric([name], number)
    registry = CollectorRegistry()
    registry.register(_Given([family]))
    return generate_latest(registry)


def render_held(held: Mapping[tuple[str, str], int], stale: int) -> bytes:
    """What the gate holds back, by (channel, `policy/rule`), and how many subdirs are still to be judged again."""
    records = GaugeMetricFamily("headgate_held_records", "Records that a rule holds back.", labels=["channel", "rule"])
    for labels, number in sorted(held.items()):
        records.add_metric(labels, number)
    registry = CollectorRegistry()
    registry.register(_Given([records, GaugeMetricFamily("headgate_stale_subdirs", "Subdirs to judge again.", stale)]))
    return generate_latest(registry)


def render_requests(counts: Mapping[str, int]) -> bytes:
    """How many requests wait, by state."""
    family = GaugeMetricFamily("headgate_open_requests", "Requests that wait for somebody.", labels=["state"])
    for state in ("requested", "changes-wanted", "approved"):
        family.add_metric([state], counts.get(state, 0))
    registry = CollectorRegistry()
    registry.register(_Given([family]))
    return generate_latest(registry)


def render_proofs(attestations: Mapping[str, int], ends: Mapping[str, float]) -> bytes:
    """How many attestations came to what, and until when (Unix time) our own metadata hold, by kind."""
    checked = GaugeMetricFamily("headgate_attestations", "Attestations that were looked at.", labels=["state"])
    for state, number in sorted(attestations.items()):
        checked.add_metric([state], number)
    until = GaugeMetricFamily("headgate_signing_until_seconds", "Until when our metadata hold.", labels=["kind"])
    for kind, moment in sorted(ends.items()):
        until.add_metric([kind], moment)
    registry = CollectorRegistry()
    registry.register(_Given([checked, until]))
    return generate_latest(registry)


def render_backups(made_at: datetime | None) -> bytes:
    """How old the newest backup is; nothing while there is none."""
    if made_at is None:
        return b""
    age_s = (clock.now() - made_at).total_seconds()
    registry = CollectorRegistry()
    registry.register(_Given([GaugeMetricFamily("headgate_backup_age_seconds", "Since the newest backup.", age_s)]))
    return generate_latest(registry)


class _Given(Collector):
    """Metrics that were counted elsewhere."""

    def __init__(self, families: list[GaugeMetricFamily]) -> None:
        self._families = families

    def collect(self) -> Iterable[GaugeMetricFamily]:
        """As they were given."""
        return self._families
