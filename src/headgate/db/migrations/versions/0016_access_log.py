"""The chain of audit events, streams, incidents. The access log brings its own tables: see audit/access_tables.py."""

import hashlib
import json
from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0016"
down_revision = "0015"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_BATCH = 1_000
_START = b"\0" * 32
_KWARGS = {"sqlite_autoincrement": True}


def upgrade() -> None:
    """Apply."""
    _create_tables()
    with op.batch_alter_table("audit_event") as batch:
        batch.add_column(sa.Column("number", sa.BigInteger(), nullable=True))
        batch.add_column(sa.Column("hash", sa.LargeBinary(), nullable=True))
    number, head = _chain()
    chain = sa.table("audit_chain", sa.column("id"), sa.column("number"), sa.column("hash", sa.LargeBinary()))
    op.bulk_insert(chain, [{"id": 1, "number": number, "hash": head}])
    with op.batch_alter_table("audit_event", table_kwargs=_KWARGS) as batch:
        batch.alter_column("number", existing_type=sa.BigInteger(), nullable=False)
        batch.alter_column("hash", existing_type=sa.LargeBinary(), nullable=False)
        batch.create_unique_constraint(batch.f("uq_audit_event_number"), ["number"])


def downgrade() -> None:
    """Take back."""
    with op.batch_alter_table("audit_event", table_kwargs=_KWARGS) as batch:
        batch.drop_constraint(batch.f("uq_audit_event_number"), type_="unique")
        batch.drop_column("hash")
        batch.drop_column("number")
    for name in ("incident", "audit_stream", "audit_checkpoint", "audit_chain"):
        op.drop_table(name)


def _chain() -> tuple[int, bytes]:
    """Number the events that are there, and chain them; the number and the hash of the last."""
    event = sa.table(
        "audit_event",
        *(sa.column(name) for name in ("id", "at", "action", "actor", "channel", "subject", "number")),
        sa.column("detail", sa.JSON()),
        sa.column("hash", sa.LargeBinary()),
    )
    connection, last_id, number, head = op.get_bind(), 0, 0, _START
    while rows := connection.execute(
        sa.select(event).where(event.c.id > last_id).order_by(event.c.id).limit(_BATCH)
    ).all():
        for row in rows:
            number += 1
            head = hashlib.sha256(head + _canonical(number, row)).digest()
            last_id = row.id
            connection.execute(sa.update(event).where(event.c.id == row.id).values(number=number, hash=head))
    return number, head


def _canonical(number: int, row: Any) -> bytes:
    said = [number, row.at, row.action, row.actor, row.channel, row.subject, row.detail]
    return json.dumps(said, sort_keys=True, separators=(",", ":"), ensure_ascii=True).encode()


def _create_tables() -> None:
    op.create_table(
        "audit_chain",
        sa.Column("id", _KEY, autoincrement=False, nullable=False),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_chain")),
    )
    op.create_table(
        "audit_checkpoint",
        sa.Column("number", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("hash", sa.LargeBinary(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("public_key", sa.String(), nullable=False),
        sa.Column("signature", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("number", name=op.f("pk_audit_checkpoint")),
    )
    op.create_table(
        "audit_stream",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=True),
        sa.Column("sent_number", sa.BigInteger(), nullable=False),
        sa.Column("sent_at", sa.BigInteger(), nullable=True),
        sa.Column("failures", sa.Integer(), nullable=False),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("next_try_at", sa.BigInteger(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_audit_stream")),
        sa.UniqueConstraint("name", name=op.f("uq_audit_stream_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "incident",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("declared_at", sa.BigInteger(), nullable=False),
        sa.Column("declared_by", sa.String(), nullable=False),
        sa.Column("lifted_at", sa.BigInteger(), nullable=True),
        sa.Column("lifted_by", sa.String(), nullable=True),
        sa.Column("lifted_because", sa.String(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_incident")),
        sqlite_autoincrement=True,
    )
