"""What is known of a file beside its record; and indexes that pages count and look up by."""

from alembic import op

revision = "0021"
down_revision = "0020"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(op.f("ix_artifact_subdir_id_status_size_bytes"), "artifact", ["subdir_id", "status", "size_bytes"])
    by_sha256 = ["sha256", "subdir_id", "status", "size_bytes"]
    op.create_index(op.f("ix_artifact_sha256_subdir_id_status_size_bytes"), "artifact", by_sha256)
    op.drop_index(op.f("ix_artifact_sha256"), table_name="artifact")
    op.create_index(op.f("ix_audit_event_subject_number"), "audit_event", ["subject", "number"])


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_audit_event_subject_number"), table_name="audit_event")
    op.create_index(op.f("ix_artifact_sha256"), "artifact", ["sha256"])
    op.drop_index(op.f("ix_artifact_sha256_subdir_id_status_size_bytes"), table_name="artifact")
    op.drop_index(op.f("ix_artifact_subdir_id_status_size_bytes"), table_name="artifact")
