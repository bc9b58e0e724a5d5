"""One channel: what it holds, how to use it, whether it moves, what it was, and how to go back."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.channels.history import list_revisions
from headgate.channels.model import Channel, ChannelKind, Privacy
from headgate.channels.sizes import Held
from headgate.conda.names import Subdir
from headgate.doors.web.channels import held_now
from headgate.doors.web.toasts import Undo
from headgate.doors.web.viewing import Viewer, anyone, change, require_typed
from headgate.kernel import clock
from headgate.kernel.errors import Invalid

_MOST = 50


@anyone
async def show_channel(viewer: Viewer) -> Response:
    """What it holds and how to use it."""
    channel = viewer.channel()
    life = viewer.services.core.life
    held = (await held_now(viewer)).get(channel.id, {})
    pipelines = [one for one in await life.pipelines.list_pipelines() if channel.name in one.stages]
    readable = {one.name for one in viewer.channels()}
    return viewer.page(
        "channel_overview.html",
        **frame(viewer, channel),
        url=viewer.url(f"/conda/{channel.name}"),
        host=viewer.url().partition("://")[2],
        held=held,
        whole=sum(held.values(), Held()),
        nothing=Held(),
        counts=await _counts(viewer, channel),
        waiting=await life.freezing.waiting(channel) if channel.frozen else {},
        words=await life.packages.list_words(channel),
        pipelines=[one for one in pipelines if readable.issuperset(one.stages)],
        privacies=list(Privacy),
        flags=flags_of(channel),
        members=[one.member for one in channel.sources if one.member is not None],
        readable=sorted(readable - {channel.name}),
    )


@change
async def freeze(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Let its index stand still."""
    name = viewer.channel(Permission.CHANNEL_MANAGE).name
    await viewer.services.core.life.freezing.freeze(viewer.actor, name, form.get("comment", "").strip())
    await viewer.services.snapshots.reload()
    return viewer.go(f"/channels/{name}", f"{name} is frozen.", Undo(f"/channels/{name}/unfreeze"))


@change
async def unfreeze(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Let it move again."""
    name = viewer.channel(Permission.CHANNEL_MANAGE).name
    await viewer.services.core.life.freezing.unfreeze(viewer.actor, name, form.get("comment", "").strip())
    await viewer.services.snapshots.reload()
    return viewer.go(f"/channels/{name}", f"{name} moves again; what waited is published.")


@change
async def delete_channel(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Delete it, once its name was typed."""
    name = viewer.channel(Permission.CHANNEL_MANAGE).name
    require_typed(form, name)
    await viewer.services.core.channels.delete(viewer.actor, name)
    await viewer.services.snapshots.reload()
    return viewer.go("/channels", f"Channel {name} is deleted.")


@anyone
async def show_revisions(viewer: Viewer) -> Response:
    """What it was, the newest first."""
    channel = viewer.channel()
    subdir = viewer.request.query_params.get("subdir") or None
    before = _place(viewer.request.query_params.get("before"))
    found = await list_revisions(
        viewer.services.core.database,
        channel,
        None if subdir is None else Subdir.parse(subdir),
        before=before,
        limit=_MOST + 1,
    )
    more = ".".join(map(str, found[_MOST - 1].key)) if len(found) > _MOST else None
    chosen = {"subdir": subdir} if subdir else {}
    return viewer.page(
        "channel_revisions.html",
        **frame(viewer, channel),
        revisions=found[:_MOST],
        subdir=subdir,
        next=None if more is None else f"?{urlencode({**chosen, 'before': more})}",
        may_roll_back=channel.kind is ChannelKind.HOSTED and viewer.may(Permission.CHANNEL_MANAGE, channel),
    )


@anyone
async def show_rollback(viewer: Viewer) -> Response:
    """What a rollback would do; nothing changes."""
    channel = viewer.channel(Permission.CHANNEL_MANAGE)
    wanted = viewer.request.query_params
    if wanted.get("moment"):
        targets = await _targets_at(viewer, channel, wanted["moment"])
    else:
        targets = _targets(wanted.get("to", ""))
    plan = await viewer.services.core.life.rollbacks.plan(channel, targets)
    return viewer.page("channel_rollback.html", **frame(viewer, channel), plan=plan, to=_said(targets))


@change
async def roll_back(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Do it; a toast takes it back."""
    name = viewer.channel(Permission.CHANNEL_MANAGE).name
    done = await viewer.services.core.life.rollbacks.roll_back(
        viewer.actor,
        name,
        _targets(form.get("to", "")),
        digest=form.get("digest") or None,
        comment=form.get("comment", "").strip(),
    )
    await viewer.services.snapshots.reload()
    back = {"to": _said({step.subdir: step.current for step in done.steps}), "comment": "The rollback is taken back."}
    said = ", ".join(f"{step.subdir} is as it was at revision {step.to}" for step in done.steps)
    return viewer.go(f"/channels/{name}/revisions", f"{said}.", Undo(f"/channels/{name}/rollback", back))


@anyone
async def show_retention(viewer: Viewer) -> Response:
    """What the next clean-up would remove."""
    channel = viewer.channel(Permission.CHANNEL_MANAGE)
    core = viewer.services.core
    return viewer.page(
        "channel_retention.html",
        **frame(viewer, channel),
        foreseen=await core.retention.foresee(channel),
        ages=core.retention.ages,
        upkeep=core.place.settings.upkeep,
        may_clean=viewer.may(Permission.JOB_MANAGE),
    )


@dataclass(frozen=True, slots=True)
class Flag:
    """A setting that is on or off: its name, the label of its box, and what it does."""

    name: str
    title: str
    sentence: str
    kind: ChannelKind | None = None
    """The one kind of channel that it says something of."""


FLAGS = (
    Flag(
        "is_hiding",
        "Names of earlier members hide those of later ones",
        "A package that a trusted channel has is never taken from a less trusted one (dependency confusion).",
        ChannelKind.VIRTUAL,
    ),
    Flag(
        "is_keeping_cached",
        "Keep what upstream deletes",
        "A file that is here stays listed and installable when its record disappears upstream.",
        ChannelKind.MIRROR,
    ),
    Flag(
        "is_hiding_broken",
        "Hide what cannot be installed",
        "Records whose dependencies policies hold back are not listed, so that solvers do not run into them.",
    ),
    Flag(
        "is_signing",
        "Sign records",
        "The index bears signatures of this server's own keys (conda content trust), which have to be made first.",
    ),
)


def flags_of(channel: Channel) -> list[Flag]:
    """The flags that say something of a channel of this kind."""
    return [one for one in FLAGS if one.kind in {None, channel.kind}]


def may_carry(viewer: Viewer, channel: Channel) -> bool:
    """Whether they may put it into a bundle, which holds what its maker could have read and downloaded."""
    needed = (Permission.BUNDLE_EXPORT, Permission.CHANNEL_READ, Permission.ARTIFACT_DOWNLOAD)
    return all(viewer.may(one, channel) for one in needed)


def frame(viewer: Viewer, channel: Channel) -> dict[str, Any]:
    """What every page of a channel shows: its name, its tabs, whether the viewer manages it or puts files into it."""
    path = f"/channels/{channel.name}"
    tabs = [("Overview", path), ("Files", f"{path}/files"), ("Revisions", f"{path}/revisions")]
    if channel.kind is ChannelKind.MIRROR:
        tabs.append(("Mirrors", f"{path}/mirrors"))
    may_upload = channel.kind is ChannelKind.HOSTED and viewer.may_for_some(Permission.ARTIFACT_UPLOAD, channel)
    if may_upload:
        tabs.append(("Upload", f"{path}/upload"))
    tabs.append(("Patches", f"{path}/patches"))
    if channel.kind is ChannelKind.HOSTED:
        tabs.append(("Requests", f"{path}/request-rules"))
    tabs.append(("Not installable", f"{path}/unsatisfiable"))
    may_manage = viewer.may(Permission.CHANNEL_MANAGE, channel)
    if may_carry(viewer, channel) or (may_manage and channel.kind is ChannelKind.BUNDLE):
        tabs.append(("Bundles", f"{path}/bundles"))
    if may_manage:
        tabs.append(("Retention", f"{path}/retention"))
    return {"channel": channel, "tabs": tabs, "may_manage": may_manage, "may_upload": may_upload}


async def _counts(viewer: Viewer, channel: Channel) -> dict[str, int]:
    """How many packages each subdir lists."""
    return {name: len((await viewer.services.maps.get(state)).digests) for name, state in channel.subdirs.items()}


async def _targets_at(viewer: Viewer, channel: Channel, text: str) -> dict[Subdir, int]:
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise Invalid("rollback-aimless", f"{text[:40]!r} is not a moment such as 2026-03-01T09:00.") from error
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    found = await viewer.services.core.life.rollbacks.revisions_at(channel, moment, [])
    moved = {subdir: number for subdir, number in found.items() if number < channel.subdirs[subdir].revision}
    if not moved:
        raise Invalid("rollback-aimless", f"Channel {channel.name} has not changed since then.")
    return moved


def _targets(text: str) -> dict[Subdir, int]:
    """`noarch=12 linux-64=3`."""
    found = {}
    for part in text.split():
        subdir, _, number = part.partition("=")
        if not number.isdecimal() or len(number) > len(str(1 << 60)):
            raise Invalid("rollback-aimless", "Say which subdir is to go back to which revision.")
        found[Subdir.parse(subdir)] = int(number)
    return found


def _said(targets: Mapping[Subdir, int]) -> str:
    return " ".join(f"{subdir}={number}" for subdir, number in targets.items())


def _place(text: str | None) -> tuple[int, int, int] | None:
    """The key of the last revision on the page before. Raises Invalid `cursor-invalid`."""
    if text is None:
        return None
    parts: Sequence[str] = text.split(".")
    if len(parts) != len(("moment", "subdir", "number")) or not all(one.isdecimal() for one in parts):
        raise Invalid("cursor-invalid", "This is no place in the list; begin at its first page.")
    moment, subdir, number = (min(int(one), clock.to_ms(datetime.max.replace(tzinfo=UTC))) for one in parts)
    return moment, subdir, number


ROUTES = [
    Route("/channels/{channel:path}/freeze", freeze, methods=["POST"]),
    Route("/channels/{channel:path}/unfreeze", unfreeze, methods=["POST"]),
    Route("/channels/{channel:path}/delete", delete_channel, methods=["POST"]),
    Route("/channels/{channel:path}/revisions", show_revisions),
    Route("/channels/{channel:path}/retention", show_retention),
    Route("/channels/{channel:path}/rollback", show_rollback),
    Route("/channels/{channel:path}/rollback", roll_back, methods=["POST"]),
    Route("/channels/{channel:path}", show_channel),
]
