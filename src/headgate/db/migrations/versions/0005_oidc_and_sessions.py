"""OIDC providers, sessions, devices that sign in."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    key = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
    op.create_table(
        "oidc_provider",
        sa.Column("id", key, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("issuer", sa.String(), nullable=False),
        sa.Column("client_id", sa.String(), nullable=False),
        sa.Column("client_secret", sa.String(), nullable=True),
        sa.Column("settings", sa.JSON(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_oidc_provider")),
        sa.UniqueConstraint("name", name=op.f("uq_oidc_provider_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "session",
        sa.Column("id", key, autoincrement=True, nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_id", key, nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("used_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("agent", sa.String(), nullable=False),
        sa.Column("method", sa.String(), nullable=False),
        sa.Column("provider_sid", sa.String(), nullable=True),
        sa.Column("id_token", sa.String(), nullable=True),
        sa.ForeignKeyConstraint(["user_id"], ["user_account.id"], name=op.f("fk_session_user_id"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_session")),
        sa.UniqueConstraint("digest", name=op.f("uq_session_digest")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_session_user_id"), "session", ["user_id"])
    op.create_index(op.f("ix_session_method_provider_sid"), "session", ["method", "provider_sid"])
    op.create_table(
        "device_sign_in",
        sa.Column("device_digest", sa.LargeBinary(), nullable=False),
        sa.Column("user_code", sa.String(), nullable=False),
        sa.Column("machine", sa.String(), nullable=False),
        sa.Column("address", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("is_denied", sa.Boolean(), nullable=False),
        sa.Column("user_id", key, nullable=True),
        sa.ForeignKeyConstraint(
            ["user_id"], ["user_account.id"], name=op.f("fk_device_sign_in_user_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("device_digest", name=op.f("pk_device_sign_in")),
        sa.UniqueConstraint("user_code", name=op.f("uq_device_sign_in_user_code")),
    )
    op.create_table(
        "spent",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("digest", name=op.f("pk_spent")),
    )
    op.create_index(op.f("ix_spent_expires_at"), "spent", ["expires_at"])


def downgrade() -> None:
    """Take back."""
    for table in ("spent", "device_sign_in", "session", "oidc_provider"):
        op.drop_table(table)
