"""Making, changing, attaching and deleting policies; each change one transaction with its audit event.

What a change means for the index is published in the same transaction, or soon after by a job when it is much.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.grants import parse_channel_pattern
from headgate.audit.events import Action, record
from headgate.channels.catalog import get_channel
from headgate.channels.model import SourceKind
from headgate.channels.policies import EVERYWHERE, TOPIC, Attachment, PolicyBook, read_policies
from headgate.channels.revising import read_pending, revise_now_or_later
from headgate.channels.revisions import World
from headgate.db import tables_gate
from headgate.db.engine import Database, advance_epoch
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid, NotFound
from headgate.policy.model import Policy, parse_policy
from headgate.policy.sitting import INCIDENT


@dataclass(frozen=True, slots=True)
class PolicyState:
    """A policy as it is stored: one version of it, and where it holds."""

    policy: Policy
    version: int
    created_at: datetime
    created_by: str
    attachments: tuple[Attachment, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """What the API shows."""
        return {
            "name": self.policy.name,
            "mode": self.policy.mode,
            "version": self.version,
            "document": dict(self.policy.document),
            "created_at": self.created_at,
            "created_by": self.created_by,
            "attached_to": [one.scope for one in self.attachments],
        }


@dataclass(frozen=True, slots=True)
class Target:
    """Where to attach: everything, or one of a prefix (`team/*`), a channel, a mirror (`channel/name`)."""

    is_everywhere: bool = False
    prefix: str | None = None
    channel: str | None = None
    mirror: str | None = None


class PolicyService:
    """Writes policies and their attachments."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def apply(self, actor: str, document: Mapping[str, Any]) -> PolicyState:
        """Make a policy, or its next version; the same document again changes nothing. Raises Invalid `policy-invalid`."""
        policy = parse_policy(document)
        _require_ours(policy.name)
        async with self._database.write() as connection:
            version = await write_version(connection, actor, policy)
            if version is not None:
                action = Action.POLICY_CREATE if version == 1 else Action.POLICY_SET
                await record(
                    connection, action, actor, subject=policy.name, version=version, mode=policy.mode,
                    rules=len(policy.rules),
                )  # fmt: skip
                await took_effect(connection, f"policy {policy.name} changed")
            return await _get(connection, policy.name)

    async def delete(self, actor: str, name: str) -> None:
        """Delete a policy with its history.

        Raises NotFound `policy-unknown`, Conflict `policy-in-use` while attached, `policy-built-in`.
        """
        _require_ours(name)
        async with self._database.write() as connection:
            found = await _get(connection, name)
            if found.attachments:
                scopes = ", ".join(one.scope for one in found.attachments)
                raise Conflict("policy-in-use", f"Policy {name} is attached to {scopes}. Detach it first.")
            await connection.execute(delete(tables_gate.policy).where(tables_gate.policy.c.name == name))
            await record(connection, Action.POLICY_DELETE, actor, subject=name)
            await advance_epoch(connection, TOPIC)

    async def attach(self, actor: str, name: str, target: Target) -> PolicyState:
        """Let a policy hold somewhere. Raises NotFound `policy-unknown`, `channel-unknown` or `mirror-unknown`."""
        async with self._database.write() as connection:
            await _get(connection, name)
            values = await _resolve(connection, target)
            number = await _id_of(connection, name)
            columns = tables_gate.policy_attachment.c
            known = (columns.policy_id == number) & (columns.scope == values["scope"])
            if (await connection.execute(select(columns.id).where(known))).first() is None:
                await connection.execute(
                    tables_gate.policy_attachment.insert().values(
                        policy_id=number, created_at=clock.now(), created_by=actor, **values
                    )
                )
                await record(connection, Action.POLICY_ATTACH, actor, subject=name, scope=values["scope"])
                await took_effect(connection, f"policy {name} attached to {values['scope']}")
            return await _get(connection, name)

    async def detach(self, actor: str, name: str, scope: str) -> PolicyState:
        """Let it hold there no more. Raises NotFound `policy-unknown`, Conflict `policy-built-in`."""
        _require_ours(name)
        async with self._database.write() as connection:
            found = await _get(connection, name)
            one = next((one for one in found.attachments if one.scope == scope), None)
            if one is None:
                raise NotFound("policy-unknown", f"Policy {name} is not attached to {scope}.")
            chosen = tables_gate.policy_attachment.c.id == one.id
            await connection.execute(delete(tables_gate.policy_attachment).where(chosen))
            await record(connection, Action.POLICY_DETACH, actor, subject=name, scope=scope)
            await took_effect(connection, f"policy {name} detached from {scope}")
            return await _get(connection, name)

    async def list_policies(self) -> list[PolicyState]:
        """Every policy, by name."""
        async with self._database.read() as connection:
            columns, versions = tables_gate.policy.c, tables_gate.policy_version.c
            newest = (versions.policy_id == columns.id) & (versions.version == columns.version)
            statement = select(columns.name, tables_gate.policy_version).join(tables_gate.policy_version, newest)
            rows = (await connection.execute(statement.order_by(columns.name))).all()
            book = await read_policies(connection)
        return [_state(book.policies[row.name], row, book) for row in rows]

    async def get(self, name: str, version: int | None = None) -> PolicyState:
        """A policy, or an old version of it. Raises NotFound `policy-unknown`."""
        async with self._database.read() as connection:
            return await _get(connection, name, version)

    async def list_versions(self, name: str) -> list[PolicyState]:
        """Every version, the newest first. Raises NotFound `policy-unknown`."""
        async with self._database.read() as connection:
            book = await read_policies(connection)
            columns, versions = tables_gate.policy.c, tables_gate.policy_version.c
            statement = select(tables_gate.policy_version).join(tables_gate.policy, columns.id == versions.policy_id)
            chosen = statement.where(columns.name == name).order_by(versions.version.desc())
            rows = (await connection.execute(chosen)).all()
        if not rows:
            raise _unknown(name)
        return [_state(parse_policy(row.document), row, book) for row in rows]

    async def pending(self, world: World | None = None) -> list[str]:
        """`channel/subdir` of what is still to be judged again after a change."""
        async with self._database.read() as connection:
            return await read_pending(connection, world)


async def scope_of(connection: AsyncConnection, target: Target) -> Attachment:
    """The attachment that a target stands for, unsaved. Raises as `attach` does."""
    values = await _resolve(connection, target)
    return Attachment(0, "", values["scope"], values["channel_id"], values["source_id"], clock.now(), "")


async def _resolve(connection: AsyncConnection, target: Target) -> dict[str, Any]:
    given = [target.is_everywhere, target.prefix is not None, target.channel is not None, target.mirror is not None]
    if sum(given) != 1:
        raise Invalid("scope-unfit", "Say one place: everything, a prefix such as team/*, a channel, or a mirror.")
    nothing: dict[str, Any] = {"channel_id": None, "source_id": None}
    if target.is_everywhere:
        return {"scope": EVERYWHERE, **nothing}
    if target.prefix is not None:
        if not target.prefix.endswith("/*"):
            raise Invalid("scope-unfit", f"{target.prefix[:80]!r} is not a prefix; write it as team/*.")
        return {"scope": parse_channel_pattern(target.prefix), **nothing}
    if target.channel is not None:
        channel = await get_channel(connection, target.channel)
        return {"scope": channel.name, "channel_id": channel.id, "source_id": None}
    name, _, mirror = (target.mirror or "").rpartition("/")
    channel = await get_channel(connection, name)
    for source in channel.sources:
        if source.kind is SourceKind.UPSTREAM and source.name == mirror:
            return {"scope": f"mirror {channel.name}/{mirror}", "channel_id": channel.id, "source_id": source.id}
    raise NotFound("mirror-unknown", f"Channel {name} has no mirror {mirror}.")


def _require_ours(name: str) -> None:
    if name == INCIDENT:
        raise Conflict(
            "policy-built-in", f"Policy {INCIDENT} is made of the incidents that are open: declare or lift one."
        )


async def write_version(connection: AsyncConnection, actor: str, policy: Policy) -> int | None:
    """Keep a policy, or its next version, in the open transaction; its number, None when there is nothing new in it."""
    found = await _find(connection, policy.name)
    if found is not None and found.policy.document == policy.document:
        return None
    if found is None:
        await _insert(connection, policy.name)
    version = 1 if found is None else found.version + 1
    await _add_version(connection, actor, policy, version)
    return version


async def hold_everywhere(connection: AsyncConnection, actor: str, name: str) -> None:
    """Attach a policy to everything, in the open transaction, unless it is."""
    number = await _id_of(connection, name)
    columns = tables_gate.policy_attachment.c
    known = select(columns.id).where(columns.policy_id == number, columns.scope == EVERYWHERE)
    if (await connection.execute(known)).first() is None:
        values = await _resolve(connection, Target(is_everywhere=True))
        await connection.execute(
            tables_gate.policy_attachment.insert().values(
                policy_id=number, created_at=clock.now(), created_by=actor, **values
            )
        )


async def took_effect(connection: AsyncConnection, cause: str) -> None:
    """Tell every process of a change of policies, and judge again what that is not too much work for."""
    await advance_epoch(connection, TOPIC)
    await revise_now_or_later(connection, cause)


async def _insert(connection: AsyncConnection, name: str) -> None:
    await connection.execute(tables_gate.policy.insert().values(name=name, version=0, created_at=clock.now()))


async def _add_version(connection: AsyncConnection, actor: str, policy: Policy, version: int) -> None:
    number = await _id_of(connection, policy.name)
    await connection.execute(
        tables_gate.policy_version.insert().values(
            policy_id=number, version=version, document=dict(policy.document), created_at=clock.now(), created_by=actor
        )
    )
    chosen = tables_gate.policy.c.id == number
    await connection.execute(update(tables_gate.policy).where(chosen).values(version=version))


async def _id_of(connection: AsyncConnection, name: str) -> int:
    columns = tables_gate.policy.c
    number: int = (await connection.execute(select(columns.id).where(columns.name == name))).scalar_one()
    return number


async def _find(connection: AsyncConnection, name: str, version: int | None = None) -> PolicyState | None:
    columns, versions = tables_gate.policy.c, tables_gate.policy_version.c
    statement = select(tables_gate.policy_version).join(tables_gate.policy, columns.id == versions.policy_id)
    statement = statement.where(
        columns.name == name, versions.version == (columns.version if version is None else version)
    )
    row = (await connection.execute(statement)).one_or_none()
    if row is None:
        return None
    book = await read_policies(connection)
    policy = book.policies[name] if version is None else parse_policy(row.document)
    return _state(policy, row, book)


def _state(policy: Policy, row: Any, book: PolicyBook) -> PolicyState:
    attachments = tuple(one for one in book.attachments if one.policy == policy.name)
    return PolicyState(policy, row.version, row.created_at, row.created_by, attachments)


async def _get(connection: AsyncConnection, name: str, version: int | None = None) -> PolicyState:
    found = await _find(connection, name, version)
    if found is None:
        raise _unknown(name, version)
    return found


def _unknown(name: str, version: int | None = None) -> NotFound:
    return NotFound("policy-unknown", f"There is no policy {name[:80]}{f' of version {version}' if version else ''}.")
