"""Run in a process of its own: solve and install with py-rattler, the engine of pixi.

    rattler_install.py '{"url": …, "specs": […], "cache": …, "prefix": …, "sharded": true, "zstd": true, "auth": {…}}'

Prints a JSON list of the file names installed. Ends by `os._exit`: py-rattler may abort at a regular exit, its work done.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from typing import Any

from rattler import (
    BuildString,
    Channel,
    Client,
    Gateway,
    GenericVirtualPackage,
    PackageName,
    SourceConfig,
    Version,
    install,
    solve,
)
from rattler.networking import AuthenticationMiddleware

VIRTUAL = (("__glibc", "2.39"), ("__unix", "0"), ("__linux", "6.6"))


async def run(wish: dict[str, Any]) -> list[str]:
    cache = Path(wish["cache"])
    cache.mkdir(parents=True, exist_ok=True)
    if wish.get("auth"):
        credentials = cache / "auth.json"
        credentials.write_text(json.dumps(wish["auth"]))
        os.environ["RATTLER_AUTH_FILE"] = str(credentials)
    client = Client([AuthenticationMiddleware()])
    config = SourceConfig(sharded_enabled=wish.get("sharded", True), zstd_enabled=wish.get("zstd", True))
    records = await solve(
        [Channel(wish["url"])],
        wish["specs"],
        gateway=Gateway(cache_dir=cache / "repodata", default_config=config, client=client),
        platforms=["linux-64", "noarch"],
        virtual_packages=[GenericVirtualPackage(PackageName(n), Version(v), BuildString("0")) for n, v in VIRTUAL],
    )
    if wish.get("prefix"):
        await install(records, wish["prefix"], cache_dir=cache / "pkgs", show_progress=False, client=client)
    return sorted(record.file_name for record in records)


if __name__ == "__main__":
    try:
        print(json.dumps(asyncio.run(run(json.loads(sys.argv[1])))), flush=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test reads it
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)
