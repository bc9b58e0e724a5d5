"""Search filters (RFC 4515) and distinguished names (RFC 4514), as far as they are put together here."""

import re

LOGIN, DN = "{login}", "{dn}"
_PLAIN = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_.@ ,=")


def escape(text: str) -> str:
    r"""A value for a filter: every byte that could mean more than itself as `\xx`."""
    return "".join(chr(one) if one in _PLAIN else f"\\{one:02x}" for one in text.encode("utf-8", "surrogateescape"))


def user_filter(template: str, login: str) -> str:
    """The filter that finds one person by the name they sign in with."""
    return template.replace(LOGIN, escape(login))


def everybody_filter(template: str) -> str:
    """The filter that finds all whom the template could find."""
    return template.replace(LOGIN, "*")


def group_filter(template: str, dn: str, login: str | None) -> str | None:
    """The filter that finds the groups of an entry; None when it needs a login and the entry, a group, has none."""
    if LOGIN in template and login is None:
        return None
    # In one pass: a login may itself read `{dn}`.
    given = {DN: dn, LOGIN: login or ""}
    return re.sub(r"\{dn\}|\{login\}", lambda found: escape(given[found[0]]), template)


def is_filter(text: str) -> bool:
    """True when the brackets close, and close only at the end."""
    depth = 0
    for number, sign in enumerate(text, 1):
        depth += {"(": 1, ")": -1}.get(sign, 0)
        if depth < 0 or (depth == 0 and number < len(text)):
            return False
    return depth == 0 and text.startswith("(")


def same_name(dn: str) -> str:
    """A form in which distinguished names can be compared."""
    return ",".join(part.strip() for part in dn.split(",")).casefold()


def first_value(dn: str) -> str:
    """What the entry is called: `cn=engineers,ou=groups` is `engineers`."""
    found = re.match(r"\s*[^=]+=((?:\\.|[^,\\])*)", dn)
    return re.sub(r"\\(.)", r"\1", found[1]).strip() if found else dn
