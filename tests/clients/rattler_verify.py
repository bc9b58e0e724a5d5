"""Run in a process of its own: verify the attestation of a file in a channel as py-rattler's clients do.

    rattler_verify.py '{"url": …, "filename": …, "subdir": …, "sha256": …, "attestations_sha256": …, "root": …}'

Prints the identity of the publisher. Ends by `os._exit`: py-rattler may abort at a regular exit, its work done.
"""

import asyncio
import json
import os
import sys
from typing import Any

from rattler import BuildString, PackageRecord, RepoDataRecord
from rattler.sigstore import ChannelCheck, TrustedRoot, VerificationPolicy, verify_attestation


async def run(wish: dict[str, Any]) -> str | None:
    name, version, build = wish["filename"].removesuffix(".conda").rsplit("-", 2)
    record = PackageRecord(
        name, version, BuildString(build), 0, wish["subdir"],
        sha256=bytes.fromhex(wish["sha256"]), attestations_sha256=bytes.fromhex(wish["attestations_sha256"]),
    )  # fmt: skip
    place = RepoDataRecord(record, wish["filename"], f"{wish['url']}/{wish['subdir']}/{wish['filename']}", wish["url"])
    policy = VerificationPolicy.require(channel_check=ChannelCheck.IGNORE)
    outcome = await verify_attestation(place, policy, trusted_root=TrustedRoot.from_path(wish["root"]))
    return outcome.attestation.identity if outcome.attestation else None


if __name__ == "__main__":
    try:
        print(asyncio.run(run(json.loads(sys.argv[1]))), flush=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, the test reads it
        print(f"{type(error).__name__}: {error}", file=sys.stderr, flush=True)
        os._exit(1)
    os._exit(0)
