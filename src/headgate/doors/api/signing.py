"""Our own signing: its keys and metadata."""

from typing import Any

import msgspec
from fastapi import APIRouter

from headgate.channels.signing import require_signing
from headgate.doors.api.callers import Services, SignedIn, Signer
from headgate.doors.api.models_signing import RootBody, RotationBody, SigningAnswer, SigningBody, shown_signing

router = APIRouter(tags=["signing"])


@router.get("/signing")
async def show_signing(_caller: Signer, services: Services) -> SigningAnswer:
    """The keys that count, and the metadata in force; no private key is ever shown."""
    return shown_signing(await services.core.signing.read())


@router.post("/signing", status_code=201)
async def init_signing(body: SigningBody, caller: Signer, services: Services) -> SigningAnswer:
    """Make the keys, once; with a root that is kept elsewhere they count when its root came back signed."""
    return shown_signing(await services.core.signing.init(caller.actor, root_key=body.root_key, days=body.days))


@router.post("/signing/rotate")
async def rotate_signing(body: RotationBody, caller: Signer, services: Services) -> SigningAnswer:
    """Replace a key, and make the metadata that say so; a new one for records signs everything anew."""
    signing = services.core.signing
    answer = shown_signing(await signing.rotate(caller.actor, body.role, root_key=body.root_key, days=body.days))
    await services.snapshots.reload()
    return answer


@router.get("/signing/root")
async def show_root(_caller: SignedIn, services: Services) -> dict[str, Any]:
    """The root in force, for clients to begin with."""
    signing = await services.core.signing.read()
    require_signing(signing)
    assert signing.root is not None
    return msgspec.json.decode(signing.root.body, type=dict[str, Any])


@router.put("/signing/root")
async def put_root(body: RootBody, caller: Signer, services: Services) -> SigningAnswer:
    """Take back the pending root, signed elsewhere."""
    answer = shown_signing(await services.core.signing.put_root(caller.actor, msgspec.json.encode(body.root)))
    await services.snapshots.reload()
    return answer
