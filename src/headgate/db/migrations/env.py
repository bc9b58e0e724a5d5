"""Alembic's entry: runs on the connection that `headgate.db.migrate` hands over."""

from typing import Any, Literal

from alembic import context

from headgate.db.columns import Bytes, Moment
from headgate.db.tables import metadata


def _render(kind: str, item: Any, _autogen: Any) -> str | Literal[False]:
    # A migration must not change when the code's own types do.
    if kind != "type":
        return False
    return {Moment: "sa.BigInteger()", Bytes: "sa.LargeBinary()"}.get(type(item), False)


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=metadata,
    render_as_batch=True,
    render_item=_render,
)
with context.begin_transaction():
    context.run_migrations()
