"""Tokens and sign-in limits."""

from typing import Any

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

_INDEX = "ix_token_previous_prefix"
_TOKEN: dict[str, type[sa.types.TypeEngine[Any]]] = {
    "addresses": sa.JSON,
    "rotated_at": sa.BigInteger,
    "previous_prefix": sa.String,
    "previous_digest": sa.LargeBinary,
    "previous_ends_at": sa.BigInteger,
    "used_at": sa.BigInteger,
    "used_from": sa.String,
}


def upgrade() -> None:
    """Apply."""
    for name, kind in _TOKEN.items():
        op.add_column("token", sa.Column(name, kind, nullable=True))
    op.create_index(op.f(_INDEX), "token", ["previous_prefix"], unique=True)
    op.add_column(
        "user_account",
        sa.Column("must_change_password", sa.Boolean(), server_default=sa.false(), nullable=False),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_column("user_account", "must_change_password")
    op.drop_index(op.f(_INDEX), "token")
    for name in reversed(_TOKEN):
        op.drop_column("token", name)
