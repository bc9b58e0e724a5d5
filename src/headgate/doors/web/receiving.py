"""Forms that bring files: who sends them is known before the first byte of a file is read, and none is held in memory.

The proof is a field that stands before the files, or a header; where the request comes from is asked before anything is read.
"""

import functools
from collections.abc import AsyncIterator, Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from headgate.doors.forms import FormFile, iter_form
from headgate.doors.sessions import PROOF_FIELD, PROOF_HEADER
from headgate.doors.web.viewing import Endpoint, Viewer, viewer_of
from headgate.doors.web.visits import find_visitor, go_sign_in, services_of
from headgate.kernel.errors import Invalid

_MULTIPART = "multipart/form-data"
_MOST_TEXT_BYTES = 64 << 10
_MOST_DRAINED_BYTES = 256 << 20


class Sent:
    """A form as it arrives: `fields` are the texts that came so far."""

    def __init__(self, parts: AsyncIterator[FormFile], texts: frozenset[str]) -> None:
        self.fields: dict[str, str] = {}
        self._parts = parts
        self._texts = texts
        self._left = _MOST_TEXT_BYTES
        self._first: FormFile | None = None

    async def begin(self) -> None:
        """Read the texts that stand before the first file."""
        self._first = await self._next_file()

    async def files(self) -> AsyncIterator[FormFile]:
        """What was chosen, one after the other; each must be read, or skipped, before the next. Texts between are kept."""
        file = self._first
        while file is not None:
            yield file
            file = await self._next_file()

    async def _next_file(self) -> FormFile | None:
        async for part in self._parts:
            if part.field in self._texts:
                self.fields[part.field] = await self._read_text(part)
            elif part.filename:
                return part
            else:
                # An input in which nothing was chosen sends a file without name.
                await skip(part)
        return None

    async def _read_text(self, part: FormFile) -> str:
        found = bytearray()
        async for piece in part.body:
            found += piece
            self._left -= len(piece)
            if self._left < 0:
                raise Invalid("request-too-large", "The texts of the form are longer than any of ours.")
        try:
            text = found.decode()
        except UnicodeDecodeError as error:
            raise Invalid("form-invalid", "The form cannot be read.") from error
        if "\0" in text:
            raise Invalid("form-invalid", "A field holds a character that nobody types.")
        return text


Take = Callable[[Viewer, Sent], Awaitable[Response]]


def receiving(*texts: str) -> Callable[[Take], Callable[[Request], Awaitable[Response]]]:
    """A change whose form brings files besides these texts; Refused `request-forged` is raised for others."""
    named = frozenset({PROOF_FIELD, *texts})

    def wrap(take: Take) -> Endpoint:
        @functools.wraps(take)
        async def endpoint(request: Request) -> Response:
            visitor = await find_visitor(request)
            if visitor is None:
                return go_sign_in("/")
            cookies = services_of(request).cookies
            cookies.check_origin(request.scope)
            stream = request.stream()
            try:
                content_type = request.headers.get("content-type", "")
                sent = Sent(iter_form(content_type, stream, named), named)
                is_form = content_type.lower().startswith(_MULTIPART)
                if is_form:
                    await sent.begin()
                proof = sent.fields.get(PROOF_FIELD) or request.headers.get(PROOF_HEADER)
                cookies.check(request.scope, visitor, proof)
                if not is_form:
                    raise Invalid("form-invalid", "A form with files comes as multipart/form-data.")
                return await take(viewer_of(request, visitor), sent)
            finally:
                await _drain(stream)

        return endpoint

    return wrap


async def skip(part: FormFile) -> None:
    """Read what is left of a part."""
    async for _ in part.body:
        pass


async def _drain(stream: AsyncIterator[bytes]) -> None:
    """Browsers read no answer before they have sent what they began: what is left of it is passed over, within bounds."""
    left = _MOST_DRAINED_BYTES
    async for piece in stream:
        left -= len(piece)
        if left < 0:
            return
