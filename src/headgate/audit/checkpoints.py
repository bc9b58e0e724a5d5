"""Forgetting old events without losing the proof: a signed checkpoint says with which hash the forgotten ones ended."""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import delete, func, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.events import Action, record
from headgate.audit.signing import Signer, is_signed
from headgate.db import tables, tables_audit
from headgate.db.engine import Database
from headgate.kernel import clock

_ACTOR = "headgate"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The last of the events that were forgotten, signed."""

    number: int
    hash: bytes
    at: datetime
    public_key: str
    signature: str

    @property
    def content(self) -> bytes:
        """What is signed."""
        said = {"at": clock.to_ms(self.at), "hash": self.hash.hex(), "number": self.number}
        return json.dumps(said, sort_keys=True, separators=(",", ":")).encode()

    def as_json(self) -> dict[str, Any]:
        """What the API shows."""
        return {
            "number": self.number,
            "hash": self.hash.hex(),
            "at": self.at.isoformat(timespec="milliseconds"),
            "public_key": self.public_key,
            "signature": self.signature,
        }


class Retention:
    """Forgets events that are older than `keep`; None: never."""

    def __init__(self, database: Database, signer: Signer, keep: timedelta | None) -> None:
        self._database = database
        self._signer = signer
        self._keep = keep

    async def prune(self) -> int:
        """Forget what is old and was sent to every stream; how many events that were."""
        if self._keep is None:
            return 0
        columns, oldest = tables.audit_event.c, clock.now() - self._keep
        async with self._database.write() as connection:
            # Numbers follow the clock but for a moment or two: what stands before the first that must stay goes.
            young = (
                await connection.execute(select(func.min(columns.number)).where(columns.at >= oldest))
            ).scalar_one()
            sent = (await connection.execute(select(func.min(tables_audit.audit_stream.c.sent_number)))).scalar_one()
            last = select(columns.number, columns.hash).order_by(columns.number.desc()).limit(1)
            last = last.where(columns.at < oldest)
            if young is not None:
                last = last.where(columns.number < young)
            if sent is not None:
                last = last.where(columns.number <= sent)
            row = (await connection.execute(last)).one_or_none()
            if row is None:
                return 0
            gone = await connection.execute(delete(tables.audit_event).where(columns.number <= row.number))
            await self._keep_checkpoint(connection, row.number, row.hash)
            await record(connection, Action.AUDIT_PRUNE, _ACTOR, subject=str(row.number), events=gone.rowcount)
        return gone.rowcount

    async def _keep_checkpoint(self, connection: AsyncConnection, number: int, last: bytes) -> None:
        unsigned = Checkpoint(number, last, clock.from_ms(clock.now_ms()), self._signer.public_key, "")
        values = {
            "number": number,
            "hash": last,
            "at": unsigned.at,
            "public_key": unsigned.public_key,
            "signature": self._signer.sign(unsigned.content),
        }
        await connection.execute(tables_audit.audit_checkpoint.insert().values(values))


async def read_checkpoint(connection: AsyncConnection) -> Checkpoint | None:
    """The newest checkpoint."""
    columns = tables_audit.audit_checkpoint.c
    found = await connection.execute(select(tables_audit.audit_checkpoint).order_by(columns.number.desc()).limit(1))
    row = found.one_or_none()
    return None if row is None else Checkpoint(row.number, row.hash, row.at, row.public_key, row.signature)


def complain_of(checkpoint: Checkpoint, public_key: str) -> list[str]:
    """What is wrong with a checkpoint."""
    if checkpoint.public_key != public_key:
        return [f"The checkpoint at event {checkpoint.number} was signed with another key than this server's."]
    if not is_signed(checkpoint.content, checkpoint.signature, public_key):
        return [f"The checkpoint at event {checkpoint.number} is not what was signed."]
    return []
