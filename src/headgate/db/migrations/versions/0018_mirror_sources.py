"""Where the groups of a rendered document are, so that the next one can copy those that did not change."""

import sqlalchemy as sa
from alembic import op

revision = "0018"
down_revision = "0017"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "document_layout",
        sa.Column("channel_id", _KEY, nullable=False),
        sa.Column("subdir", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("channel_id", "subdir", name="pk_document_layout"),
        sa.ForeignKeyConstraint(
            ["channel_id"], ["channel.id"], name="fk_document_layout_channel_id_channel", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("document_layout")
