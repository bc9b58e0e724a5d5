"""Mirrors: schedules, modes, filters; what jobs say; workers that share the work."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    with op.batch_alter_table("source") as batch:
        batch.add_column(sa.Column("next_run_at", sa.BigInteger(), nullable=True))
    with op.batch_alter_table("source_subdir") as batch:
        batch.add_column(sa.Column("filter_key", sa.String(), nullable=True))
        batch.add_column(sa.Column("closure", sa.LargeBinary(), nullable=True))
        batch.add_column(sa.Column("signed", sa.LargeBinary(), nullable=True))
    with op.batch_alter_table("source_shard") as batch:
        batch.add_column(sa.Column("filtered", sa.LargeBinary(), nullable=True))
    with op.batch_alter_table("job_progress") as batch:
        batch.add_column(sa.Column("paused_at", sa.BigInteger(), nullable=True))
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
    for table, columns in (
        ("job_progress", ["paused_at"]),
        ("source_shard", ["filtered"]),
        ("source_subdir", ["signed", "closure", "filter_key"]),
        ("source", ["next_run_at"]),
    ):
        with op.batch_alter_table(table) as batch:
            for column in columns:
                batch.drop_column(column)
