"""Mirrors: schedules, modes, filters; what jobs say; workers that share the work."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.add_column("source", sa.Column("next_run_at", sa.BigInteger(), nullable=True))
    op.add_column("source_subdir", sa.Column("filter_key", sa.String(), nullable=True))
    op.add_column("source_subdir", sa.Column("closure", sa.LargeBinary(), nullable=True))
    op.add_column("source_subdir", sa.Column("signed", sa.LargeBinary(), nullable=True))
    op.add_column("source_shard", sa.Column("filtered", sa.LargeBinary(), nullable=True))
    op.add_column("job_progress", sa.Column("paused_at", sa.BigInteger(), nullable=True))
    op.create_table(
        "job_line",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("job_id", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_job_line")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_job_line_job_id"), "job_line", ["job_id"])
    op.create_table(
        "job_executor",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("boot", sa.String(), nullable=False),
        sa.Column("beat_at", sa.BigInteger(), nullable=False),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_job_executor")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("job_executor")
    op.drop_index(op.f("ix_job_line_job_id"), table_name="job_line")
    op.drop_table("job_line")
    op.drop_column("job_progress", "paused_at")
    op.drop_column("source_shard", "filtered")
    op.drop_column("source_subdir", "signed")
    op.drop_column("source_subdir", "closure")
    op.drop_column("source_subdir", "filter_key")
    op.drop_column("source", "next_run_at")
