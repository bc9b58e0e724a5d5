"""Our own signatures of published records, made once per shard and key, and kept beside the shard."""

from collections.abc import Callable, Mapping
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import select

from headgate.channels.proofs import signed_form
from headgate.conda.content_trust import canonical, public_of
from headgate.conda.shards import Shard
from headgate.db import tables_signatures
from headgate.db.engine import Database, insert

_AHEAD = 1_000

Wait = Callable[[Any], Any]
"""Runs a query on the loop and gives what comes of it; called from another thread."""


class OwnSigner:
    """Signs records as repodata has them. `digests`: the published shards by name; what these hold is signed once."""

    def __init__(self, wait: Wait, database: Database, key: Ed25519PrivateKey, digests: Mapping[str, bytes]) -> None:
        self._wait = wait
        self._database = database
        self._key = key
        self._public = public_of(key)
        self._digests = digests
        self._names = sorted(digests)
        self._at = {name: number for number, name in enumerate(self._names)}
        self._kept: dict[bytes, dict[str, bytes]] = {}
        self._made: dict[bytes, dict[str, bytes]] = {}
        self._window = range(0)

    def sign(self, shard: Shard) -> tuple[Shard, Mapping[str, Any]]:
        """The records as they are, and a signature of each."""
        found = {}
        for filename, record in shard.records():
            known = self._known(str(record.get("name")))
            if filename not in known:
                known[filename] = self._key.sign(canonical(signed_form(record, has_stamp=True)))
                self._note(str(record.get("name")), known)
            found[filename] = {self._public: {"signature": known[filename].hex()}}
        return shard, found

    def finish(self) -> None:
        """Keep what was made."""
        if self._made:
            made, self._made = self._made, {}
            self._wait(self._save(made))

    def _known(self, name: str) -> dict[str, bytes]:
        number = self._at.get(name)
        if number is None:
            return {}
        if number not in self._window:
            self.finish()
            self._window = range(number, min(number + _AHEAD, len(self._names)))
            self._kept = self._wait(self._read([self._digests[self._names[one]] for one in self._window]))
        return self._kept.setdefault(self._digests[name], {})

    def _note(self, name: str, known: dict[str, bytes]) -> None:
        if name in self._digests:
            self._made[self._digests[name]] = known

    async def _read(self, digests: list[bytes]) -> dict[bytes, dict[str, bytes]]:
        columns = tables_signatures.signed_shard.c
        async with self._database.read() as connection:
            rows = await connection.execute(
                select(columns.digest, columns.body).where(columns.key == self._public, columns.digest.in_(digests))
            )
            return {row.digest: msgspec.msgpack.decode(row.body, type=dict[str, bytes]) for row in rows}

    async def _save(self, made: Mapping[bytes, Mapping[str, bytes]]) -> None:
        table = tables_signatures.signed_shard
        async with self._database.write() as connection:
            for digest, signatures in made.items():
                row = insert(connection, table).values(
                    digest=digest, key=self._public, body=msgspec.msgpack.encode(signatures)
                )
                changed = {"body": row.excluded.body}
                await connection.execute(row.on_conflict_do_update(index_elements=["digest", "key"], set_=changed))
