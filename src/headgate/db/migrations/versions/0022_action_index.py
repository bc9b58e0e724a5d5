"""An index for what is asked of the audit trail most: the newest of an action."""

from alembic import op

revision = "0022"
down_revision = "0021"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Apply."""
    op.create_index(op.f("ix_audit_event_action_number"), "audit_event", ["action", "number"])


def downgrade() -> None:
    """Take back."""
    op.drop_index(op.f("ix_audit_event_action_number"), table_name="audit_event")
