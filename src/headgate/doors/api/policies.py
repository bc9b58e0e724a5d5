"""Policies: made, changed, attached, tried, deleted."""

from typing import Annotated, Any

from fastapi import APIRouter, Query

from headgate.channels.policing import PolicyState, Target
from headgate.doors.api.callers import PolicyManager, PolicyReader, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models_policies import PolicyAnswer, PolicyBody, PolicyPath, TargetBody
from headgate.doors.api.paging import Listing, Paging
from headgate.kernel.errors import Conflict, Invalid
from headgate.policy.model import read_document

router = APIRouter(tags=["policies"], route_class=IdempotentRoute)


@router.get("/policies")
async def list_policies(_caller: PolicyReader, services: Services, page: Paging) -> Listing[PolicyAnswer]:
    """The policies, by name."""
    service = services.core.policies
    pending = await service.pending()
    found, following = page.cut_whole(await service.list_policies(), lambda one: (one.policy.name,))
    return Listing(items=[_shown(one, pending) for one in found], next=following)


@router.post("/policies", status_code=201)
async def create_policy(body: PolicyBody, caller: PolicyManager, services: Services) -> PolicyAnswer:
    """Make a policy, or its next version; the same document again changes nothing."""
    return await _saved(
        services, await services.core.policies.apply(caller.actor, document_of(body.document, body.text))
    )


@router.get("/policies/{name}")
async def show_policy(
    _caller: PolicyReader,
    services: Services,
    name: PolicyPath,
    version: Annotated[int | None, Query(ge=1, lt=1 << 31, description="An old version.")] = None,
) -> PolicyAnswer:
    """One policy, or an old version of it."""
    return _shown(await services.core.policies.get(name, version), await services.core.policies.pending())


@router.put("/policies/{name}")
async def replace_policy(body: PolicyBody, caller: PolicyManager, services: Services, name: PolicyPath) -> PolicyAnswer:
    """Make the policy's next version."""
    document = document_of(body.document, body.text)
    if document.get("name") != name:
        raise Conflict("policy-exists-elsewhere", f"The document is not that of {name}: its name is another.")
    return await _saved(services, await services.core.policies.apply(caller.actor, document))


@router.delete("/policies/{name}", status_code=204)
async def delete_policy(caller: PolicyManager, services: Services, name: PolicyPath) -> None:
    """Delete a policy that is attached nowhere."""
    await services.core.policies.delete(caller.actor, name)
    await services.snapshots.reload()


@router.get("/policies/{name}/versions")
async def list_versions(
    _caller: PolicyReader, services: Services, name: PolicyPath, page: Paging
) -> Listing[PolicyAnswer]:
    """Every version, the newest first."""
    found = await services.core.policies.list_versions(name)
    return Listing(items=[_shown(one, []) for one in found[: page.limit]])


@router.post("/policies/{name}/attachments", status_code=201)
async def attach_policy(body: TargetBody, caller: PolicyManager, services: Services, name: PolicyPath) -> PolicyAnswer:
    """Let a policy hold somewhere."""
    target = Target(body.is_everywhere, body.prefix, body.channel, body.mirror)
    return await _saved(services, await services.core.policies.attach(caller.actor, name, target))


@router.delete("/policies/{name}/attachments")
async def detach_policy(
    caller: PolicyManager,
    services: Services,
    name: PolicyPath,
    scope: Annotated[str, Query(max_length=400, description="As `attached_to` says.", examples=["conda-forge"])],
) -> PolicyAnswer:
    """Let a policy hold there no more."""
    return await _saved(services, await services.core.policies.detach(caller.actor, name, scope))


def document_of(document: dict[str, Any] | None, text: str | None) -> dict[str, Any]:
    """The document that a body holds in one way or the other. Raises Invalid `policy-invalid`."""
    if (document is None) == (text is None):
        raise Invalid("policy-invalid", "Send either `document` or `text`.")
    return document if document is not None else read_document((text or "").encode())


async def _saved(services: Services, state: PolicyState) -> PolicyAnswer:
    await services.snapshots.reload()
    return _shown(state, await services.core.policies.pending())


def _shown(state: PolicyState, pending: list[str]) -> PolicyAnswer:
    return PolicyAnswer.model_validate({**state.as_json(), "pending": pending})
