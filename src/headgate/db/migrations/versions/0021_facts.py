"""What an upstream says of the install scripts of its packages; and indexes that pages count and look up by."""

import sqlalchemy as sa
from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    """Apply."""
    op.create_index(op.f("ix_artifact_subdir_id_status_size_bytes"), "artifact", ["subdir_id", "status", "size_bytes"])
    by_sha256 = ["sha256", "subdir_id", "status", "size_bytes"]
    op.create_index(op.f("ix_artifact_sha256_subdir_id_status_size_bytes"), "artifact", by_sha256)
    op.drop_index(op.f("ix_artifact_sha256"), table_name="artifact")
    op.create_index(op.f("ix_audit_event_subject_number"), "audit_event", ["subject", "number"])
    op.create_table(
        "source_scripts",
        sa.Column("source_id", _KEY, nullable=False),
        sa.Column("etag", sa.String(), nullable=True),
        sa.Column("body", sa.LargeBinary(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("source_id", name="pk_source_scripts"),
        sa.ForeignKeyConstraint(
            ["source_id"], ["source.id"], name="fk_source_scripts_source_id_source", ondelete="CASCADE"
        ),
    )


def downgrade() -> None:
    """Take back."""
    op.drop_table("source_scripts")
    op.drop_index(op.f("ix_audit_event_subject_number"), table_name="audit_event")
    op.create_index(op.f("ix_artifact_sha256"), "artifact", ["sha256"])
    op.drop_index(op.f("ix_artifact_sha256_subdir_id_status_size_bytes"), table_name="artifact")
    op.drop_index(op.f("ix_artifact_subdir_id_status_size_bytes"), table_name="artifact")
