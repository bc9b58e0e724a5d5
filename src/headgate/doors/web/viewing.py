"""Who looks at a page, and what every page with navigation is made of.

@anyone        async def show(viewer)          whoever comes; the handler shows only what `viewer` may see
@signed_in     async def show(viewer)          others are sent to sign in, and come back
@change        async def act(viewer, form)     a POST by somebody signed in, with the proof that a page of ours asked for it
@upload        async def act(viewer, sent)     the same for files that are taken as they come, and never held in memory
"""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

from starlette.requests import Request
from starlette.responses import Response

from headgate.access.decisions import decide, decide_for_some
from headgate.access.permissions import Permission
from headgate.access.principals import Principal
from headgate.channels.model import Channel
from headgate.doors.multipart import FormPart, pass_over
from headgate.doors.pages import PAGE_HEADERS, render_page
from headgate.doors.places import channel_path
from headgate.doors.sessions import Visitor
from headgate.doors.web.navigation import entries_for
from headgate.doors.web.services import WebServices
from headgate.doors.web.toasts import Toast, Undo, find_toast, toast_cookie
from headgate.doors.web.visits import find_visitor, go, go_sign_in, own_url, read_change, read_upload, services_of
from headgate.kernel.errors import Invalid, NotFound, Refused

_LARGE_FORM_BYTES = 64 << 20
_NO_STORE = {"cache-control": "no-store"}


@dataclass(frozen=True, slots=True)
class Viewer:
    """Somebody in front of a page: signed in, or nobody in particular."""

    request: Request
    principal: Principal
    visitor: Visitor | None

    @property
    def services(self) -> WebServices:
        """What the application was built with."""
        return services_of(self.request)

    @property
    def actor(self) -> str:
        """How audit events name them."""
        return self.principal.actor

    @property
    def proof(self) -> str:
        """What their forms have to bring along."""
        return "" if self.visitor is None else self.services.cookies.proof(self.visitor)

    def url(self, path: str = "") -> str:
        """A path of ours as the outside names it."""
        return own_url(self.request, path)

    def link(self, path: str | None) -> str | None:
        """The path, where this server has a page there."""
        has_page: bool = path is not None and self.request.app.has_page(path)
        return path if has_page else None

    def channel_link(self, channel: str) -> str:
        """The page of a channel; else what a browser sees where clients ask."""
        return self.link(channel_path(channel)) or f"/conda/{channel}/"

    @property
    def is_partial(self) -> bool:
        """True when htmx asks for a part of a page, to put it into one that is there."""
        headers = self.request.headers
        return "hx-request" in headers and "hx-history-restore-request" not in headers and "hx-boosted" not in headers

    def may(self, permission: Permission, channel: Channel | None = None, package: str | None = None) -> bool:
        """Whether they may do that: on the server, at a channel, or with a package there."""
        if channel is None:
            return decide(self.principal, permission, None, None).is_allowed
        return decide(self.principal, permission, channel.name, channel.privacy, package).is_allowed

    def may_somewhere(self, permission: Permission) -> bool:
        """Whether they may do that on the server or at some channel."""
        return self.may(permission) or any(self.may(permission, one) for one in self.services.catalog.all())

    def require(self, permission: Permission, channel: Channel | None = None, package: str | None = None) -> None:
        """Raises Refused `credentials-needed` or `permission-denied` unless they may do that."""
        place = (None, None) if channel is None else (channel.name, channel.privacy)
        decision = decide(self.principal, permission, *place, package)
        if not decision.is_allowed:
            raise Refused("credentials-needed" if decision.needs_credentials else "permission-denied", decision.reason)

    def channels(self) -> list[Channel]:
        """The channels that they may read, by name."""
        return [one for one in self.services.catalog.all() if self.may(Permission.CHANNEL_READ, one)]

    def may_for_some(self, permission: Permission, channel: Channel) -> bool:
        """Whether they may do that at a channel, be it with one package alone."""
        return decide_for_some(self.principal, permission, channel.name, channel.privacy).is_allowed

    def channel(
        self, permission: Permission = Permission.CHANNEL_READ, name: str | None = None, *, is_for_some: bool = False
    ) -> Channel:
        """The channel that the path names, where they may do that; `is_for_some`: with one package at least.

        Raises Refused, NotFound `channel-unknown`.
        """
        wanted = self.request.path_params["channel"] if name is None else name
        found = self.services.catalog.find(wanted)
        decided = decide_for_some if is_for_some else decide
        # What does not exist is decided as if it were private, so that a refusal tells nobody which it is.
        decision = decided(self.principal, permission, wanted, "private" if found is None else found.privacy)
        if not decision.is_allowed:
            raise Refused("credentials-needed" if decision.needs_credentials else "permission-denied", decision.reason)
        if found is None:
            raise NotFound("channel-unknown", f"There is no channel {wanted}.")
        return found

    def page(self, template: str, status: int = 200, *, part: str | None = None, **values: Any) -> Response:
        """A page with navigation; `part` is the template that htmx gets instead, where it asks for a part."""
        if part is not None and self.is_partial:
            return self.part(part, status, **values)
        toast = find_toast(self.request, self.proof)
        shown = render_page(template, **self._frame(), toast=toast, **values)
        answer = Response(shown, status, _NO_STORE | PAGE_HEADERS, media_type="text/html")
        if toast is not None:
            answer.headers.append("set-cookie", toast_cookie(None, self.proof))
        return answer

    def part(self, template: str, status: int = 200, *, toast: Toast | None = None, **values: Any) -> Response:
        """A part of a page, for htmx; a toast comes along beside it."""
        shown = render_page(template, **self._frame(), toast=toast, **values)
        if toast is not None:
            shown += render_page("toast.html", **self._frame(), toast=toast, is_beside=True)
        return Response(shown, status, _NO_STORE | PAGE_HEADERS, media_type="text/html")

    def go(self, path: str, said: str | None = None, undo: Undo | None = None) -> Response:
        """Go on there after a change, where a toast says what has happened, and takes it back for some seconds."""
        answer = go(path)
        if said is not None:
            answer.headers.append("set-cookie", toast_cookie(Toast(said, undo), self.proof))
        return answer

    def _frame(self) -> Mapping[str, Any]:
        return {
            "viewer": self,
            "csrf_token": self.proof,
            "path": self.request.url.path,
            "navigation": entries_for(self),
            "query": self.request.query_params,
        }


async def view(request: Request) -> Viewer:
    """Who looks."""
    visitor = await find_visitor(request)
    return viewer_of(request, visitor)


def viewer_of(request: Request, visitor: Visitor | None) -> Viewer:
    """The same where the visitor is known."""
    principal = services_of(request).authenticator.nobody if visitor is None else visitor.principal
    return Viewer(request, principal, visitor)


Endpoint = Callable[[Request], Awaitable[Response]]
Show = Callable[[Viewer], Awaitable[Response]]
Act = Callable[[Viewer, Mapping[str, str]], Awaitable[Response]]


@dataclass(frozen=True, slots=True)
class Sent:
    """A form with files: the fields that came so far, the proof among the first, and the files as they come.

    Each file must be read to its end, or skipped, before the next.
    """

    fields: Mapping[str, str]
    files: AsyncIterator[FormPart]


Take = Callable[[Viewer, Sent], Awaitable[Response]]


def anyone(show: Show) -> Endpoint:
    """A page for whoever comes."""

    @functools.wraps(show)
    async def endpoint(request: Request) -> Response:
        return await show(await view(request))

    return endpoint


def signed_in(show: Show) -> Endpoint:
    """A page for whoever is signed in; others sign in first."""

    @functools.wraps(show)
    async def endpoint(request: Request) -> Response:
        viewer = await view(request)
        return go_sign_in(_own_path(request)) if viewer.visitor is None else await show(viewer)

    return endpoint


def change(act: Act) -> Endpoint:
    """A change that a page of ours asks for; Refused `request-forged` is raised for others."""
    return _change(act)


def large_change(act: Act) -> Endpoint:
    """The same for forms that hold whole files."""
    return _change(act, _LARGE_FORM_BYTES)


def _change(act: Act, *most_bytes: int) -> Endpoint:
    @functools.wraps(act)
    async def endpoint(request: Request) -> Response:
        found = await read_change(request, *most_bytes)
        if found is None:
            return go_sign_in("/")
        visitor, form = found
        return await act(viewer_of(request, visitor), form)

    return endpoint


def upload(take: Take) -> Endpoint:
    """The same for a multipart form, whose files are taken as they come: the proof has to be its first field."""

    @functools.wraps(take)
    async def endpoint(request: Request) -> Response:
        stream = request.stream()
        found = await read_upload(request, stream)
        if found is None:
            return go_sign_in("/")
        visitor, fields, files = found
        try:
            return await take(viewer_of(request, visitor), Sent(fields, files))
        finally:
            await pass_over(stream)

    return endpoint


def require_typed(form: Mapping[str, str], name: str) -> None:
    """What cannot be taken back asks for the name. Raises Invalid `name-not-typed`."""
    if form.get("typed", "").strip() != name:
        raise Invalid("name-not-typed", f"Nothing was changed: type {name} to confirm.")


def _own_path(request: Request) -> str:
    query = request.url.query
    return f"{request.url.path}?{query}" if query else request.url.path
