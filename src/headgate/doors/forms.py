"""multipart/form-data, read as it comes: one part after the other, never a whole one in memory (RFC 7578)."""

from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from headgate.kernel.errors import Invalid

_FIELDS = {b"file": "file", b"attestation": "attestation"}
_PART_END = None


@dataclass(frozen=True, slots=True)
class PartHead:
    """How a part is called, and its file."""

    field: str
    filename: str


@dataclass(frozen=True, slots=True)
class FormFile:
    """A file of a form; its `body` must be read to its end before the next file is asked for.

    `field` is `file`, or `attestation` for what is said of the next file.
    """

    field: str
    filename: str
    body: AsyncIterator[bytes]


async def iter_form(content_type: str, stream: AsyncIterator[bytes]) -> AsyncIterator[FormFile]:
    """The files of a form, whose every part is called `file` or `attestation`. Raises Invalid `form-invalid`."""
    reader = FormReader(content_type, stream)
    while (head := await reader.next_head()) is not None:
        yield FormFile(head.field, head.filename, reader.iter_body())


def _invalid(reason: object) -> Invalid:
    return Invalid("form-invalid", f"The form cannot be read: {reason}.")


class FormReader:
    """Turns pieces of the stream into what the parser finds in them: heads of parts, bytes, ends of parts.

    `has_words`: parts that are no files are fields with a word, whatever they are called.
    """

    def __init__(self, content_type: str, stream: AsyncIterator[bytes], *, has_words: bool = False) -> None:
        _, options = parse_options_header(content_type)
        boundary = options.get(b"boundary")
        if not boundary:
            raise _invalid("its Content-Type names no boundary")
        self._stream = stream
        self._has_words = has_words
        self._found: deque[PartHead | bytes | None] = deque()
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

    async def next_head(self) -> PartHead | None:
        """The head of the next part, or None at the end of the form."""
        while not self._found and not self._has_ended:
            await self._read_on()
        if not self._found:
            return None
        head = self._found.popleft()
        if not isinstance(head, PartHead):
            raise _invalid("a file was not read to its end")
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
        name = options.get(b"name", b"")
        field = _FIELDS.get(name)
        if field is None and self._has_words and b"filename" not in options:
            field = name.decode("utf-8", "replace")
        if field is None or (field == "file" and b"filename" not in options):
            raise _invalid("every part must be a file, and be called `file`, or `attestation` before a file")
        self._found.append(PartHead(field, options.get(b"filename", b"").decode("utf-8", "replace")))

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        self._found.append(data[start:end])

    def _on_part_end(self) -> None:
        self._found.append(_PART_END)

    def _on_end(self) -> None:
        self._has_ended = True
