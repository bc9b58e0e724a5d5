"""Patch instructions of a channel: what was in force when, edited in place or brought by a package, each looked at before."""

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.channels.model import Channel
from headgate.channels.patching import NOTHING, PatchEdit, RecordChange
from headgate.conda.names import Subdir
from headgate.doors.web.channel import frame
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Sent, Viewer, anyone, change, large_change, upload
from headgate.intake.patch_packages import receive_patch_package
from headgate.kernel.errors import HeadgateError, Invalid, NotFound, Refused

_AT_ONCE = 20
_MOST_SHOWN = 200
_MOST_EDITED_BYTES = 512 << 10
_LONGEST_COMMENT = 2_000
_EMPTY = b"""{
  "patch_instructions_version": 1,
  "packages": {},
  "packages.conda": {},
  "revoke": [],
  "remove": []
}"""
_UNSEEN = "Nothing was changed: this is not what you looked at. Below stands what it would change now."


@dataclass(frozen=True, slots=True)
class Difference:
    """A field of a record that becomes another: what goes, and what comes."""

    name: str
    gone: Sequence[str]
    come: Sequence[str]


@dataclass(frozen=True, slots=True)
class Look:
    """What instructions would change; `seen` stands for them and for those that they replace."""

    documents: Mapping[Subdir, bytes]
    changes: Sequence[RecordChange]
    seen: str
    origin: str | None = None
    skipped: Sequence[str] = field(default=())

    @property
    def shown(self) -> list[tuple[RecordChange, list[Difference]]]:
        """The first records, field by field."""
        return [(one, [_differ(*pair) for pair in one.fields.items()]) for one in self.changes[:_MOST_SHOWN]]


@anyone
async def show_patches(viewer: Viewer) -> Response:
    """Every state of the instructions, the newest first."""
    return await _list(viewer, viewer.channel())


@change
async def undo_patch(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Put in force what was before an edit; that is an edit, too."""
    channel = viewer.channel(Permission.CHANNEL_MANAGE)
    number = _number(form.get("id", ""))
    if number is None:
        raise NotFound("patch-unknown", f"Channel {channel.name} has no such patch edit.")
    undone = await viewer.services.core.life.patches.undo(viewer.actor, channel.name, number, _comment(form))
    return await _done(viewer, channel, f"Edit {number} is undone in {', '.join(undone)}.")


@anyone
async def show_subdir(viewer: Viewer) -> Response:
    """The instructions in force for one platform; who manages the channel edits them here."""
    channel, subdir = _place(viewer, Permission.CHANNEL_READ)
    return await _editor(viewer, channel, subdir)


@large_change
async def preview(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """What they would change, record by record."""
    channel, subdir = _place(viewer, Permission.CHANNEL_MANAGE)
    try:
        look = await _look(viewer, channel, {subdir: _document(form)})
    except HeadgateError as error:
        return await _editor(viewer, channel, subdir, form, wrong=error.message)
    return await _editor(viewer, channel, subdir, form, look)


@large_change
async def apply(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Put them in force, if they are what was looked at."""
    channel, subdir = _place(viewer, Permission.CHANNEL_MANAGE)
    try:
        look = await _look(viewer, channel, {subdir: _document(form)})
        if form.get("seen") != look.seen:
            return await _editor(viewer, channel, subdir, form, look, _UNSEEN)
        await _put(viewer, channel, look, _comment(form))
    except Refused:
        raise
    except HeadgateError as error:
        return await _editor(viewer, channel, subdir, form, wrong=error.message)
    return await _done(viewer, channel, f"The patch of {subdir} is in force.")


@upload
async def preview_package(viewer: Viewer, sent: Sent) -> Response:
    """What the instructions of a package would change; nothing of it is kept."""
    channel = viewer.channel(Permission.CHANNEL_MANAGE)
    try:
        look = await _bring(viewer, channel, sent)
    except HeadgateError as error:
        return await _list(viewer, channel, sent.fields, wrong=error.message)
    return await _list(viewer, channel, sent.fields, look)


@upload
async def apply_package(viewer: Viewer, sent: Sent) -> Response:
    """Put the instructions of a package in force, if they are what was looked at."""
    channel = viewer.channel(Permission.CHANNEL_MANAGE)
    try:
        look = await _bring(viewer, channel, sent)
        if sent.fields.get("seen") != look.seen:
            return await _list(viewer, channel, sent.fields, look, _UNSEEN)
        await _put(viewer, channel, look, _comment(sent.fields))
    except HeadgateError as error:
        return await _list(viewer, channel, sent.fields, wrong=error.message)
    return await _done(viewer, channel, f"The patches of {look.origin} are in force.")


async def _look(viewer: Viewer, channel: Channel, documents: Mapping[Subdir, bytes], origin: str | None = None) -> Look:
    wanted = {subdir: one for subdir, one in sorted(documents.items()) if subdir in channel.subdirs}
    patches = viewer.services.core.life.patches
    digest = hashlib.sha256()
    for subdir, document in wanted.items():
        for part in (subdir.encode(), await patches.read(channel, subdir), document):
            digest.update(hashlib.sha256(part).digest())
    changes = await patches.preview(channel, wanted)
    return Look(wanted, changes, digest.hexdigest(), origin, sorted(documents.keys() - wanted.keys()))


async def _bring(viewer: Viewer, channel: Channel, sent: Sent) -> Look:
    """The instructions of the package that is being sent. Raises Invalid `form-invalid`, `patch-package-empty`, `artifact-…`."""
    look: Look | None = None
    async for file in sent.files:
        if look is not None:
            raise Invalid("form-invalid", "One package at a time: later ones would replace what earlier ones bring.")
        name = file.filename or ""
        documents = await receive_patch_package(viewer.services.core.store, name, file.body)
        look = await _look(viewer, channel, documents, name)
        if not look.documents:
            raise Invalid("patch-package-empty", f"{name} patches no subdir that {channel.name} has.")
    if look is None:
        raise Invalid("form-invalid", "Choose the package file first.")
    return look


async def _put(viewer: Viewer, channel: Channel, look: Look, comment: str) -> None:
    patches = viewer.services.core.life.patches
    await patches.apply(viewer.actor, channel.name, look.documents, origin=look.origin, comment=comment)


async def _done(viewer: Viewer, channel: Channel, said: str) -> Response:
    """On to the list, where the newest edit can be taken back."""
    await viewer.services.snapshots.reload()
    newest = await viewer.services.core.life.patches.history(channel, before=None, limit=1)
    here = f"/channels/{channel.name}/patches"
    return viewer.go(here, said, Undo(f"{here}/undo", {"id": str(newest[0].id)}) if newest else None)


async def _list(
    viewer: Viewer,
    channel: Channel,
    form: Mapping[str, str] | None = None,
    look: Look | None = None,
    wrong: str | None = None,
) -> Response:
    before = _number(viewer.request.query_params.get("before", ""))
    found = await viewer.services.core.life.patches.history(channel, before=before, limit=_AT_ONCE + 1)
    edits = found[:_AT_ONCE]
    newest = {edit.subdir: edit.id for edit in reversed(edits)} if before is None else {}
    together = {edit.id: [one for one in edits if _are_together(edit, one)] for edit in edits}
    undoable = [number for number, some in together.items() if all(newest.get(one.subdir) == one.id for one in some)]
    return viewer.page(
        "patches.html",
        _status(viewer, look, wrong),
        part="patch_preview.html",
        **_frame(viewer, channel),
        edits=edits,
        undoable=undoable,
        following=f"?before={edits[-1].id}" if len(found) > _AT_ONCE else None,
        form=form or {},
        look=look,
        wrong=wrong,
        action=f"/channels/{channel.name}/patches/package",
    )


async def _editor(
    viewer: Viewer,
    channel: Channel,
    subdir: Subdir,
    form: Mapping[str, str] | None = None,
    look: Look | None = None,
    wrong: str | None = None,
) -> Response:
    document = await viewer.services.core.life.patches.read(channel, subdir)
    return viewer.page(
        "patch.html",
        _status(viewer, look, wrong),
        part="patch_preview.html",
        **_frame(viewer, channel),
        subdir=subdir,
        is_large=len(document) > _MOST_EDITED_BYTES,
        is_patched=document != NOTHING,
        text=form["document"] if form and "document" in form else _readable(document),
        form=form or {},
        look=look,
        wrong=wrong,
        action=f"/channels/{channel.name}/patches/{subdir}",
    )


def _frame(viewer: Viewer, channel: Channel) -> dict[str, Any]:
    return {**frame(viewer, channel), "here": f"/channels/{channel.name}/patches"}


def _status(viewer: Viewer, look: Look | None, wrong: str | None) -> int:
    if wrong is None or viewer.is_partial:
        return 200
    return 422 if look is None else 409


def _place(viewer: Viewer, permission: Permission) -> tuple[Channel, Subdir]:
    channel = viewer.channel(permission)
    subdir = Subdir.parse(viewer.request.path_params["subdir"])
    if subdir not in channel.subdirs:
        raise NotFound("subdir-unknown", f"Channel {channel.name} has no subdir {subdir}.")
    return channel, subdir


def _document(form: Mapping[str, str]) -> bytes:
    """As it was typed; browsers end lines of a text with two characters."""
    text = form.get("document", "").replace("\r\n", "\n").strip()
    return text.encode() if text else b"{}"


def _readable(document: bytes) -> str:
    if document == NOTHING:
        return _EMPTY.decode()
    if len(document) > _MOST_EDITED_BYTES:
        return ""
    return (document if b"\n" in document else msgspec.json.format(document, indent=2)).decode()


def _comment(form: Mapping[str, str]) -> str:
    comment = form.get("comment", "").strip()
    if len(comment) > _LONGEST_COMMENT:
        raise Invalid("form-invalid", f"Say why in at most {_LONGEST_COMMENT:,} characters.")
    return comment


def _number(text: str) -> int | None:
    return int(text) if text.isascii() and text.isdecimal() and len(text) <= 15 else None


def _are_together(one: PatchEdit, other: PatchEdit) -> bool:
    """Whether the same package brought both."""
    if one.origin is None:
        return one.id == other.id
    return (one.origin, one.created_at) == (other.origin, other.created_at)


def _differ(name: str, pair: tuple[Any, Any]) -> Difference:
    before, after = pair
    if isinstance(before, list) and isinstance(after, list):
        gone, come = [one for one in before if one not in after], [one for one in after if one not in before]
        if gone or come:
            return Difference(name, list(map(_said, gone)), list(map(_said, come)))
    return Difference(name, [] if before is None else [_said(before)], [] if after is None else [_said(after)])


def _said(value: Any) -> str:
    return value if isinstance(value, str) else msgspec.json.encode(value).decode()


_HERE = "/channels/{channel:path}/patches"
ROUTES = [
    Route(_HERE, show_patches),
    Route(f"{_HERE}/undo", undo_patch, methods=["POST"]),
    Route(f"{_HERE}/package", apply_package, methods=["POST"]),
    Route(f"{_HERE}/package/preview", preview_package, methods=["POST"]),
    Route(f"{_HERE}/{{subdir}}", show_subdir),
    Route(f"{_HERE}/{{subdir}}", apply, methods=["POST"]),
    Route(f"{_HERE}/{{subdir}}/preview", preview, methods=["POST"]),
]
