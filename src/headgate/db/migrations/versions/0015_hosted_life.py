"""Freezing, rollback, patches that can be undone, words on packages, pipelines."""

import sqlalchemy as sa
from alembic import op

revision = "0015"
down_revision = "0014"
branch_labels = None
depends_on = None

_KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
_TABLES = (
    "pipeline_stage",
    "pipeline",
    "package_owner",
    "package_note",
    "deprecation",
    "patch_edit",
    "artifact_state",
    "waiting_name",
)


def upgrade() -> None:
    """Apply."""
    op.add_column("channel", sa.Column("frozen_at", sa.BigInteger(), nullable=True))
    op.add_column("channel", sa.Column("frozen_by", sa.String(), nullable=True))
    op.add_column("channel", sa.Column("frozen_why", sa.String(), nullable=True))
    op.add_column("subdir", sa.Column("known_since", sa.BigInteger(), nullable=False, server_default="0"))
    _create_history()
    _create_words()
    _create_pipelines()
    op.execute("UPDATE subdir SET known_since = revision")
    op.execute(
        "INSERT INTO artifact_state (subdir_id, filename, revision, status, sha256) "
        "SELECT artifact.subdir_id, artifact.filename, subdir.revision, artifact.status, artifact.sha256 "
        "FROM artifact JOIN subdir ON subdir.id = artifact.subdir_id WHERE artifact.origin <> 'cache'"
    )
    op.execute(
        "INSERT INTO patch_edit (subdir_id, revision, document, comment, created_at, created_by) "
        "SELECT id, revision, patch, '', revised_at, 'headgate' FROM subdir WHERE patch IS NOT NULL"
    )


def _create_history() -> None:
    op.create_table(
        "waiting_name",
        sa.Column("subdir_id", _KEY, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        _goes_with("waiting_name", "subdir"),
        sa.PrimaryKeyConstraint("subdir_id", "name", name=op.f("pk_waiting_name")),
    )
    op.create_table(
        "artifact_state",
        sa.Column("subdir_id", _KEY, nullable=False),
        sa.Column("filename", sa.String(), nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("status", sa.String(), nullable=False),
        sa.Column("sha256", sa.String(), nullable=False),
        _goes_with("artifact_state", "subdir"),
        sa.PrimaryKeyConstraint("subdir_id", "filename", "revision", name=op.f("pk_artifact_state")),
    )
    op.create_table(
        "patch_edit",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("subdir_id", _KEY, nullable=False),
        sa.Column("revision", sa.BigInteger(), nullable=False),
        sa.Column("document", sa.LargeBinary(), nullable=False),
        sa.Column("origin", sa.String(), nullable=True),
        sa.Column("comment", sa.String(), nullable=False),
        *_by_whom(),
        _goes_with("patch_edit", "subdir"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_patch_edit")),
        sqlite_autoincrement=True,
    )
    op.create_index(op.f("ix_patch_edit_subdir_id"), "patch_edit", ["subdir_id"])


def _create_words() -> None:
    op.create_table(
        "deprecation",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("channel_id", _KEY, nullable=False),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("spec", sa.String(), nullable=False),
        sa.Column("reason", sa.String(), nullable=False),
        sa.Column("is_avoided", sa.Boolean(), nullable=False),
        *_by_whom(),
        _goes_with("deprecation", "channel"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_deprecation")),
        sa.UniqueConstraint("channel_id", "spec", name=op.f("uq_deprecation_channel_id_spec")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "package_note",
        sa.Column("channel_id", _KEY, nullable=False),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("text", sa.String(), nullable=False),
        *_by_whom(),
        _goes_with("package_note", "channel"),
        sa.PrimaryKeyConstraint("channel_id", "package", name=op.f("pk_package_note")),
    )
    op.create_table(
        "package_owner",
        sa.Column("channel_id", _KEY, nullable=False),
        sa.Column("package", sa.String(), nullable=False),
        sa.Column("kind", sa.String(), nullable=False),
        sa.Column("principal", sa.String(), nullable=False),
        sa.Column("grant_id", _KEY, nullable=True),
        *_by_whom(),
        _goes_with("package_owner", "channel"),
        sa.PrimaryKeyConstraint("channel_id", "package", "kind", "principal", name=op.f("pk_package_owner")),
    )


def _create_pipelines() -> None:
    op.create_table(
        "pipeline",
        sa.Column("id", _KEY, autoincrement=True, nullable=False),
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("is_strict", sa.Boolean(), nullable=False),
        *_by_whom(),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_pipeline")),
        sa.UniqueConstraint("name", name=op.f("uq_pipeline_name")),
        sqlite_autoincrement=True,
    )
    op.create_table(
        "pipeline_stage",
        sa.Column("pipeline_id", _KEY, nullable=False),
        sa.Column("position", sa.Integer(), nullable=False),
        sa.Column("channel_id", _KEY, nullable=False),
        _goes_with("pipeline_stage", "pipeline"),
        _goes_with("pipeline_stage", "channel"),
        sa.PrimaryKeyConstraint("pipeline_id", "position", name=op.f("pk_pipeline_stage")),
        sa.UniqueConstraint("pipeline_id", "channel_id", name=op.f("uq_pipeline_stage_pipeline_id_channel_id")),
    )
    op.create_index(op.f("ix_pipeline_stage_channel_id"), "pipeline_stage", ["channel_id"])


def _by_whom() -> tuple[sa.Column[int], sa.Column[str]]:
    return (
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
    )


def _goes_with(table: str, other: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_{other}_id")
    return sa.ForeignKeyConstraint([f"{other}_id"], [f"{other}.id"], name=name, ondelete="CASCADE")


def downgrade() -> None:
    """Take back."""
    for table in _TABLES:
        op.drop_table(table)
    op.drop_column("subdir", "known_since")
    for column in ("frozen_why", "frozen_by", "frozen_at"):
        op.drop_column("channel", column)
