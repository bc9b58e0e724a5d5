"""Signatures and attestations."""

import sqlalchemy as sa
from alembic import op

revision = "0013"
down_revision = "0012"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    _attestations()
    _upstream_signatures()
    _own_signatures()
    op.add_column("source_subdir", sa.Column("trust_key", sa.String(), nullable=True))


def _attestations() -> None:
    op.create_table(
        "sidecar",
        sa.Column("sha256", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", name=op.f("pk_sidecar")),
    )
    op.create_table(
        "attestation",
        *(sa.Column(name, sa.String(), nullable=False) for name in ("sha256", "filename", "sidecar", "package")),
        *(sa.Column(name, sa.String(), nullable=False) for name in ("subdir", "state", "reason")),
        sa.Column("publishers", sa.JSON(), nullable=False),
        sa.Column("root", sa.String(), nullable=False),
        sa.Column("checked_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("sha256", "filename", "sidecar", name=op.f("pk_attestation")),
    )
    op.create_index(op.f("ix_attestation_package"), "attestation", ["package"])


def _upstream_signatures() -> None:
    op.create_table(
        "source_trust",
        sa.Column("source_id", _KEY, nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_id"], ["source.id"], name=op.f("fk_source_trust_source_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("source_id", "kind", "version", name=op.f("pk_source_trust")),
    )
    op.create_table(
        "source_signature",
        sa.Column("source_subdir_id", _KEY, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("inputs", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["source_subdir_id"],
            ["source_subdir.id"],
            name=op.f("fk_source_signature_source_subdir_id"),
            ondelete="CASCADE",
        ),
        sa.PrimaryKeyConstraint("source_subdir_id", "name", name=op.f("pk_source_signature")),
    )


def _own_signatures() -> None:
    op.create_table(
        "signing_key",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("role", sa.String(), nullable=False),
        sa.Column("public", sa.String(), nullable=False),
        sa.Column("sealed", sa.String(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.Column("retired_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_signing_key")),
        sa.UniqueConstraint("public", name=op.f("uq_signing_key_public")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "signing_document",
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("version", sa.Integer(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("kind", "version", name=op.f("pk_signing_document")),
    )
    op.create_table(
        "signed_shard",
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(["digest"], ["shard.digest"], name=op.f("fk_signed_shard_digest"), ondelete="CASCADE"),
        sa.PrimaryKeyConstraint("digest", "key", name=op.f("pk_signed_shard")),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_column("source_subdir", "trust_key")
    for table in (
        "signed_shard",
        "signing_document",
        "signing_key",
        "source_signature",
        "source_trust",
        "attestation",
        "sidecar",
    ):
        op.drop_table(table)
