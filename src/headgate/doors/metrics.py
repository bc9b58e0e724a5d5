"""What the server counts, for Prometheus. With several processes the counts meet in PROMETHEUS_MULTIPROC_DIR."""

import os

from prometheus_client import CollectorRegistry, Counter, generate_latest, multiprocess

REQUESTS = Counter("headgate_requests_total", "Answers given, by door and status.", ["door", "status"])
ARTIFACTS = Counter("headgate_artifacts_total", "Package files served, by where their bytes came from.", ["origin"])


def render_metrics() -> bytes:
    """The metrics of all processes as Prometheus text."""
    if "PROMETHEUS_MULTIPROC_DIR" not in os.environ:
        return generate_latest()
    registry = CollectorRegistry()
    multiprocess.MultiProcessCollector(registry)  # type: ignore[no-untyped-call]
    return generate_latest(registry)
