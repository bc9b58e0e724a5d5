"""Search."""

import sqlalchemy as sa
from alembic import op

revision = "0017"
down_revision = "0016"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "search_subdir",
        sa.Column("subdir_id", _KEY, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subdir_id"], ["subdir.id"], name=op.f("fk_search_subdir_subdir_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subdir_id", name=op.f("pk_search_subdir")),
    )
    op.create_table(
        "search_card",
        sa.Column("subdir_id", _KEY, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("files", sa.Integer(), nullable=False),
        sa.Column("version", sa.String(), nullable=False),
        sa.Column("newest_at", sa.BigInteger(), nullable=True),
        sa.Column("licences", sa.String(), nullable=False),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("depends", sa.String(), nullable=False),
        sa.Column("heads", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["subdir_id"], ["subdir.id"], name=op.f("fk_search_card_subdir_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("subdir_id", "name", name=op.f("pk_search_card")),
    )
    op.create_index(op.f("ix_search_card_subdir_id_revision"), "search_card", ["subdir_id", "revision"])


def downgrade() -> None:
    """Take back."""
    op.drop_table("search_card")
    op.drop_table("search_subdir")
