"""Advisory feeds, and which upstream package each conda name is."""

from typing import Annotated

from fastapi import APIRouter, Path, Query

from headgate.advisories.identities import Identity, Origin, choose
from headgate.advisories.names import KnownName
from headgate.doors.api.callers import AdvisoryKeeping, AdvisoryReading, Services
from headgate.doors.api.idempotency import IdempotentRoute
from headgate.doors.api.models import JobAnswer
from headgate.doors.api.models_advisories import (
    FeedAnswer,
    FeedBody,
    FeedChange,
    IdentityAnswer,
    NameAnswer,
    NameBody,
    shown_feed,
)
from headgate.doors.api.paging import Listing, Paging, Word

router = APIRouter(tags=["advisories"], route_class=IdempotentRoute)

FeedPath = Annotated[str, Path(max_length=64, pattern=r"^[a-z0-9][a-z0-9._-]*$", examples=["osv-pypi"])]
NamePath = Annotated[str, Path(max_length=64, pattern=r"^[^\x00/]+$", examples=["airflow"])]


@router.get("/advisory-feeds")
async def list_feeds(_caller: AdvisoryReading, services: Services, page: Paging) -> Listing[FeedAnswer]:
    """The feeds, by name, with how old what they said is."""
    feeds, following = page.cut_whole(await services.advisories.feeds.list_feeds(), lambda feed: (feed.name,))
    return Listing(items=[shown_feed(one) for one in feeds], next=following)


@router.post("/advisory-feeds", status_code=201)
async def add_feed(body: FeedBody, caller: AdvisoryKeeping, services: Services) -> FeedAnswer:
    """Add a feed; one with a URL is read at once, and then whenever its interval is over."""
    feeds = services.advisories.feeds
    await feeds.add(caller.actor, body.name, body.url, interval_minutes=body.interval_minutes, is_whole=body.is_whole)
    return shown_feed(await feeds.get_feed(body.name))


@router.get("/advisory-feeds/{name}")
async def show_feed(_caller: AdvisoryReading, services: Services, name: FeedPath) -> FeedAnswer:
    """One feed."""
    return shown_feed(await services.advisories.feeds.get_feed(name))


@router.patch("/advisory-feeds/{name}")
async def change_feed(body: FeedChange, caller: AdvisoryKeeping, services: Services, name: FeedPath) -> FeedAnswer:
    """Change what is given."""
    feeds = services.advisories.feeds
    await feeds.set_feed(caller.actor, name, url=body.url, interval_minutes=body.interval_minutes)
    return shown_feed(await feeds.get_feed(name))


@router.delete("/advisory-feeds/{name}", status_code=204)
async def remove_feed(caller: AdvisoryKeeping, services: Services, name: FeedPath) -> None:
    """Remove a feed with all that only it says."""
    await services.advisories.feeds.remove(caller.actor, name)
    await services.snapshots.reload()


@router.post("/advisory-feeds/{name}/refresh", status_code=202)
async def refresh_feed(caller: AdvisoryKeeping, services: Services, name: FeedPath) -> JobAnswer:
    """Ask for a look at the feed's URL now."""
    await services.advisories.feeds.get_feed(name)
    job_id = await services.jobs.refresh_feed(caller.actor, name)
    return JobAnswer.model_validate(await services.jobs.get_job(job_id))


@router.get("/advisory-names")
async def list_names(
    _caller: AdvisoryReading,
    services: Services,
    page: Paging,
    name: Annotated[str | None, Query(max_length=64, pattern=r"^[^\x00]*$", description="This one only.")] = None,
    origin: Origin | None = None,
) -> Listing[NameAnswer]:
    """Conda names, and which upstream packages they are said to be."""
    (after,) = page.after(tuple[Word]) or ("",)
    found = await services.advisories.names.list_names(name=name, origin=origin, after=after, limit=page.limit + 1)
    names, following = page.cut(found, lambda one: (one.name,))
    return Listing(items=[_named(one) for one in names], next=following)


@router.put("/advisory-names/{name}")
async def set_name(body: NameBody, caller: AdvisoryKeeping, services: Services, name: NamePath) -> NameAnswer:
    """Say which upstream packages a conda name is; that goes before the mapping, and before what packages say."""
    await services.advisories.names.set_name(caller.actor, name, body.purls)
    await services.snapshots.reload()
    return _named((await services.advisories.names.list_names(name=name))[0])


@router.delete("/advisory-names/{name}", status_code=204)
async def unset_name(caller: AdvisoryKeeping, services: Services, name: NamePath) -> None:
    """Take back what was set; the mapping counts again."""
    await services.advisories.names.set_name(caller.actor, name, None)
    await services.snapshots.reload()


def _named(known: KnownName) -> NameAnswer:
    used = choose(known.identities)
    return NameAnswer(name=known.name, identities=[_identity(one, is_used=one in used) for one in known.identities])


def _identity(one: Identity, *, is_used: bool) -> IdentityAnswer:
    return IdentityAnswer(
        ecosystem=one.package.ecosystem,
        purl=str(one.package) if one.package.name else None,
        origin=one.origin.value,
        sureness=one.sureness,
        is_used=is_used,
    )
