"""Requests."""

import sqlalchemy as sa
from alembic import op

revision = "0014"
down_revision = "0013"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.add_column("promotion", sa.Column("request_id", _KEY, nullable=True))
    op.add_column("promotion", sa.Column("approvers", sa.JSON(), nullable=True))
    op.add_column("promotion_item", sa.Column("opinion", sa.LargeBinary(), nullable=True))
    op.create_table(
        "request",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("open_key", sa.String(), nullable=True),
        sa.Column("source", sa.String(), nullable=False),
        sa.Column("target", sa.String(), nullable=False),
        sa.Column("wants", sa.JSON(), nullable=False),
        sa.Column("platforms", sa.JSON(), nullable=False),
        sa.Column("has_closure", sa.Boolean(), nullable=False),
        sa.Column("machine", sa.JSON(), nullable=False),
        sa.Column("notes", sa.JSON(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("summary", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("changed_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("promotion_id", _KEY, nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request")),
        sa.UniqueConstraint("open_key", name=op.f("uq_request_open_key")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_request_target"), "request", ["target"])
    op.create_index(op.f("ix_request_state_expires_at"), "request", ["state", "expires_at"])
    op.create_table(
        "request_person",
        _request("request_person"),
        sa.Column("request_id", _KEY, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("why", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "name", name=op.f("pk_request_person")),
    )
    op.create_table(
        "request_vote",
        _request("request_vote"),
        sa.Column("request_id", _KEY, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("digest", sa.String(), nullable=False),
        sa.Column("comment", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("request_id", "name", name=op.f("pk_request_vote")),
    )
    op.create_table(
        "request_remark",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        _request("request_remark"),
        sa.Column("request_id", _KEY, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_request_remark")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_request_remark_request_id"), "request_remark", ["request_id"])
    op.create_table(
        "request_rules",
        sa.Column("channel_id", _KEY, nullable=False),
        sa.Column("document", sa.JSON(), nullable=False),
        sa.Column("set_at", sa.BigInteger(), nullable=False),
        sa.Column("set_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channel.id"], name=op.f("fk_request_rules_channel_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("channel_id", name=op.f("pk_request_rules")),
    )


def downgrade() -> None:
    """Take back."""
    for name in ("request_rules", "request_remark", "request_vote", "request_person", "request"):
        op.drop_table(name)
    op.drop_column("promotion_item", "opinion")
    op.drop_column("promotion", "approvers")
    op.drop_column("promotion", "request_id")


def _request(table: str) -> sa.ForeignKeyConstraint:
    return sa.ForeignKeyConstraint(
        ["request_id"], ["request.id"], name=op.f(f"fk_{table}_request_id"), ondelete="CASCADE"
    )
