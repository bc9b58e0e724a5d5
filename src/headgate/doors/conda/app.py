"""What conda, mamba and pixi call: plain ASGI, because a framework costs ten times the work on this path."""

import contextlib
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

import msgspec

from headgate.access.authenticate import BadCredentials
from headgate.access.decisions import Decision, decide
from headgate.access.permissions import Permission
from headgate.access.principals import Principal
from headgate.channels.catalog import Catalog
from headgate.channels.documents import CHANNEL_WIDE
from headgate.channels.gatekeeper import Gatekeeper
from headgate.channels.maps import Maps
from headgate.channels.metadata import read_metadata
from headgate.channels.model import Channel, Privacy, SubdirState
from headgate.channels.notices import read_notices
from headgate.channels.patching import PatchService
from headgate.channels.shards import ShardCache
from headgate.conda.names import Sha256, Subdir
from headgate.db.engine import Database
from headgate.db.snapshots import Snapshots
from headgate.delivery.sidecars import Sidecars
from headgate.doors.conda.artifacts import ArtifactDoor
from headgate.doors.conda.links import links_of
from headgate.doors.conda.listing import render_listing
from headgate.doors.conda.paths import SHARD_INDEX, CondaPath, parse_path
from headgate.doors.conda.visits import Visit
from headgate.doors.credentials import SignIn
from headgate.doors.http import Head, Scope, Send, Validators, header, public_url, send_bytes, send_file
from headgate.doors.pages import HTML, PAGE_HEADERS
from headgate.jobs.freshness import Freshness
from headgate.kernel.errors import NotFound, Refused
from headgate.storage.local import BlobStore

_CONTENT_TYPES = {"json": "application/json", "zst": "application/zstd", "bz2": "application/x-bzip2"}
_IMMUTABLE = "max-age=31536000, immutable"
_READING = frozenset({"GET", "HEAD"})
_NOTHING_MORE: Mapping[str, str] = MappingProxyType({})
_NO_NOTICES = b'{"notices":[]}'


@dataclass(frozen=True, slots=True)
class CondaDoor:
    """Answers requests for channels. `index_max_age_s`: how long a client may reuse an index without asking."""

    database: Database
    snapshots: Snapshots
    catalog: Catalog
    sign_in: SignIn
    maps: Maps
    shards: ShardCache
    store: BlobStore
    gatekeeper: Gatekeeper
    patches: PatchService
    freshness: Freshness
    artifacts: ArtifactDoor
    sidecars: Sidecars
    index_max_age_s: int
    public_url: str | None

    async def answer(self, scope: Scope, send: Send, visit: Visit) -> None:
        """Answer one request, and say in `visit` what it was. Raises HeadgateError for all that is not an answer."""
        if scope["method"] not in _READING:
            raise Refused("method-not-allowed", "Channels are read with GET and HEAD; upload through /api/v1.")
        path = visit.path = parse_path(scope["raw_path"])
        if not self.snapshots.is_current():
            await self.snapshots.refresh()
        if path.document == "notices.json":
            await self._send_notices(scope, send, path)
            return
        channel = await self._open(scope, path, visit)
        if path.subdir is not None:
            await self._answer_subdir(scope, send, channel, path.subdir, visit)
        elif path.is_listing:
            await self._send_listing(scope, send, channel)
        elif path.is_trust:
            body = await read_metadata(self.database, channel, path.document or "")
            await self._send_small(scope, send, channel, _CONTENT_TYPES["json"], body)
        else:
            await self._send_document(scope, send, channel, CHANNEL_WIDE, path.document or "")

    async def _answer_subdir(self, scope: Scope, send: Send, channel: Channel, subdir: Subdir, visit: Visit) -> None:
        path = visit.path
        assert path is not None
        if self.freshness.is_first(channel, subdir):
            channel = await self.freshness.first_sync(channel, subdir)
        if path.artifact is not None and path.sidecar is not None:
            await self._send_sidecar(scope, send, channel, subdir, path)
        elif path.artifact is not None:
            try:
                await self.artifacts.send(scope, send, channel, subdir, visit)
            except (NotFound, Refused) as error:
                base = public_url(scope, self.public_url)
                error.links = links_of(base, channel, f"{subdir}/{path.artifact.filename}", error)
                raise
        elif path.shard is not None:
            await self._send_shard(scope, send, channel, subdir, path.shard)
        else:
            self.freshness.notice(channel, subdir)
            await self._send_index(scope, send, channel, subdir, path.document or "")

    async def _open(self, scope: Scope, path: CondaPath, visit: Visit) -> Channel:
        principal = visit.principal = await self.sign_in.principal(scope, path.token)
        channel = self.catalog.find(path.channel)
        privacy = Privacy.PRIVATE if channel is None else channel.privacy
        decision = _decide(principal, path, privacy)
        if not decision.is_allowed:
            code = "credentials-needed" if decision.needs_credentials else "permission-denied"
            raise Refused(code, decision.reason)
        if channel is None:
            raise NotFound("channel-unknown", f"There is no channel {path.channel}.")
        return channel

    async def _send_index(self, scope: Scope, send: Send, channel: Channel, subdir: Subdir, name: str) -> None:
        if name == SHARD_INDEX:
            await self._send_shard_index(scope, send, channel, channel.subdirs[subdir])
        elif name == "patch_instructions.json":
            body = await self.patches.read(channel, subdir)
            await self._send_small(scope, send, channel, _CONTENT_TYPES["json"], body)
        else:
            await self._send_document(scope, send, channel, subdir, name)

    async def _send_shard_index(self, scope: Scope, send: Send, channel: Channel, subdir: SubdirState) -> None:
        known = self.maps.find_hot(subdir) or await self.maps.get(subdir)
        validators = Validators(known.etag, known.revised_at)
        head = Head(_CONTENT_TYPES["zst"], len(known.index), validators, self._index_cache_control(channel))
        await send_bytes(scope, send, head, known.index)

    async def _send_shard(self, scope: Scope, send: Send, channel: Channel, subdir: Subdir, digest: Sha256) -> None:
        raw, state = digest.raw, channel.subdirs.get(subdir)
        # A digest alone opens nothing: the subdir must name it, or a private channel's shards would leak.
        if state is None or not await self.maps.shows(state, raw):
            raise NotFound("shard-unknown", f"{channel.name}/{subdir} has no shard {digest}. Fetch its index again.")
        body = self.shards.find_hot(raw) or await self.shards.find(raw)
        if body is None:
            raise NotFound("shard-unknown", f"Shard {digest} was collected. Fetch the index again.")
        if self.gatekeeper.gate_of(channel) is not None and not await self.gatekeeper.may_show(
            channel, state, raw, body
        ):
            raise NotFound("shard-unknown", f"Shard {digest} is of an earlier revision. Fetch the index again.")
        head = Head(_CONTENT_TYPES["zst"], len(body), Validators(f'"{digest}"'), _shared(channel, _IMMUTABLE))
        await send_bytes(scope, send, head, body)

    async def _send_document(self, scope: Scope, send: Send, channel: Channel, subdir: str, name: str) -> None:
        document = await self.freshness.document(channel, subdir, name)
        head = Head(
            _CONTENT_TYPES[name.rpartition(".")[2]],
            document.size_bytes,
            Validators(f'"{document.sha256}"', document.created_at),
            self._index_cache_control(channel),
        )
        await send_file(scope, send, head, self.store.path(document.sha256))

    async def _send_sidecar(self, scope: Scope, send: Send, channel: Channel, subdir: Subdir, path: CondaPath) -> None:
        assert path.artifact is not None
        digest, body = await self.sidecars.find(
            channel, subdir, path.artifact, Sha256(path.sidecar) if path.sidecar else None
        )
        caching = _shared(channel, "no-cache")
        head = Head(_CONTENT_TYPES["json"], len(body), Validators(f'"{digest}"'), caching)
        await send_bytes(scope, send, head, body)

    async def _send_notices(self, scope: Scope, send: Send, path: CondaPath) -> None:
        """conda asks without credentials and wants no error: who may not read a channel hears nothing of it."""
        channel, body = self.catalog.find(path.channel), _NO_NOTICES
        if channel is not None:
            with contextlib.suppress(BadCredentials):
                principal = await self.sign_in.principal(scope, path.token)
                if _decide(principal, path, channel.privacy).is_allowed:
                    notices = await read_notices(self.database, channel)
                    body = msgspec.json.encode({"notices": notices}) if notices else _NO_NOTICES
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        caching = "public, max-age=300" if body is _NO_NOTICES or channel is None else _shared(channel, "max-age=300")
        head = Head(_CONTENT_TYPES["json"], len(body), Validators(etag), caching)
        await send_bytes(scope, send, head, body)

    async def _send_listing(self, scope: Scope, send: Send, channel: Channel) -> None:
        if "text/html" not in (header(scope, b"accept") or ""):
            raise NotFound("path-unknown", "A channel's root is a page for people; clients read its subdirs.")
        body = render_listing(channel, f"{public_url(scope, self.public_url)}/conda/{channel.name}")
        await self._send_small(scope, send, channel, HTML, body, PAGE_HEADERS)

    async def _send_small(
        self,
        scope: Scope,
        send: Send,
        channel: Channel,
        content_type: str,
        body: bytes,
        more: Mapping[str, str] = _NOTHING_MORE,
    ) -> None:
        etag = f'"{hashlib.sha256(body).hexdigest()}"'
        head = Head(content_type, len(body), Validators(etag), self._index_cache_control(channel), more)
        await send_bytes(scope, send, head, body)

    def _index_cache_control(self, channel: Channel) -> str:
        return _shared(channel, f"max-age={self.index_max_age_s}, must-revalidate")


def _decide(principal: Principal, path: CondaPath, privacy: Privacy) -> Decision:
    """Package files are downloaded, all else is read."""
    if path.artifact is None:
        return decide(principal, Permission.CHANNEL_READ, path.channel, privacy)
    return decide(principal, Permission.ARTIFACT_DOWNLOAD, path.channel, privacy, path.artifact.name)


def _shared(channel: Channel, directives: str) -> str:
    return f"{'public' if channel.privacy is Privacy.PUBLIC else 'private'}, {directives}"
