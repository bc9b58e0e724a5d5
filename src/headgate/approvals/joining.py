"""Steps of requests that several decisions share, each in the open transaction: who asks for the same joins."""

from dataclasses import replace

from sqlalchemy.ext.asyncio import AsyncConnection

from headgate.approvals.request_rows import Request, Wanted, add_asker, add_remark, get_request, save_standing
from headgate.approvals.states import RequestState
from headgate.audit.events import Action, record


async def note(
    connection: AsyncConnection, action: Action, actor: str, wanted: Wanted, number: int, **detail: object
) -> None:
    """Write the audit event of a step."""
    await record(
        connection, action, actor, channel=wanted.target, subject=str(number), source=wanted.source,
        wants=list(wanted.texts)[:100], **detail,
    )  # fmt: skip


async def join(connection: AsyncConnection, number: int, name: str, actor: str, why: str) -> None:
    """One more who asks for what an open request asks for."""
    found = await get_request(connection, number, is_locked=True)
    await save_standing(connection, found, found.standing.join(name))
    await add_asker(connection, number, name, why)
    if name not in found.standing.requesters:
        await add_remark(connection, number, name, "joined", why)
        await note(connection, Action.REQUEST_JOIN, actor, found.wanted, number, why=why)


async def yield_to(connection: AsyncConnection, found: Request, other: int, actor: str) -> None:
    """End a request in favour of another one for the same; who asked joins that."""
    after = replace(found.standing, state=RequestState.WITHDRAWN, votes={})
    await save_standing(connection, found, after)
    await add_remark(connection, found.id, actor, "withdrawn", f"Request {other} asks for the same.")
    for asker in found.askers:
        await join(connection, other, asker.name, actor, asker.why)
