"""Values in search filters mean nothing but themselves."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headgate.access.ldap.filters import (
    escape,
    everybody_filter,
    first_value,
    group_filter,
    is_filter,
    same_name,
    user_filter,
)

TEMPLATE = "(&(objectClass=person)(uid={login}))"


@given(st.text())
def test_no_value_changes_the_shape_of_a_filter(login: str) -> None:
    made = user_filter(TEMPLATE, login)
    assert is_filter(made)
    inner = made.removeprefix("(&(objectClass=person)(uid=").removesuffix("))")
    assert not set("()*\0") & set(inner)
    assert bytes.fromhex("".join(_hex(inner))) == login.encode("utf-8", "surrogateescape")


def _hex(escaped: str) -> list[str]:
    """Undo what RFC 4515 says of values, independently."""
    found, number = [], 0
    while number < len(escaped):
        if escaped[number] == "\\":
            found.append(escaped[number + 1 : number + 3])
            number += 3
        else:
            found.append(f"{ord(escaped[number]):02x}")
            number += 1
    return found


def test_value_is_not_a_template() -> None:
    assert "ada" not in (group_filter("(&(a={login})(member={dn}))", "uid=ada", "{dn}") or "").partition("(member")[0]
    assert group_filter("(memberUid={login})", "cn=x", None) is None
    assert everybody_filter(TEMPLATE) == "(&(objectClass=person)(uid=*))"


@pytest.mark.parametrize("text", ["", "uid=x", "(uid=x", "(uid=x))", "(a=b)(c=d)", ")("])
def test_brackets_that_do_not_close_are_no_filter(text: str) -> None:
    assert not is_filter(text)


def test_names_compare_without_case_and_blanks() -> None:
    assert same_name("CN=Ada, OU=People") == same_name("cn=ada,ou=people")
    assert first_value(r"cn=Smith\, Ada,ou=people") == "Smith, Ada"
    assert escape("a(b)*\\é") == r"a\28b\29\2a\5c\c3\a9"
