"""What helps to read the next document of an upstream."""

import sqlalchemy as sa
from alembic import op

revision = "0024"
down_revision = "0023"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "source_outline",
        sa.Column("source_subdir_id", _KEY, nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("source_subdir_id", name="pk_source_outline"),
        sa.ForeignKeyConstraint(
            ["source_subdir_id"],
            ["source_subdir.id"],
            name="fk_source_outline_source_subdir_id_source_subdir",
            ondelete="CASCADE",
        ),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("source_outline")
