"""What people say of the packages of a channel: what is deprecated, notes, and who owns what.

A deprecation is a sentence for users, in `notices.json` and on the pages. When it is avoided besides, its records track a
feature, and solvers choose another version if there is any.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.granting import give, require_principal, take_back
from headgate.access.grants import PrincipalKind, Scope
from headgate.audit.events import Action, record
from headgate.channels.catalog import get_channel
from headgate.channels.model import Channel
from headgate.channels.revisions import publish, read_world
from headgate.conda.names import ChannelName, PackageName
from headgate.conda.specs import parse_spec
from headgate.db.engine import Database, insert
from headgate.db.tables_life import deprecation, package_note, package_owner
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound

OWNER_ROLE = "package-owner"


@dataclass(frozen=True, slots=True)
class Deprecation:
    """Versions (a match spec) that are not to be used any more, and why."""

    spec: str
    reason: str
    is_avoided: bool
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Owner:
    """Somebody whose package it is; `may_publish`: a grant lets them upload, yank and delete it."""

    kind: PrincipalKind
    principal: str
    may_publish: bool


@dataclass(slots=True)
class PackageWords:
    """All that is said of one package."""

    package: str
    note: str = ""
    deprecations: list[Deprecation] = field(default_factory=list)
    owners: list[Owner] = field(default_factory=list)


class PackageService:
    """Writes what is said of packages."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def deprecate(
        self, actor: str, name: ChannelName, spec: str, reason: str, *, is_avoided: bool
    ) -> PackageWords:
        """Deprecate what a spec (`demo`, `demo <2`) matches in a channel.

        Raises NotFound `channel-unknown`, Invalid `match-spec-invalid` or `reason-missing`, Conflict `deprecation-exists`.
        """
        package = package_in(spec)
        if not reason.strip():
            raise Invalid("reason-missing", "Say why, and what to use instead: users will read it.")
        try:
            async with self._database.write() as connection:
                channel = await get_channel(connection, name)
                await connection.execute(
                    deprecation.insert().values(
                        channel_id=channel.id, package=package, spec=spec, reason=reason, is_avoided=is_avoided,
                        created_at=clock.now(), created_by=actor,
                    )
                )  # fmt: skip
                detail = {"reason": reason, "is_avoided": is_avoided}
                await record(connection, Action.PACKAGE_DEPRECATE, actor, channel=name, subject=spec, **detail)
                if is_avoided:
                    await _publish(connection, channel, package, f"{spec} deprecated")
                return await _words(connection, channel, package)
        except IntegrityError as error:
            raise Conflict("deprecation-exists", f"{spec} is deprecated in {name} already.") from error

    async def undeprecate(self, actor: str, name: ChannelName, spec: str) -> PackageWords:
        """Take a deprecation back. Raises NotFound `channel-unknown` or `deprecation-unknown`."""
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            columns = deprecation.c
            chosen = (columns.channel_id == channel.id) & (columns.spec == spec)
            row = (await connection.execute(select(deprecation).where(chosen))).one_or_none()
            if row is None:
                raise NotFound("deprecation-unknown", f"{spec[:200]} is not deprecated in {name}.")
            await connection.execute(delete(deprecation).where(chosen))
            await record(connection, Action.PACKAGE_UNDEPRECATE, actor, channel=name, subject=spec)
            if row.is_avoided:
                await _publish(connection, channel, row.package, f"{spec} no longer deprecated")
            return await _words(connection, channel, row.package)

    async def annotate(self, actor: str, name: ChannelName, package: PackageName, text: str) -> PackageWords:
        """Put a note on a package; an empty one removes it. Raises NotFound `channel-unknown`."""
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            key = {"channel_id": channel.id, "package": package}
            values = {"text": text, "created_at": clock.now(), "created_by": actor}
            if text:
                statement = insert(connection, package_note).values(**key, **values)
                await connection.execute(statement.on_conflict_do_update(index_elements=list(key), set_=values))
            else:
                await connection.execute(delete(package_note).filter_by(**key))
            await record(connection, Action.PACKAGE_ANNOTATE, actor, channel=name, subject=package, text=text)
            return await _words(connection, channel, package)

    async def add_owner(self, actor: str, name: ChannelName, package: PackageName, owner: Owner) -> PackageWords:
        """Say that somebody owns a package, or change whether they may publish it.

        Raises NotFound `channel-unknown`, `user-unknown` or `group-unknown`.
        """
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            await require_principal(connection, owner.kind, owner.principal)
            await self._forget(connection, actor, channel, package, owner)
            grant = None
            if owner.may_publish:
                scope = Scope(name, package)
                grant = await give(connection, actor, owner.kind, owner.principal, OWNER_ROLE, scope)
            values = _key(channel, package, owner) | {"grant_id": grant, "created_at": clock.now(), "created_by": actor}
            await connection.execute(package_owner.insert().values(values))
            detail = {"owner": f"{owner.kind} {owner.principal}", "may_publish": owner.may_publish}
            await record(connection, Action.PACKAGE_ADD_OWNER, actor, channel=name, subject=package, **detail)
            return await _words(connection, channel, package)

    async def remove_owner(
        self, actor: str, name: ChannelName, package: PackageName, kind: PrincipalKind, principal: str
    ) -> PackageWords:
        """Somebody owns it no longer; the grant that came with it goes. Raises NotFound `channel-unknown`, `owner-unknown`."""
        async with self._database.write() as connection:
            channel = await get_channel(connection, name)
            owner = Owner(kind, principal, may_publish=False)
            if not await self._forget(connection, actor, channel, package, owner):
                raise NotFound("owner-unknown", f"{kind} {principal} does not own {package} in {name}.")
            detail = {"owner": f"{kind} {principal}"}
            await record(connection, Action.PACKAGE_REMOVE_OWNER, actor, channel=name, subject=package, **detail)
            return await _words(connection, channel, package)

    async def get(self, channel: Channel, package: PackageName) -> PackageWords:
        """All that is said of a package; nothing, for one that nobody spoke of."""
        async with self._database.read() as connection:
            return await _words(connection, channel, package)

    async def list_words(self, channel: Channel) -> list[PackageWords]:
        """Every package of a channel that something is said of, by name."""
        async with self._database.read() as connection:
            return await _all_words(connection, channel)

    async def _forget(
        self, connection: AsyncConnection, actor: str, channel: Channel, package: PackageName, owner: Owner
    ) -> bool:
        statement = select(package_owner).filter_by(**_key(channel, package, owner))
        row = (await connection.execute(statement)).one_or_none()
        if row is None:
            return False
        if row.grant_id is not None:
            await take_back(connection, actor, row.grant_id)
        await connection.execute(delete(package_owner).filter_by(**_key(channel, package, owner)))
        return True


def package_in(spec: str) -> PackageName:
    """The one package that a match spec names. Raises Invalid `match-spec-invalid`."""
    name = parse_spec(spec).name
    if "::" in spec:
        raise Invalid("match-spec-invalid", f"{spec[:200]!r} names a channel; it is about this one.")
    return PackageName.parse(name.normalized)


async def read_deprecations(connection: AsyncConnection, channel_id: int, limit: int) -> Sequence[Deprecation]:
    """The newest first."""
    columns = deprecation.c
    statement = select(deprecation).where(columns.channel_id == channel_id)
    rows = await connection.execute(statement.order_by(columns.created_at.desc(), columns.id.desc()).limit(limit))
    return [_deprecation(row) for row in rows]


async def _publish(connection: AsyncConnection, channel: Channel, package: str, cause: str) -> None:
    world = await read_world(connection)
    for subdir in sorted(channel.subdirs):
        await publish(connection, channel.id, subdir, {package}, cause, world=world)


async def _words(connection: AsyncConnection, channel: Channel, package: str) -> PackageWords:
    found = await _all_words(connection, channel, package)
    return found[0] if found else PackageWords(package)


async def _all_words(connection: AsyncConnection, channel: Channel, package: str | None = None) -> list[PackageWords]:
    found: dict[str, PackageWords] = {}

    async def rows(table: Any, *order: Any) -> Any:
        chosen = table.c.channel_id == channel.id
        if package is not None:
            chosen &= table.c.package == package
        return await connection.execute(select(table).where(chosen).order_by(*order))

    for row in await rows(package_note):
        found.setdefault(row.package, PackageWords(row.package)).note = row.text
    for row in await rows(deprecation, deprecation.c.spec):
        found.setdefault(row.package, PackageWords(row.package)).deprecations.append(_deprecation(row))
    for row in await rows(package_owner, package_owner.c.kind, package_owner.c.principal):
        owner = Owner(PrincipalKind(row.kind), row.principal, row.grant_id is not None)
        found.setdefault(row.package, PackageWords(row.package)).owners.append(owner)
    return [found[name] for name in sorted(found)]


def _deprecation(row: Any) -> Deprecation:
    return Deprecation(row.spec, row.reason, row.is_avoided, row.created_at, row.created_by)


def _key(channel: Channel, package: PackageName, owner: Owner) -> dict[str, Any]:
    return {"channel_id": channel.id, "package": package, "kind": owner.kind, "principal": owner.principal}
