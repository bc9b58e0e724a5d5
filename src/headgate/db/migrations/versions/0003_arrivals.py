"""Who comes from an identity provider."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

_INDEX = "ix_user_account_provider_external_id"


def upgrade() -> None:
    """Apply."""
    for name in ("disabled_by", "provider", "external_id"):
        op.add_column("user_account", sa.Column(name, sa.String(), nullable=True))
    op.create_index(op.f(_INDEX), "user_account", ["provider", "external_id"], unique=True)
    for table in ("group_member", "access_grant"):
        op.add_column(table, sa.Column("provider", sa.String(), nullable=True))


def downgrade() -> None:
    """Take back."""
    for table in ("group_member", "access_grant"):
        op.drop_column(table, "provider")
    op.drop_index(op.f(_INDEX), "user_account")
    for name in ("external_id", "provider", "disabled_by"):
        op.drop_column("user_account", name)
