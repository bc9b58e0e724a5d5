"""Many clients for one file at once: `python -m bench.crowd URL CLIENTS SHA256` prints how long all of them took."""

import asyncio
import hashlib
import json
import sys
import time

import aiohttp

_PIECE = 1 << 18


async def _crowd(url: str, clients: int, sha256: str) -> float:
    async def one(session: aiohttp.ClientSession, digest: "hashlib._Hash | None") -> int:
        size = 0
        async with session.get(url) as answer:
            answer.raise_for_status()
            async for piece in answer.content.iter_chunked(_PIECE):
                size += len(piece)
                if digest is not None:
                    digest.update(piece)
        return size

    # One of them looks at what it gets; the others would only measure sha256.
    watched = hashlib.sha256()
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, auto_decompress=False) as session:
        began = time.perf_counter()
        sizes = await asyncio.gather(*(one(session, watched if n == 0 else None) for n in range(clients)))
        took_s = time.perf_counter() - began
    assert len(set(sizes)) == 1, "not all got the same"
    assert watched.hexdigest() == sha256, "other bytes came"
    return took_s


def main() -> None:
    url, clients, sha256 = sys.argv[1:]
    print(json.dumps({"seconds": asyncio.run(_crowd(url, int(clients), sha256))}))


if __name__ == "__main__":
    main()
