"""Which passwords and texts of tokens are taken."""

import pytest

from headgate.access.passwords import PasswordRules, verify_password
from headgate.access.secrets import check_chosen_text, generate_password, prefix_of
from headgate.kernel.errors import Invalid


def code_of(password: str, user: str = "nadia") -> str | None:
    try:
        PasswordRules(12).check(password, user)
    except Invalid as error:
        return error.code
    return None


@pytest.mark.parametrize("password", ["short", "elevenchars", ""])
def test_short_password(password: str) -> None:
    assert code_of(password) == "password-short"


@pytest.mark.parametrize(
    "password",
    [
        "nadia-nadia-1", "xNADIAx-2026", "passwordpassword", "Password-2026!", "p4ssw0rd!!!!!", "123456789012",
        "abcdefghijkl", "qwertyuiopqwerty", "aaaaaaaaaaaa", "abcabcabcabc", "Headgate-1234", "welcome 2026 !",
    ],
)  # fmt: skip
def test_password_that_anybody_would_try(password: str) -> None:
    assert code_of(password) == "password-weak"


@pytest.mark.parametrize(
    "password", ["correct-horse-battery", "Grüße aus Malmö!", "engineers-know-networks", "1q9zv7hb3mxk"]
)
def test_good_password(password: str) -> None:
    assert code_of(password) is None


@pytest.mark.parametrize(("user", "password"), [("jo", "jo jumps over walls"), ("nadia", "nadia-and-the-sea")])
def test_the_name_may_be_part_of_a_password_that_is_good_without_it(user: str, password: str) -> None:
    assert code_of(password, user) is None


def test_generated_passwords_are_good() -> None:
    assert {code_of(generate_password()) for _ in range(50)} == {None}


def test_nobodys_password_is_never_good() -> None:
    assert verify_password(None, "no such user") is False


@pytest.mark.parametrize(
    "text",
    ["short-1", "x" * 19, "a" * 40, "ab" * 20, "password-password-password", "has_under_scores_in_it", "a/" * 15,
     "hg-abcdefghij-0123456789abcdefghij", "k3y" * 50, "abcabcabcabcabcabcabc"],
)  # fmt: skip
def test_text_of_a_token_that_is_too_weak(text: str) -> None:
    with pytest.raises(Invalid) as refused:
        check_chosen_text(text)
    assert refused.value.code == "token-text-invalid"
    assert text not in refused.value.message


def test_text_of_a_token_of_ones_own() -> None:
    text = "Legacy-Key-7f3a-of-the-build-farm"
    check_chosen_text(text)
    prefix = prefix_of(b"secret", text)
    assert prefix is not None
    assert prefix.removeprefix("own-") not in text
    assert prefix != prefix_of(b"other secret", text)
    assert prefix_of(b"secret", "a password") is None
