"""How requests into a channel are decided: from where, by how many of whom, and when by nobody."""

from collections.abc import Mapping
from typing import Any

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.approvals.rules import RequestRules, parse_rules
from headgate.channels.model import Channel
from headgate.doors.web.channel import frame
from headgate.doors.web.channels import lines_of
from headgate.doors.web.viewing import Viewer, anyone, change
from headgate.intake.hosted import require_hosted
from headgate.kernel.errors import HeadgateError, Invalid, Refused


@anyone
async def show_rules(viewer: Viewer) -> Response:
    """As they are; a form for whoever manages the channel."""
    channel = viewer.channel()
    require_hosted(channel)
    return await _page(viewer, channel, await viewer.services.request_rules.get(channel))


@change
async def set_rules(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Decide otherwise from now on; what is wrong is said beside the form."""
    channel = viewer.channel(Permission.CHANNEL_MANAGE)
    rules = await viewer.services.request_rules.get(channel)
    try:
        rules = parse_rules(_document(form))
        for source in rules.sources:
            viewer.channel(name=source)  # whoever opens a channel to requests shows what is in it
        await viewer.services.request_rules.put(viewer.actor, channel, rules)
    except Refused:
        raise
    except HeadgateError as error:
        return await _page(viewer, channel, rules, error.message)
    return viewer.go(f"/channels/{channel.name}/request-rules", "Requests are decided so from now on.")


async def _page(viewer: Viewer, channel: Channel, rules: RequestRules, wrong: str | None = None) -> Response:
    groups = await viewer.services.core.access.groups.list_groups()
    return viewer.page(
        "request_rules.html",
        422 if wrong else 200,
        **frame(viewer, channel),
        rules=rules,
        sources=[one.name for one in viewer.channels() if one.name != channel.name],
        groups=sorted({one.name for one in groups} | set(rules.groups)),
        wrong=wrong,
    )


def _document(form: Mapping[str, str]) -> dict[str, Any]:
    """Rules as `parse_rules` takes them."""
    auto = None
    if form.get("is_auto") == "on":
        licenses = [one.strip() for one in form.get("licenses", "").splitlines() if one.strip()]
        auto = {
            "licenses": licenses,
            "only_patch_releases": form.get("only_patch_releases") == "on",
            "only_checked": form.get("only_checked") == "on",
        }
    return {
        "sources": lines_of(form.get("sources", "")),
        "approvals": _number(form, "approvals"),
        "groups": [one.removeprefix("group:") for one in form if one.startswith("group:")],
        "is_comment_required": form.get("is_comment_required") == "on",
        "expires_days": _number(form, "expires_days"),
        "auto": auto,
    }


def _number(form: Mapping[str, str], name: str) -> int:
    text = form.get(name, "").strip()
    if not text.isascii() or not text.isdecimal() or len(text) > 6:
        raise Invalid("form-invalid", f"{text[:20]!r} is no number.")
    return int(text)


ROUTES = [
    Route("/channels/{channel:path}/request-rules", show_rules),
    Route("/channels/{channel:path}/request-rules", set_rules, methods=["POST"]),
]
