"""The files that a channel holds, and what is done to several of them at once: looked at first, then all or none."""

from collections.abc import Mapping, Sequence
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.approvals.batches import Batch, BatchAction, BatchWish
from headgate.channels.artifacts import ArtifactFilter, list_artifacts
from headgate.channels.model import Channel, ChannelKind
from headgate.conda.names import ChannelName, PackageName, Subdir
from headgate.doors.web.channel import frame
from headgate.doors.web.terms import parse_terms
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, anyone, large_change, require_typed
from headgate.kernel.errors import Invalid

_AT_ONCE = 100
_MOST_AT_ONCE = 500
"""What more files take is left to a job."""
_MOST_SHOWN = 200
_MOST_WANTS = 2_000
_KEYS = {"subdir:": "of this platform", "is:": "active, yanked or deleted"}
_STATES = ("active", "yanked", "deleted")
_VERBS = {
    BatchAction.YANK: "Yank",
    BatchAction.UNYANK: "Bring back",
    BatchAction.COPY: "Copy",
    BatchAction.MOVE: "Move",
    BatchAction.DELETE: "Delete for good",
}
_BACK = {BatchAction.YANK: BatchAction.UNYANK, BatchAction.UNYANK: BatchAction.YANK}


@anyone
async def show_files(viewer: Viewer) -> Response:
    """By subdir and name; a word is the name of a package."""
    channel = viewer.channel()
    typed = viewer.request.query_params.get("q", "")
    terms = parse_terms(typed, [key[:-1] for key in _KEYS])
    subdir, status = terms.get("subdir"), terms.get("is")
    if status not in {None, *_STATES}:
        raise Invalid("filter-invalid", f"is:{status} is not one of {', '.join(_STATES)}.")
    chosen = ArtifactFilter(
        subdir=None if subdir is None else Subdir.parse(subdir),
        package=PackageName.parse(terms.text) if terms.text else None,
        status=status,
    )
    after = _place(viewer.request.query_params.get("after", ""))
    database = viewer.services.core.database
    found = await list_artifacts(database, channel, chosen, after=after, limit=_AT_ONCE + 1)
    files, following = found[:_AT_ONCE], None
    if len(found) > _AT_ONCE:
        following = "?" + urlencode({"q": typed, "after": f"{files[-1].subdir_id}/{files[-1].filename}"})
    return viewer.page(
        "holdings.html",
        part="holdings_found.html",
        **frame(viewer, channel),
        typed=typed,
        keys=_KEYS,
        files=files,
        following=following,
        verbs=_VERBS,
        targets=_targets(viewer, channel),
        may_change=_may_change(viewer, channel),
    )


@large_change
async def preview(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """What would be done, file by file; changes nothing."""
    channel = viewer.channel()
    batch = await _plan(viewer, channel, form)
    return viewer.page(
        "holdings_preview.html",
        **frame(viewer, channel),
        batch=batch,
        shown=batch.items[:_MOST_SHOWN],
        hindrances=batch.hindrances[:_MOST_SHOWN],
        size_bytes=sum(one.size_bytes for one in batch.items),
        wants="\n".join(batch.wish.texts),
        verb=_VERBS[batch.wish.action],
        has_way_back=batch.wish.action in _BACK,
    )


@large_change
async def carry_out(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Do what was looked at. What cannot be taken back asks for the channel's name."""
    channel = viewer.channel()
    batch = await _plan(viewer, channel, form)
    action = batch.wish.action
    if action is BatchAction.DELETE:
        require_typed(form, channel.name)
    # What is taken back by a toast was looked at when it was done.
    digest, comment = form.get("digest") or batch.digest, form.get("comment", "").strip()
    here, count = f"/channels/{channel.name}/files", len(batch.items)
    if count > _MOST_AT_ONCE:
        job = await viewer.services.jobs.change(viewer.actor, batch.wish, digest, comment)
        then = f"/admin/jobs/{job}" if viewer.may(Permission.JOB_MANAGE) else here
        return viewer.go(then, f"{count} files are being changed.")
    await viewer.services.core.life.batches.carry_out(viewer.actor, batch.wish, digest=digest, comment=comment)
    await viewer.services.snapshots.reload()
    undo = None
    if action in _BACK and count <= _AT_ONCE:
        names = "\n".join(f"{one.subdir}/{one.filename}" for one in batch.items)
        undo = Undo(f"{here}/change", {"action": _BACK[action].value, "wants": names}) if len(names) < 1500 else None
    return viewer.go(here, f"{_VERBS[action]}: {count} {'file' if count == 1 else 'files'}, done.", undo)


async def _plan(viewer: Viewer, channel: Channel, form: Mapping[str, str]) -> Batch:
    """What a form asks for. Raises Refused for a package that the viewer may not do it with."""
    action = form.get("action", "")
    if action not in set(BatchAction):
        raise Invalid("form-invalid", "Choose what to do with the files.")
    wish = _wish(viewer, channel, BatchAction(action), form)
    needed = [] if wish.action is BatchAction.COPY else [Permission.ARTIFACT_DELETE]
    if wish.action.has_target:
        needed.append(Permission.PROMOTION_OUT)
    batch = await viewer.services.core.life.batches.plan(wish)
    target = None if wish.target is None else viewer.channel(name=wish.target)
    packages: Sequence[str | None] = sorted(batch.packages) or [None]
    for package in packages:
        for permission in needed:
            viewer.require(permission, channel, package)
        if target is not None:
            viewer.require(Permission.PROMOTION_INTO, target, package)
    return batch


def _wish(viewer: Viewer, channel: Channel, action: BatchAction, form: Mapping[str, str]) -> BatchWish:
    ticked = [key.removeprefix("file:") for key in form if key.startswith("file:")]
    wants = [*ticked, *(one.strip() for one in form.get("wants", "").splitlines() if one.strip())]
    if not wants or len(wants) > _MOST_WANTS:
        raise Invalid("form-invalid", "Tick files, or say which: a match spec such as demo <2.")
    target = None
    if action.has_target:
        if not form.get("target"):
            raise Invalid("form-invalid", "Say into which channel they go.")
        target = viewer.channel(name=ChannelName.parse(form["target"])).name
    return BatchWish(action=action, channel=channel.name, texts=wants, target=target)


def _targets(viewer: Viewer, channel: Channel) -> list[str]:
    return [
        one.name
        for one in viewer.channels()
        if one.kind is ChannelKind.HOSTED and one.name != channel.name and viewer.may(Permission.PROMOTION_INTO, one)
    ]


def _may_change(viewer: Viewer, channel: Channel) -> bool:
    if channel.kind is not ChannelKind.HOSTED:
        return False
    wanted = (Permission.ARTIFACT_DELETE, Permission.PROMOTION_OUT)
    return any(viewer.may(one, channel) for one in wanted)


def _place(text: str) -> tuple[int, str] | None:
    """The last file of the page before. Raises Invalid `cursor-invalid`."""
    if not text:
        return None
    number, _, filename = text.partition("/")
    if not number.isascii() or not number.isdecimal() or len(number) > 15:
        raise Invalid("cursor-invalid", "This is no place in the list; begin at its first page.")
    return int(number), filename.replace("\0", "")


ROUTES = [
    Route("/channels/{channel:path}/files", show_files),
    Route("/channels/{channel:path}/files/preview", preview, methods=["POST"]),
    Route("/channels/{channel:path}/files/change", carry_out, methods=["POST"]),
]
