"""Saved views: a filter of a page, kept by somebody under a name, for themselves or for everybody."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Any

from sqlalchemy import Select, delete, func, or_, select
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.permissions import Permission
from headgate.audit.events import Action, record
from headgate.db.engine import Database, insert
from headgate.db.tables import user
from headgate.db.tables_sign_in import saved_view
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound, Refused

LONGEST_NAME = 80
LONGEST_QUERY = 400
MOST = 100


class Place(StrEnum):
    """A page that has views. Stored: these words never change."""

    SEARCH = "search"
    ADVISORIES = "advisories"
    AUDIT = "audit"
    DOWNLOADS = "downloads"


NEEDED: Mapping[Place, Permission | None] = {
    Place.SEARCH: None,
    Place.ADVISORIES: Permission.ADVISORY_READ,
    Place.AUDIT: Permission.AUDIT_READ,
    Place.DOWNLOADS: Permission.AUDIT_READ,
}
"""What one must be allowed, on the server, to see a page and so its views."""


@dataclass(frozen=True, slots=True)
class View:
    """One view; `query` is what is typed into the page's filter."""

    id: int
    place: Place
    name: str
    query: str
    owner: str
    is_shared: bool
    created_at: datetime


@dataclass(frozen=True, slots=True)
class ViewWish:
    """What a view is to be."""

    place: Place
    name: str
    query: str
    is_shared: bool = False


class ViewService:
    """Saves, lists and removes views. Who may share them, and see which page, the doors ask."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def list_views(self, owner_id: int, places: Collection[Place]) -> Sequence[View]:
        """Those of a user, and those that others share, of some pages; by page and name."""
        columns = saved_view.c
        is_seen = or_(columns.user_id == owner_id, columns.is_shared.is_(True))
        statement = _views().where(is_seen, columns.place.in_([str(one) for one in places]))
        async with self._database.read() as connection:
            rows = await connection.execute(statement.order_by(columns.place, columns.name, columns.id))
            return [_view(row) for row in rows]

    async def save(self, actor: str, owner_id: int, wish: ViewWish) -> View:
        """Keep a view; the owner's of that name on that page becomes this one.

        Raises Invalid `view-invalid`, Conflict `views-too-many`.
        """
        wish = _checked(wish)
        async with self._database.write() as connection:
            statement = insert(connection, saved_view).values(
                user_id=owner_id, place=str(wish.place), name=wish.name, query=wish.query, is_shared=wish.is_shared,
                created_at=clock.now(),
            )  # fmt: skip
            new = statement.excluded
            changes = {"query": new.query, "is_shared": new.is_shared, "created_at": new.created_at}
            await connection.execute(
                statement.on_conflict_do_update(index_elements=["user_id", "place", "name"], set_=changes)
            )
            columns = saved_view.c
            mine = select(func.count()).where(columns.user_id == owner_id)
            if (await connection.execute(mine)).scalar_one() > MOST:
                raise Conflict("views-too-many", f"You have {MOST} saved views already; remove one first.")
            detail: dict[str, Any] = {"place": str(wish.place), "query": wish.query, "is_shared": wish.is_shared}
            await record(connection, Action.VIEW_SAVE, actor, subject=wish.name, **detail)
            saved = _views().where(
                columns.user_id == owner_id, columns.place == str(wish.place), columns.name == wish.name
            )
            return _view((await connection.execute(saved)).one())

    async def remove(self, actor: str, owner_id: int, number: int, *, may_manage_shared: bool = False) -> View:
        """Remove one's own view, or with that permission one that somebody shares.

        Raises NotFound `view-unknown`, also for what one may not see; Refused `permission-denied`.
        """
        async with self._database.write() as connection:
            view, is_own = await _get(connection, owner_id, number)
            if not is_own and not may_manage_shared:
                said = f"{view.owner} shares the view {view.name}; they can remove it, or whoever may do view:share."
                raise Refused("permission-denied", said)
            await connection.execute(delete(saved_view).where(saved_view.c.id == number))
            detail: dict[str, Any] = {
                "place": str(view.place),
                "query": view.query,
                "is_shared": view.is_shared,
                "owner": view.owner,
            }
            await record(connection, Action.VIEW_REMOVE, actor, subject=view.name, **detail)
        return view


def _views() -> Select[tuple[int, str, str, str, str, bool, datetime]]:
    columns = saved_view.c
    return select(
        columns.id, columns.place, columns.name, columns.query, user.c.name, columns.is_shared, columns.created_at
    ).join(user, user.c.id == columns.user_id)


def _view(row: Sequence[Any]) -> View:
    return View(row[0], Place(row[1]), *row[2:7])


async def _get(connection: AsyncConnection, owner_id: int, number: int) -> tuple[View, bool]:
    columns = saved_view.c
    statement = _views().add_columns(columns.user_id).where(columns.id == number)
    row = (await connection.execute(statement)).first()
    if row is None or (row[-1] != owner_id and not row.is_shared):
        raise NotFound("view-unknown", f"There is no saved view {number}.")
    return _view(row), row[-1] == owner_id


def _checked(wish: ViewWish) -> ViewWish:
    name, query = " ".join(wish.name.split()), wish.query.strip()
    if not 0 < len(name) <= LONGEST_NAME or not name.isprintable():
        raise Invalid("view-invalid", f"Give the view a name of at most {LONGEST_NAME} letters.")
    if not 0 < len(query) <= LONGEST_QUERY or not query.isprintable():
        raise Invalid(
            "view-invalid", f"A view keeps a filter of at most {LONGEST_QUERY} letters; this one has none to keep."
        )
    return ViewWish(wish.place, name, query, wish.is_shared)
