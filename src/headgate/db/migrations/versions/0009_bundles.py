"""Air-gap bundles."""

import sqlalchemy as sa
from alembic import op

revision = "0009"
down_revision = "0008"
branch_labels = None
depends_on = None


_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "bundle",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("channel_id", _KEY, nullable=False),
        sa.Column("bundle", sa.String(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("key", sa.String(), nullable=True),
        sa.Column("imported_at", sa.BigInteger(), nullable=False),
        sa.Column("imported_by", sa.String(), nullable=False),
        sa.ForeignKeyConstraint(["channel_id"], ["channel.id"], name=op.f("fk_bundle_channel_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundle")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_bundle_channel_id"), "bundle", ["channel_id"])
    op.create_table(
        "bundle_key",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_bundle_key")),
        sa.UniqueConstraint("key", name=op.f("uq_bundle_key_key")),
    )
    op.create_table(
        "dropped",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("outcome", sa.String(), nullable=False),
        sa.Column("channel", sa.String(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("said", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dropped")),
        sqlite_autoincrement=True,
    )


def downgrade() -> None:
    """Take back."""
    for name in ("dropped", "bundle_key", "bundle"):
        op.drop_table(name)
