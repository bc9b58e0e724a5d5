"""What fields of forms hold that is more than a word: lines, pairs, numbers."""

from collections.abc import Mapping, Sequence

from headgate.kernel.errors import Invalid

_MOST_DIGITS = 9
_MOST_ID = (1 << 62) - 1


def lines_in(text: str) -> list[str]:
    """The lines that say something."""
    return [line.strip() for line in text.splitlines() if line.strip()]


def words_in(text: str) -> list[str]:
    """What stands between blanks and commas."""
    return text.replace(",", " ").split()


def pairs_in(text: str) -> list[tuple[str, str]]:
    """`THEIRS -> OURS`, one on each line. Raises Invalid `form-invalid`."""
    found = []
    for line in lines_in(text):
        theirs, arrow, ours = (part.strip() for part in line.rpartition("->"))
        if not (arrow and theirs and ours):
            raise Invalid("form-invalid", f"{line[:200]!r} should read THEIRS -> OURS.")
        found.append((theirs, ours))
    return found


def render_pairs(pairs: Sequence[tuple[str, str]]) -> str:
    """What `pairs_in` reads."""
    return "\n".join(f"{theirs} -> {ours}" for theirs, ours in pairs)


def number_in(form: Mapping[str, str], name: str, said: str, least: int, most: int) -> int:
    """A number between two; `said` is what it is called. Raises Invalid `form-invalid`."""
    text = form.get(name, "").strip()
    if not text.isascii() or not text.isdecimal() or len(text) > _MOST_DIGITS or not least <= int(text) <= most:
        raise Invalid("form-invalid", f"{said}: a number from {least} to {most}.")
    return int(text)


def id_of(number: int) -> int:
    """An id of an address that a database can look for; of what is too large there is no row."""
    return min(number, _MOST_ID)
