"""What users, service accounts, groups and roles may be called: whatever fits one part of a URL and one line."""

from headgate.access.grants import PSEUDO_GROUPS

_LONGEST = 128
# Who else acts here, and so would be taken for them in the audit events.
_TAKEN = frozenset({*PSEUDO_GROUPS, "headgate"})


def is_name(text: str) -> bool:
    """True for 1 to 128 printable characters without `/` and `:`, no blanks at either end, that mean nobody else."""
    return (
        0 < len(text) <= _LONGEST
        and text.isprintable()
        and text == text.strip()
        and not {"/", ":"} & set(text)
        and bool(text.strip("."))
        and text.lower() not in _TAKEN
    )
