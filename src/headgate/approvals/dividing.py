r"""Approvals of a part: what is left out goes on as a request of its own, of the same people, approved by nobody.

requested --all but some wants approved--> approved, of the part
                                      \--> another request, requested: the rest
"""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.access.principals import Principal
from headgate.approvals.joining import join, note
from headgate.approvals.request_rows import (
    Limits,
    Request,
    Wanted,
    add_asker,
    add_remark,
    add_request,
    find_open,
    get_request,
    save_standing,
    set_divided,
)
from headgate.approvals.states import Standing
from headgate.approvals.wants import parse_wants
from headgate.audit.events import Action
from headgate.kernel.errors import Invalid


def parse_left_out(wanted: Wanted, given: Sequence[str]) -> tuple[str, ...]:
    """The texts of wants that are named, as they were asked for or by package; in the order of the request.

    Raises Invalid `request-part-invalid` for what nobody asked for, and when nothing would be left.
    """
    named = {text.strip() for text in given} - {""}
    if not named:
        return ()
    wants = parse_wants(wanted.texts)
    unknown = named - {want.text for want in wants} - {want.name for want in wants}
    if unknown:
        raise Invalid("request-part-invalid", f"{min(unknown)[:200]!r} was not asked for, so it cannot be left out.")
    left_out = tuple(want.text for want in wants if want.text in named or want.name in named)
    if len(left_out) == len(wants):
        raise Invalid("request-part-invalid", "Nothing would be left of the request: reject it instead.")
    return left_out


async def divide(
    connection: AsyncConnection, found: Request, after: Standing, limits: Limits,
    *, who: Principal, summary: Mapping[str, Any], expires_at: datetime,
) -> None:  # fmt: skip
    """Give what an approval leaves out to a request of its own, or to the open one for the same.

    `summary` is of the rest. The request that is divided is left asking for the approved part alone.
    """
    rest = found.wanted.without(found.wanted.without(limits.left_out).texts)
    number = await find_open(connection, rest)
    if number is None:
        number = await add_request(
            connection, rest, notes=(), summary=summary, by=found.created_by, part_of=found.id
        )  # fmt: skip
        for asker in found.askers:
            await add_asker(connection, number, asker.name, asker.why)
        made = await get_request(connection, number)
        await save_standing(connection, made, after.rest(), expires_at=expires_at)
        said = f"Left out of request {found.id}: {limits.left_out_why}"
        await add_remark(connection, number, who.name, "requested", said)
    else:
        for asker in found.askers:
            await join(connection, number, asker.name, who.actor, asker.why)
    await set_divided(connection, found.id, found.wanted.without(limits.left_out), limits, number)
    await note(
        connection, Action.REQUEST_DIVIDE, who.actor, found.wanted, found.id,
        left_out=list(limits.left_out)[:100], why=limits.left_out_why, rest=number,
    )  # fmt: skip
