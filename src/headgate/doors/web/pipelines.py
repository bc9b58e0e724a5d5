"""Pipelines: channels in their order, and how far each stage is behind the one before it."""

from collections.abc import Iterable, Mapping

from starlette.responses import Response
from starlette.routing import Route

from headgate.access.permissions import Permission
from headgate.approvals.pipelines import Pipeline, measure_lags
from headgate.conda.names import ChannelName
from headgate.doors.web.channels import lines_of
from headgate.doors.web.promoting import places
from headgate.doors.web.viewing import Viewer, change, require_typed, signed_in
from headgate.kernel.errors import HeadgateError, NotFound, Refused

_HERE = "/pipelines"


@signed_in
async def show_pipelines(viewer: Viewer) -> Response:
    """Those all of whose channels the viewer may read."""
    return await _page(viewer)


@change
async def make_pipeline(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """One more, or other stages for one that is there; what is wrong is said beside the form."""
    name, is_strict = form.get("name", "").strip(), form.get("is_strict") == "on"
    pipelines = viewer.services.core.life.pipelines
    try:
        stages = _managed(viewer, lines_of(form.get("stages", "")))
        known = next((one for one in await _visible(viewer) if one.name == name), None)
        if known is None:
            await pipelines.create(viewer.actor, name, stages, is_strict=is_strict)
        else:
            _managed(viewer, known.stages)
            await pipelines.set(viewer.actor, name, stages=stages, is_strict=is_strict)
    except Refused:
        raise
    except HeadgateError as error:
        return await _page(viewer, form, error.message)
    return viewer.go(_HERE, f"Pipeline {name} is {'made' if known is None else 'changed'}.")


@change
async def delete_pipeline(viewer: Viewer, form: Mapping[str, str]) -> Response:
    """Its channels stay."""
    name = form.get("name", "")
    require_typed(form, name)
    found = next((one for one in await _visible(viewer) if one.name == name), None)
    if found is None:
        raise NotFound("pipeline-unknown", f"There is no pipeline {name[:128]}.")
    _managed(viewer, found.stages)
    await viewer.services.core.life.pipelines.delete(viewer.actor, name)
    return viewer.go(_HERE, f"Pipeline {name} is deleted; its channels stay.")


async def _page(viewer: Viewer, form: Mapping[str, str] | None = None, wrong: str | None = None) -> Response:
    services = viewer.services
    found = []
    for one in await _visible(viewer):
        lags = await measure_lags(services.planner.reader, [services.catalog.get(stage) for stage in one.stages])
        found.append((one, {lag.channel: lag for lag in lags}))
    return viewer.page(
        "pipelines.html",
        422 if wrong else 200,
        pipelines=found,
        out_of=places(viewer, Permission.PROMOTION_OUT),
        into=places(viewer, Permission.PROMOTION_INTO),
        managed=[one.name for one in viewer.channels() if viewer.may(Permission.CHANNEL_MANAGE, one)],
        form=form or {},
        wrong=wrong,
    )


async def _visible(viewer: Viewer) -> list[Pipeline]:
    readable = {one.name for one in viewer.channels()}
    return [
        one for one in await viewer.services.core.life.pipelines.list_pipelines() if readable.issuperset(one.stages)
    ]


def _managed(viewer: Viewer, names: Iterable[str]) -> list[ChannelName]:
    """Raises Refused unless the viewer manages them all, NotFound `channel-unknown`."""
    return [viewer.channel(Permission.CHANNEL_MANAGE, ChannelName.parse(name)).name for name in names]


ROUTES = [
    Route(_HERE, show_pipelines),
    Route(_HERE, make_pipeline, methods=["POST"]),
    Route(f"{_HERE}/delete", delete_pipeline, methods=["POST"]),
]
