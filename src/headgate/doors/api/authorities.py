"""The outgoing network: CA bundles, and how requests leave unless a mirror says otherwise."""

from fastapi import APIRouter

from headgate.channels.authorities import CaBundle
from headgate.doors.api.callers import NetworkManager, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models_network import CaAnswer, CaBody, CertificateAnswer, NetworkAnswer, RestingAnswer
from headgate.doors.api.paging import Listing

router = APIRouter(tags=["network"], route_class=IdempotentRoute)


@router.get("/network")
async def show_network(_caller: NetworkManager, services: Services) -> NetworkAnswer:
    """How requests to upstreams leave unless a mirror says otherwise."""
    network = services.routes.network
    bundles = await services.core.authorities.list_bundles()
    return NetworkAnswer(
        proxy=network.proxies.shown(),
        no_proxy=list(network.proxies.no_proxy),
        retries=network.retries,
        connections=network.connections,
        ca=[bundle.name for bundle in bundles if bundle.is_everywhere],
        resting=[RestingAnswer.model_validate(one) for one in services.routes.all_resting()],
    )


@router.get("/ca")
async def list_bundles(_caller: NetworkManager, services: Services) -> Listing[CaAnswer]:
    """CA bundles, by name."""
    return Listing(items=[_shown(one) for one in await services.core.authorities.list_bundles()], next=None)


@router.post("/ca", status_code=201)
async def add_bundle(body: CaBody, caller: NetworkManager, services: Services) -> CaAnswer:
    """Trust certificates besides the system's."""
    data = body.certificates.encode()
    added = await services.core.authorities.add(caller.actor, body.name, data, is_everywhere=body.is_everywhere)
    await services.snapshots.reload()
    return _shown(added)


@router.delete("/ca/{name}", status_code=204)
async def remove_bundle(name: str, caller: NetworkManager, services: Services) -> None:
    """Trust a bundle no longer."""
    await services.core.authorities.remove(caller.actor, name)
    await services.snapshots.reload()


def _shown(bundle: CaBundle) -> CaAnswer:
    return CaAnswer(
        name=bundle.name,
        is_everywhere=bundle.is_everywhere,
        created_at=bundle.created_at,
        created_by=bundle.created_by,
        certificates=[CertificateAnswer.model_validate(one) for one in bundle.certificates()],
    )
