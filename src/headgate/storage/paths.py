"""The data folder, drawn once; these functions make every path in it.

DATA/
├── headgate.toml                settings
├── headgate.db                  SQLite: channels, shards, tokens, audit (unless a PostgreSQL is set)
├── jobs.db                      SQLite: durable workflows (likewise)
├── access.db                    SQLite: the access log (likewise)
├── secret.key                   what token digests are keyed with; mode 0600
├── blobs/ab/abcdef…             bytes by sha256: package files and rendered documents
├── incoming/<random>.part       uploads and documents being written, locked; swept when a process starts
├── incoming/<sha256>.fetch      an artifact on its way from upstream, tailed by every process that serves it
├── scratch/                     upstream documents being read; likewise
├── outgoing/                    what the processes share of limits and of hosts that do not answer
├── workers/<name>.lock          one per jobs worker, locked while it lives
├── exports/<job>/               what a bundle is made of, until it was fetched or is old
├── imports/<random>.bundle      bundles being taken in
└── advisories/<sha256>.zip      advisories that came by the drop folder
"""

from pathlib import Path

from headgate.conda.names import Sha256


class DataFolder:
    """Paths inside one data folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self.settings = root / "headgate.toml"
        self.database = root / "headgate.db"
        self.jobs = root / "jobs.db"
        self.access_log = root / "access.db"
        self.secret = root / "secret.key"
        self.blobs = root / "blobs"
        self.incoming = root / "incoming"
        self.scratch = root / "scratch"
        self.exports = root / "exports"
        self.imports = root / "imports"
        self.advisories = root / "advisories"
        self.outgoing = root / "outgoing"
        self.metrics = root / "metrics"
        self.workers = root / "workers"
        self.lock = root / "lock"

    def create(self) -> None:
        """Make the folders; nobody else on the machine may look into them."""
        carried = (self.exports, self.imports, self.advisories)
        working = (self.incoming, self.scratch, self.metrics, self.workers, self.outgoing)
        for folder in (self.root, self.blobs, *working, *carried):
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)


def blob_key(sha256: Sha256) -> str:
    """Where a blob lives below `blobs/` (and, for a fronting web server, below its internal location)."""
    return f"{sha256[:2]}/{sha256}"
