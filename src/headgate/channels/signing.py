"""Keys of our own, that sign what channels publish (conda content trust).

    root --names--> key manager --names--> the key that signs records

One set for the server. Every private key is sealed in the database; the root's may be kept elsewhere instead, and then a new
root waits, `pending`, until it comes back signed:

    (none) --init--> active <--put_root-- pending
                       |                     ^
                       +---rotate (held)--> active, (not held)--+
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from sqlalchemy import delete, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.audit.events import Action, record
from headgate.channels.catalog import read_channels
from headgate.channels.outdating import outdate_documents
from headgate.conda.content_trust import (
    KEY_MGR,
    PKG_MGR,
    ROOT,
    Delegation,
    Metadata,
    advance_root,
    canonical,
    describe,
    envelop,
    parse_root,
    public_of,
)
from headgate.db import tables_signatures
from headgate.db.engine import Database
from headgate.db.sealing import Sealer
from headgate.kernel import clock
from headgate.kernel.errors import Conflict, Invalid

PURPOSE = "signing"
USUAL_DAYS = 1825
_HEX_DIGITS = 64
_ACTIVE, _PENDING = "active", "pending"

_keys, _documents = tables_signatures.signing_key, tables_signatures.signing_document


class Role(StrEnum):
    """What a key is for. Stored."""

    ROOT = ROOT
    KEY_MANAGER = KEY_MGR
    PACKAGES = PKG_MGR


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A key of ours; `is_held`: its private half is here, sealed."""

    role: Role
    public: str
    is_held: bool
    created_at: datetime
    created_by: str


@dataclass(frozen=True, slots=True)
class Signing:
    """How our own signing stands: keys that count, metadata in force, and a root that waits to be signed."""

    keys: tuple[SigningKey, ...] = ()
    root: Metadata | None = None
    key_manager: Metadata | None = None
    pending_root: bytes | None = None

    @property
    def ends_by_kind(self) -> dict[str, float]:
        """Until when the metadata in force hold, as Unix time."""
        return {one.kind: one.expires_at.timestamp() for one in (self.root, self.key_manager) if one is not None}


class SigningService:
    """Makes keys and metadata, and replaces them."""

    def __init__(self, database: Database, secret: bytes) -> None:
        self._database = database
        self._sealer = Sealer(secret, PURPOSE)

    async def read(self) -> Signing:
        """How it stands."""
        async with self._database.read() as connection:
            return await self._read(connection)

    async def init(self, actor: str, *, root_key: str | None = None, days: int = USUAL_DAYS) -> Signing:
        """Make the keys; `root_key`: the public half of a root that is kept elsewhere.

        Raises Conflict `signing-exists`, Invalid `signing-key-invalid`.
        """
        async with self._database.write() as connection:
            if (await self._read(connection)).root is not None:
                raise Conflict("signing-exists", "This server has signing keys already; rotate them instead.")
            await _discard_pending(connection)
            draft = _Draft(days)
            for role in Role:
                kept = root_key if role is Role.ROOT else None
                draft.public[role] = await self._new_key(connection, actor, role, kept)
            await self._issue(connection, draft, Signing(), {ROOT, KEY_MGR})
            await record(connection, Action.SIGNING_INIT, actor, subject=draft.public[Role.ROOT])
            return await self._read(connection)

    async def rotate(self, actor: str, role: Role, *, root_key: str | None = None, days: int = USUAL_DAYS) -> Signing:
        """Replace one key; of a root, `root_key` may be the public half of one that is kept elsewhere.

        Raises Conflict `signing-missing`, Invalid `signing-key-invalid`.
        """
        async with self._database.write() as connection:
            await _discard_pending(connection)
            now = await self._read(connection)
            require_signing(now)
            draft = _Draft(days)
            draft.public = {Role(one.role): one.public for one in now.keys}
            draft.public[role] = await self._new_key(connection, actor, role, root_key if role is Role.ROOT else None)
            kinds = {Role.ROOT: {ROOT}, Role.KEY_MANAGER: {ROOT, KEY_MGR}, Role.PACKAGES: {KEY_MGR}}[role]
            await self._issue(connection, draft, now, kinds)
            await record(connection, Action.SIGNING_ROTATE, actor, subject=role, key=draft.public[role])
            return await self._read(connection)

    async def put_root(self, actor: str, body: bytes) -> Signing:
        """Take the pending root back, signed. Raises Conflict `signing-no-pending`, Invalid `content-trust-invalid`."""
        async with self._database.write() as connection:
            now = await self._read(connection)
            if now.pending_root is None:
                raise Conflict("signing-no-pending", "No root waits to be signed.")
            merged = _merged(now.pending_root, body)
            found = parse_root(merged) if now.root is None else advance_root(now.root, merged)
            chosen = (_documents.c.kind == ROOT, _documents.c.version == found.version)
            await connection.execute(update(_documents).where(*chosen).values(body=merged))
            await _activate(connection)
            await record(connection, Action.SIGNING_ROTATE, actor, subject=ROOT, version=found.version)
            return await self._read(connection)

    async def signer(self, connection: AsyncConnection) -> Ed25519PrivateKey | None:
        """The key that signs records; None while there is none. Raises Unavailable `secret-unreadable`."""
        manager = await _newest(connection, KEY_MGR)
        if manager is None:
            return None
        return await self._private(connection, manager.delegation(PKG_MGR).pubkeys)

    async def _private(self, connection: AsyncConnection, allowed: Collection[str]) -> Ed25519PrivateKey | None:
        statement = select(_keys.c.sealed).where(_keys.c.public.in_(list(allowed)), _keys.c.sealed.is_not(None))
        sealed = (await connection.execute(statement)).scalars().first()
        return (
            None if sealed is None else Ed25519PrivateKey.from_private_bytes(bytes.fromhex(self._sealer.unseal(sealed)))
        )

    async def _new_key(self, connection: AsyncConnection, actor: str, role: Role, kept_elsewhere: str | None) -> str:
        key = Ed25519PrivateKey.generate()
        public = public_of(key) if kept_elsewhere is None else _public(kept_elsewhere)
        sealed = self._sealer.seal(key.private_bytes_raw().hex()) if kept_elsewhere is None else None
        known = (await connection.execute(select(_keys.c.id).where(_keys.c.public == public))).first()
        if known is not None:
            raise Conflict("signing-key-used", "This key has been used here before; make another one.")
        values = {"role": role, "public": public, "sealed": sealed, "created_at": clock.now(), "created_by": actor}
        await connection.execute(_keys.insert().values(values))
        return public

    async def _issue(self, connection: AsyncConnection, draft: "_Draft", now: Signing, kinds: Collection[str]) -> None:
        """Write the next metadata of these kinds; what needs a signature that is not to be had here is pending."""
        is_complete = True
        for kind, old in ((ROOT, now.root), (KEY_MGR, now.key_manager)):
            if kind not in kinds:
                continue
            version = 1 if old is None else old.version + 1
            signed = draft.metadata(kind, version)
            wanted = {draft.public[Role(kind)]}
            if kind == ROOT and old is not None:
                wanted |= set(old.delegation(ROOT).pubkeys)
            held = [key for public in sorted(wanted) if (key := await self._private(connection, [public]))]
            is_complete &= len(held) == len(wanted)
            await connection.execute(
                _documents.insert().values(
                    kind=kind, version=version, state=_PENDING, body=envelop(signed, held), created_at=clock.now()
                )
            )
        if is_complete:
            await _activate(connection)

    async def _read(self, connection: AsyncConnection) -> Signing:
        pending = select(_documents.c.body).where(_documents.c.kind == ROOT, _documents.c.state == _PENDING)
        root, manager = await _newest(connection, ROOT), await _newest(connection, KEY_MGR)
        counting = {
            key
            for one in (root, manager)
            if one is not None
            for some in one.delegations.values()
            for key in some.pubkeys
        }
        rows = (
            await connection.execute(select(_keys).where(_keys.c.public.in_(sorted(counting))).order_by(_keys.c.id))
        ).all()
        keys = (
            SigningKey(Role(row.role), row.public, row.sealed is not None, row.created_at, row.created_by)
            for row in rows
        )
        return Signing(tuple(keys), root, manager, (await connection.execute(pending)).scalar_one_or_none())


class _Draft:
    """The keys that new metadata name."""

    def __init__(self, days: int) -> None:
        if not 1 <= days <= 36_500:
            raise Invalid("signing-days-invalid", "Metadata hold from 1 to 36500 days.")
        self.public: dict[Role, str] = {}
        self._days = days

    def metadata(self, kind: str, version: int) -> dict[str, Any]:
        """What is to be signed."""
        roles = (Role.ROOT, Role.KEY_MANAGER) if kind == ROOT else (Role.PACKAGES,)
        now = clock.now()
        named = {str(role): Delegation((self.public[role],), 1) for role in roles}
        return describe(kind, version, now, now + timedelta(days=self._days), named)


def require_signing(signing: Signing) -> None:
    """Raises Conflict `signing-missing`."""
    if signing.root is None:
        raise Conflict("signing-missing", "This server has no signing keys yet. Make them: headgate signing init.")


async def require_keys(connection: AsyncConnection) -> None:
    """The same in the open transaction."""
    if await _newest(connection, KEY_MGR) is None:
        require_signing(Signing())


async def find_document(connection: AsyncConnection, name: str) -> bytes | None:
    """Metadata in force by the name that clients use: root.json (the newest), 2.root.json, key_mgr.json."""
    kind, version = parse_metadata_name(name)
    statement = select(_documents.c.body).where(_documents.c.kind == kind, _documents.c.state == _ACTIVE)
    if version is not None:
        statement = statement.where(_documents.c.version == version)
    return (await connection.execute(statement.order_by(_documents.c.version.desc()))).scalars().first()


def parse_metadata_name(name: str) -> tuple[str, int | None]:
    """Kind and version (None: the newest) that a file name means."""
    if name == "key_mgr.json":
        return KEY_MGR, None
    number = name.removesuffix("root.json").removesuffix(".")
    return ROOT, int(number) if number else None


async def _newest(connection: AsyncConnection, kind: str) -> Metadata | None:
    statement = select(_documents.c.body).where(_documents.c.kind == kind, _documents.c.state == _ACTIVE)
    body = (await connection.execute(statement.order_by(_documents.c.version.desc()))).scalars().first()
    return None if body is None else Metadata.parse(body, kind)


async def _discard_pending(connection: AsyncConnection) -> None:
    await connection.execute(delete(_documents).where(_documents.c.state == _PENDING))


async def _activate(connection: AsyncConnection) -> None:
    """Put what is pending in force; private keys that nothing names any more are destroyed, and channels signed anew."""
    await connection.execute(update(_documents).where(_documents.c.state == _PENDING).values(state=_ACTIVE))
    named: set[str] = set()
    for kind in (ROOT, KEY_MGR):
        metadata = await _newest(connection, kind)
        assert metadata is not None
        named |= {key for some in metadata.delegations.values() for key in some.pubkeys}
    gone = update(_keys).where(_keys.c.public.not_in(sorted(named)), _keys.c.retired_at.is_(None))
    await connection.execute(gone.values(retired_at=clock.now(), sealed=None))
    for channel in await read_channels(connection):
        if channel.settings.is_signing:
            await outdate_documents(connection, channel.id)


def _merged(pending: bytes, given: bytes) -> bytes:
    """The pending root with more signatures. Raises Invalid `content-trust-invalid` when another one was signed."""
    ours, theirs = Metadata.parse(pending, ROOT), Metadata.parse(given, ROOT)
    if canonical(ours.signed) != canonical(theirs.signed):
        raise Invalid("content-trust-invalid", "This is not the root that waits to be signed.")
    signatures: Mapping[str, Any] = {**theirs.signatures, **ours.signatures}
    return canonical({"signatures": msgspec.to_builtins(signatures), "signed": ours.signed}) + b"\n"


def _public(text: str) -> str:
    digits = text.strip().rpartition(" ")[2].lower()
    if len(digits) != _HEX_DIGITS or not set(digits) <= set("0123456789abcdef"):
        raise Invalid("signing-key-invalid", "The public key of a root is 64 hexadecimal digits.")
    return digits
