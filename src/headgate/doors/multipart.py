"""multipart/form-data, read as it comes: one part after the other, never a whole one in memory (RFC 7578)."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from headgate.conda.attestations import MAX_SIDECAR_BYTES
from headgate.kernel.errors import Invalid

_PART_END = None
_MOST_FIELDS = 100
_MOST_PASSED_OVER_BYTES = 256 << 20


@dataclass(frozen=True, slots=True)
class _PartHead:
    field: str
    filename: str | None


@dataclass(frozen=True, slots=True)
class FormPart:
    """A part of a form; its `body` must be read to its end before the next part is asked for.

    `filename` is None for a plain field.
    """

    field: str
    filename: str | None
    body: AsyncIterator[bytes]


async def iter_parts(content_type: str, stream: AsyncIterator[bytes]) -> AsyncIterator[FormPart]:
    """The parts of a form, as they come. Raises Invalid `form-invalid`."""
    reader = _FormReader(content_type, stream)
    while (head := await reader.next_head()) is not None:
        yield FormPart(head.field, head.filename, reader.iter_body())


async def read_fields(parts: AsyncIterator[FormPart], most_bytes: int) -> tuple[dict[str, str], FormPart | None]:
    """The plain fields before the first file, and that file; None when there is none. Raises Invalid `form-invalid`."""
    fields: dict[str, str] = {}
    room = most_bytes
    async for part in parts:
        if part.filename is not None:
            return fields, part
        data = b""
        async for piece in part.body:
            data += piece
            if len(data) > room:
                raise _invalid("its fields are longer than any of ours")
        room -= len(data)
        # No field holds it, and PostgreSQL keeps none.
        if b"\0" in data:
            raise Invalid("form-invalid", "A field holds a character that nobody types.")
        fields[part.field] = data.decode("utf-8", "replace")
        if len(fields) > _MOST_FIELDS:
            raise _invalid("it has too many fields")
    return fields, None


async def read_attestations(body: AsyncIterator[bytes]) -> bytes:
    """What is said of a file. Raises Invalid `attestation-malformed` when that is too much."""
    found = bytearray()
    async for piece in body:
        found += piece
        if len(found) > MAX_SIDECAR_BYTES:
            raise Invalid("attestation-malformed", f"The attestations have more than {MAX_SIDECAR_BYTES} bytes.")
    return bytes(found)


async def skip(body: AsyncIterator[bytes]) -> None:
    """Read what is left of a part."""
    async for _ in body:
        pass


async def pass_over(stream: AsyncIterator[bytes]) -> None:
    """Read what is left of a body, within bounds: browsers look at no answer before they have sent what they began."""
    left = _MOST_PASSED_OVER_BYTES
    async for piece in stream:
        left -= len(piece)
        if left < 0:
            return


def _invalid(reason: object) -> Invalid:
    return Invalid("form-invalid", f"The form cannot be read: {reason}.")


class _FormReader:
    """Turns pieces of the stream into what the parser finds in them: heads of parts, bytes, ends of parts."""

    def __init__(self, content_type: str, stream: AsyncIterator[bytes]) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise _invalid("its Content-Type names no boundary")
        self._stream = stream
        self._found: deque[_PartHead | bytes | None] = deque()
        self._headers: dict[bytes, bytes] = {}
        self._name = self._value = b""
        self._has_ended = False
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
            )
        except FormParserError as error:
            raise _invalid(error) from error

    async def next_head(self) -> _PartHead | None:
        """The head of the next part, or None at the end of the form."""
        while not self._found and not self._has_ended:
            await self._read_on()
        if not self._found:
            return None
        head = self._found.popleft()
        if not isinstance(head, _PartHead):
            raise _invalid("a part was not read to its end")
        return head

    async def iter_body(self) -> AsyncIterator[bytes]:
        """The bytes of the part whose head was last."""
        while True:
            while not self._found:
                await self._read_on()
            piece = self._found.popleft()
            if piece is _PART_END:
                return
            assert isinstance(piece, bytes)
            yield piece

    async def _read_on(self) -> None:
        piece = await anext(self._stream, None)
        if piece is None or self._has_ended:
            raise _invalid("it ends too early")
        try:
            self._parser.write(piece)
        except FormParserError as error:
            raise _invalid(error) from error

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._name.lower()] = self._value
        self._name = self._value = b""

    def _on_headers_finished(self) -> None:
        _, options = parse_options_header(self._headers.get(b"content-disposition", b""))
        self._headers = {}
        filename = options.get(b"filename")
        name = options.get(b"name", b"").decode("utf-8", "replace")
        self._found.append(_PartHead(name, None if filename is None else filename.decode("utf-8", "replace")))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._found.append(data[start:end])

    def _on_part_end(self) -> None:
        self._found.append(_PART_END)

    def _on_end(self) -> None:
        self._has_ended = True
