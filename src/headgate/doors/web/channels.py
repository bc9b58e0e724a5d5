"""Channels: the list, and the making of new ones, one or two feeds at a time."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import msgspec
from starlette.responses import Response
from starlette.routing import Route

from headgate.access.decisions import decide
from headgate.access.permissions import Permission
from headgate.channels.mirrors import Mirror, new
from headgate.channels.model import Channel, ChannelKind, ChannelSettings, Privacy
from headgate.channels.sizes import Held, read_held
from headgate.conda.names import ChannelName, Subdir
from headgate.doors.web.viewing import Viewer, anyone, change, signed_in
from headgate.kernel.errors import HeadgateError, Invalid, NotFound, Refused

_KEYS = {"kind:": "mirror, hosted, virtual or bundle", "is:frozen": "whose index stands still"}


@dataclass(frozen=True, slots=True)
class Way:
    """One way to make a channel, as the first page offers it."""

    name: str
    title: str
    sentence: str
    icon: str


WAYS: Sequence[Way] = (
    Way(
        "two-feeds",
        "Two feeds",
        "An unapproved one that follows conda-forge or the like, and an approved one that people install from. What "
        "somebody approves is promoted from one into the other.",
        "policy",
    ),
    Way("proxy", "Proxy", "Follows a channel elsewhere; a file comes here when somebody first asks for it.", "link"),
    Way("mirror", "Mirror", "Follows a channel elsewhere on a schedule, and fetches every file ahead.", "download"),
    Way("hosted", "Hosted", "Holds what you upload and promote.", "upload"),
    Way("bundle", "Bundle", "Holds what signed bundles carry here from a server that this one cannot reach.", "inbox"),
    Way("virtual", "Virtual", "Shows several channels as one, the most trusted first.", "channels"),
)


async def held_now(viewer: Viewer) -> dict[int, dict[str, Held]]:
    """What channels hold, by channel and subdir: as of their newest revisions, and of the last minute."""
    services = viewer.services
    key = ("held", *((one.id, one.revision) for one in services.catalog.all()))
    return await services.reports.recent.get(key, lambda: read_held(services.core.database))


@anyone
async def show_channels(viewer: Viewer) -> Response:
    """Those that the viewer may read, filtered as one types."""
    wanted = viewer.request.query_params.get("q", "")
    held = await held_now(viewer)
    return viewer.page(
        "channels.html",
        part="channels_found.html",
        wanted=wanted,
        keys=_KEYS,
        channels=[one for one in viewer.channels() if _is_meant(one, wanted)],
        held={number: sum(by_subdir.values(), Held()) for number, by_subdir in held.items()},
        nothing=Held(),
        may_make=viewer.may_somewhere(Permission.CHANNEL_MANAGE),
    )


@signed_in
async def show_new(viewer: Viewer) -> Response:
    """The ways to make a channel, or the form of one."""
    return _form(viewer, viewer.request.query_params.get("how", ""), {})


@change
async def make(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Make what was asked for, and go there; what is wrong is said beside the form."""
    how = form.get("how", "")
    try:
        name = await _make(viewer, how, form)
    except Refused:
        raise
    except HeadgateError as error:
        await viewer.services.snapshots.reload()
        return _form(viewer, how, form, wrong=error.message)
    await viewer.services.snapshots.reload()
    return viewer.go(f"/channels/{name}", f"Channel {name} is made.")


def _form(viewer: Viewer, how: str, form: Mapping[str, str], wrong: str | None = None) -> Response:
    way = next((one for one in WAYS if one.name == how), None)
    return viewer.page(
        "new_channel.html",
        422 if wrong else 200,
        ways=WAYS,
        way=way,
        form=form,
        wrong=wrong,
        others=viewer.channels(),
        privacies=list(Privacy),
    )


async def _make(viewer: Viewer, how: str, form: Mapping[str, str]) -> ChannelName:
    name = ChannelName.parse(form.get("name", "").strip())
    if how == "two-feeds":
        return await _make_two(viewer, name, form)
    if how in {"proxy", "mirror"}:
        await _create(viewer, name, ChannelKind.MIRROR, form, mirrors=[_mirror(form, is_ahead=how == "mirror")])
    elif how == "hosted":
        await _create(viewer, name, ChannelKind.HOSTED, form)
    elif how == "virtual":
        members = [ChannelName.parse(one) for one in lines_of(form.get("members", ""))]
        for member in members:
            viewer.channel(name=member)
        await _create(viewer, name, ChannelKind.VIRTUAL, form, members=members)
    else:
        raise NotFound("path-unknown", "There is no such way to make a channel.")
    return name


async def _make_two(viewer: Viewer, unapproved: ChannelName, form: Mapping[str, str]) -> ChannelName:
    """The feed that follows, the one to install from, the pipeline between, and who may ask for what passes.

    Either may be there already, and is then taken as it is.
    """
    services = viewer.services
    approved = ChannelName.parse(form.get("approved", "").strip())
    if not _is_there(viewer, unapproved, ChannelKind.MIRROR):
        insist_managing(viewer, approved)
        await _create(viewer, unapproved, ChannelKind.MIRROR, form, mirrors=[_mirror(form, is_ahead=False)])
    if not _is_there(viewer, approved, ChannelKind.HOSTED):
        await _create(viewer, approved, ChannelKind.HOSTED, form)
    await services.core.life.pipelines.create(viewer.actor, approved.replace("/", "-"), [unapproved, approved])
    await services.snapshots.reload()
    target = services.catalog.get(approved)
    rules = await services.request_rules.get(target)
    sources = tuple(dict.fromkeys([*rules.sources, str(unapproved)]))
    await services.request_rules.put(viewer.actor, target, msgspec.structs.replace(rules, sources=sources))
    return approved


def _is_there(viewer: Viewer, name: ChannelName, kind: ChannelKind) -> bool:
    """Whether there is such a channel of that kind already, which the viewer manages."""
    found = viewer.services.catalog.find(name)
    if found is None or found.kind is not kind:
        return False
    insist_managing(viewer, name)
    return True


async def _create(
    viewer: Viewer,
    name: ChannelName,
    kind: ChannelKind,
    form: Mapping[str, str],
    *,
    members: Sequence[ChannelName] = (),
    mirrors: Sequence[Mirror] = (),
) -> None:
    insist_managing(viewer, name)
    await viewer.services.core.channels.create(
        viewer.actor,
        name,
        kind,
        privacy=privacy_of(form, Privacy.PRIVATE),
        settings=ChannelSettings(description=form.get("description", "").strip()),
        members=members,
        mirrors=mirrors,
    )


def _mirror(form: Mapping[str, str], *, is_ahead: bool) -> Mirror:
    settings = {"schedule": {"cron": form.get("cron", "").strip()}, "fetch": {"mode": "active"}} if is_ahead else {}
    subdirs = [Subdir.parse(one) for one in lines_of(form.get("subdirs", ""))]
    return new(None, [form.get("url", "").strip()], subdirs or None, {"settings": settings})


def insist_managing(viewer: Viewer, name: str) -> None:
    """Raises Refused unless the viewer may manage a channel of that name, be it there or not."""
    decision = decide(viewer.principal, Permission.CHANNEL_MANAGE, name, None)
    if not decision.is_allowed:
        raise Refused("permission-denied", decision.reason)


def privacy_of(form: Mapping[str, str], otherwise: Privacy) -> Privacy:
    """Who may read it, as a form says. Raises Invalid `setting-invalid`."""
    text = form.get("privacy") or otherwise.value
    if text not in set(Privacy):
        raise Invalid("setting-invalid", f"{text[:40]!r} says not who may read it: {', '.join(Privacy)}.")
    return Privacy(text)


def lines_of(text: str) -> list[str]:
    """What stands in a field with a thing on each line, or several with commas or blanks between."""
    return text.replace(",", " ").split()


def _is_meant(channel: Channel, wanted: str) -> bool:
    """Whether a channel has every word in its name or description, and every term."""
    said = f"{channel.name} {channel.settings.description}".lower()
    for term in wanted.lower().split():
        key, colon, value = term.partition(":")
        if colon and key == "kind":
            is_good = channel.kind.value.startswith(value)
        elif term == "is:frozen":
            is_good = channel.frozen is not None
        else:
            is_good = term in said
        if not is_good:
            return False
    return True


ROUTES = [
    Route("/channels", show_channels),
    Route("/new-channel", show_new),
    Route("/new-channel", make, methods=["POST"]),
]
