"""Forms of files, as the API takes them."""

from collections.abc import AsyncIterator
from dataclasses import dataclass

from headgate.doors.multipart import iter_parts
from headgate.kernel.errors import Invalid

_FIELDS = frozenset({"file", "attestation"})


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
    async for part in iter_parts(content_type, stream):
        if part.field not in _FIELDS or (part.field == "file" and part.filename is None):
            raise Invalid(
                "form-invalid",
                "The form cannot be read: every part must be a file, and be called `file`, or `attestation` before "
                "a file.",
            )
        yield FormFile(part.field, part.filename or "", part.body)
