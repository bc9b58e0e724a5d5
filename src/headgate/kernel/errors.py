"""The one error tree. Kinds know no HTTP; the doors map them in one table each.

HeadgateError
├── NotFound      what was asked for does not exist
├── Refused       it exists, and permission or policy says no
├── Conflict      it contradicts what is already there
├── Invalid       the input cannot be understood or trusted
└── Unavailable   an upstream, the disk or a database cannot answer now
"""

from collections.abc import Mapping, Sequence


class HeadgateError(Exception):
    """A refusal or failure with a stable code, a sentence for people, and reasons.

    `code` is a kebab-case word that never changes (`artifact-name-invalid`); `message` says what was wrong, where, and
    what to do; `reasons` hold one sentence each. `links`: where a door says more, by what is there (`why`, `request`).
    """

    def __init__(self, code: str, message: str, reasons: Sequence[str] = ()) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.reasons = tuple(reasons)
        self.links: Mapping[str, str] = {}


class NotFound(HeadgateError):
    """What was asked for does not exist."""


class Refused(HeadgateError):
    """It exists, and permission or policy says no."""


class Conflict(HeadgateError):
    """It contradicts what is already there."""


class Invalid(HeadgateError):
    """The input cannot be understood or trusted."""


class Unavailable(HeadgateError):
    """An upstream, the disk or a database cannot answer now; trying later may help."""
