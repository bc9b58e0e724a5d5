"""Advisories."""

import sqlalchemy as sa
from alembic import op

revision = "0011"
down_revision = "0010"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_table(
        "advisory",
        sa.Column("id", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("state", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("severity", sa.String(), nullable=True),
        sa.Column("cvss", sa.Float(), nullable=True),
        sa.Column("epss", sa.Float(), nullable=True),
        sa.Column("is_known_exploited", sa.Boolean(), nullable=False),
        sa.Column("is_malicious", sa.Boolean(), nullable=False),
        sa.Column("modified", sa.String(), nullable=True),
        sa.Column("summary", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_advisory")),
    )
    op.create_index(op.f("ix_advisory_revision"), "advisory", ["revision"], unique=False)
    op.create_table(
        "advisory_affected",
        sa.Column("advisory", sa.String(), nullable=False),
        sa.Column("ecosystem", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.PrimaryKeyConstraint("advisory", "ecosystem", "name", name=op.f("pk_advisory_affected")),
    )
    op.create_index(
        op.f("ix_advisory_affected_ecosystem_name"), "advisory_affected", ["ecosystem", "name"], unique=False
    )
    op.create_table(
        "advisory_alias",
        sa.Column("alias", sa.String(), nullable=False),
        sa.Column("advisory", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("alias", name=op.f("pk_advisory_alias")),
    )
    op.create_index(op.f("ix_advisory_alias_advisory"), "advisory_alias", ["advisory"], unique=False)
    op.create_table(
        "advisory_change",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_advisory_change")),
    )
    op.create_table(
        "advisory_feed",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("url", sa.String(), nullable=True),
        sa.Column("interval_minutes", sa.Integer(), nullable=False),
        sa.Column("is_whole", sa.Boolean(), nullable=False),
        sa.Column("ecosystems", sa.JSON(), nullable=False),
        sa.Column("etag", sa.String(), nullable=True),
        sa.Column("checked_at", sa.BigInteger(), nullable=True),
        sa.Column("read_at", sa.BigInteger(), nullable=True),
        sa.Column("failure", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("items", sa.Integer(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_advisory_feed")),
        sa.UniqueConstraint("name", name=op.f("uq_advisory_feed_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "advisory_name",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("origin", sa.String(), nullable=False),
        sa.Column("ecosystem", sa.String(), nullable=False),
        sa.Column("identity", sa.String(), nullable=False),
        sa.Column("is_gone", sa.Boolean(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", "origin", "ecosystem", "identity", name=op.f("pk_advisory_name")),
    )
    op.create_index(
        op.f("ix_advisory_name_ecosystem_identity"), "advisory_name", ["ecosystem", "identity"], unique=False
    )
    op.create_index(op.f("ix_advisory_name_revision"), "advisory_name", ["revision"], unique=False)
    op.create_table(
        "advisory_score",
        sa.Column("cve", sa.String(), nullable=False),
        sa.Column("epss", sa.Float(), nullable=False),
        sa.Column("percentile", sa.Float(), nullable=False),
        sa.PrimaryKeyConstraint("cve", name=op.f("pk_advisory_score")),
    )
    op.create_table(
        "curation",
        sa.Column("id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), autoincrement=True, nullable=False),
        sa.Column("advisory", sa.String(), nullable=False),
        sa.Column("name", sa.String(), nullable=True),
        sa.Column("version", sa.String(), nullable=True),
        sa.Column("build", sa.String(), nullable=True),
        sa.Column("sha256", sa.String(), nullable=True),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("justification", sa.String(), nullable=True),
        sa.Column("note", sa.String(), nullable=True),
        sa.Column("score", sa.Float(), nullable=True),
        sa.Column("author", sa.String(), nullable=False),
        sa.Column("feed", sa.String(), nullable=True),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_at", sa.BigInteger(), nullable=True),
        sa.Column("ended_by", sa.String(), nullable=True),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_curation")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_curation_advisory"), "curation", ["advisory"], unique=False)
    op.create_index(op.f("ix_curation_key"), "curation", ["key"], unique=False)
    op.create_index(op.f("ix_curation_name"), "curation", ["name"], unique=False)
    op.create_index(op.f("ix_curation_revision"), "curation", ["revision"], unique=False)
    op.create_table(
        "advisory_statement",
        sa.Column("feed_id", sa.BigInteger().with_variant(sa.Integer(), "sqlite"), nullable=False),
        sa.Column("key", sa.String(), nullable=False),
        sa.Column("digest", sa.LargeBinary(), nullable=False),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.ForeignKeyConstraint(
            ["feed_id"], ["advisory_feed.id"], name=op.f("fk_advisory_statement_feed_id"), ondelete="CASCADE"
        ),
        sa.PrimaryKeyConstraint("feed_id", "key", name=op.f("pk_advisory_statement")),
    )
    op.create_index(op.f("ix_advisory_statement_key"), "advisory_statement", ["key"], unique=False)


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_advisory_statement_key"), table_name="advisory_statement")
    op.drop_table("advisory_statement")
    op.drop_index(op.f("ix_curation_revision"), table_name="curation")
    op.drop_index(op.f("ix_curation_name"), table_name="curation")
    op.drop_index(op.f("ix_curation_key"), table_name="curation")
    op.drop_index(op.f("ix_curation_advisory"), table_name="curation")
    op.drop_table("curation")
    op.drop_table("advisory_score")
    op.drop_index(op.f("ix_advisory_name_revision"), table_name="advisory_name")
    op.drop_index(op.f("ix_advisory_name_ecosystem_identity"), table_name="advisory_name")
    op.drop_table("advisory_name")
    op.drop_table("advisory_feed")
    op.drop_table("advisory_change")
    op.drop_index(op.f("ix_advisory_alias_advisory"), table_name="advisory_alias")
    op.drop_table("advisory_alias")
    op.drop_index(op.f("ix_advisory_affected_ecosystem_name"), table_name="advisory_affected")
    op.drop_table("advisory_affected")
    op.drop_index(op.f("ix_advisory_revision"), table_name="advisory")
    op.drop_table("advisory")
