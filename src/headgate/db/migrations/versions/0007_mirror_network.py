"""Mirrors: names, network settings, certificates."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

_source = sa.table(
    "source",
    sa.column("id", sa.BigInteger()),
    sa.column("channel_id", sa.BigInteger()),
    sa.column("position", sa.Integer()),
    sa.column("kind", sa.String()),
    sa.column("url", sa.String()),
    sa.column("name", sa.String()),
    sa.column("urls", sa.JSON()),
)


def upgrade() -> None:
    """Apply. Credentials in URLs are sealed at the start that follows: that needs the server's key."""
    op.add_column("source", sa.Column("name", sa.String(), nullable=True))
    op.add_column("source", sa.Column("urls", sa.JSON(), server_default="[]", nullable=False))
    op.add_column("source", sa.Column("settings", sa.JSON(), server_default="{}", nullable=False))
    op.add_column("source", sa.Column("sealed", sa.String(), nullable=True))
    columns = _source.c
    known: dict[int, int] = {}
    rows = op.get_bind().execute(
        sa.select(columns.id, columns.channel_id, columns.url)
        .where(columns.kind == "upstream")
        .order_by(columns.channel_id, columns.position)
    )
    for row in rows.all():
        known[row.channel_id] = number = known.get(row.channel_id, 0) + 1
        name = "main" if number == 1 else f"main-{number}"
        op.execute(_source.update().where(columns.id == row.id).values(name=name, urls=[row.url]))
    # Not in batch mode: on SQLite that drops the table, and with it, by cascade, all that was synced.
    op.drop_column("source", "url")
    op.create_table(
        "ca_bundle",
        sa.Column("name", sa.String(), nullable=False),
        sa.Column("pem", sa.String(), nullable=False),
        sa.Column("is_everywhere", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("created_by", sa.String(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_ca_bundle")),
    )


def downgrade() -> None:
    """Take back. What was sealed stays unreadable: such a mirror has to be added again."""
    op.drop_table("ca_bundle")
    op.add_column("source", sa.Column("url", sa.String(), nullable=True))
    columns = _source.c
    rows = op.get_bind().execute(sa.select(columns.id, columns.urls).where(columns.kind == "upstream"))
    for row in rows.all():
        op.execute(_source.update().where(columns.id == row.id).values(url=row.urls[0]))
    for name in ("sealed", "settings", "urls", "name"):
        op.drop_column("source", name)
