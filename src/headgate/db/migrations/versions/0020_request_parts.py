"""Requests that are approved in part, or until a date."""

import sqlalchemy as sa
from alembic import op

revision = "0020"
down_revision = "0019"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.add_column("request", sa.Column("left_out", sa.JSON(), nullable=True))
    op.add_column("request", sa.Column("left_out_why", sa.String(), nullable=True))
    op.add_column("request", sa.Column("rest_id", _KEY, nullable=True))
    op.add_column("request", sa.Column("part_of", _KEY, nullable=True))
    op.add_column("request", sa.Column("ends_at", sa.BigInteger(), nullable=True))
    op.add_column("request_vote", sa.Column("left_out", sa.JSON(), nullable=True))
    op.add_column("request_vote", sa.Column("left_out_why", sa.String(), nullable=True))
    op.add_column("request_vote", sa.Column("ends_at", sa.BigInteger(), nullable=True))
    op.add_column("promotion", sa.Column("ends_at", sa.BigInteger(), nullable=True))
    op.add_column("promotion_item", sa.Column("ended_at", sa.BigInteger(), nullable=True))
    op.add_column("artifact", sa.Column("ends_at", sa.BigInteger(), nullable=True))
    op.create_index(op.f("ix_artifact_ends_at"), "artifact", ["ends_at"])


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_artifact_ends_at"), "artifact")
    op.drop_column("artifact", "ends_at")
    op.drop_column("promotion_item", "ended_at")
    op.drop_column("promotion", "ends_at")
    for column in ("ends_at", "left_out_why", "left_out"):
        op.drop_column("request_vote", column)
    for column in ("ends_at", "part_of", "rest_id", "left_out_why", "left_out"):
        op.drop_column("request", column)
