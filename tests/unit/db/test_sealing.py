import pytest

from headgate.db.sealing import Sealer
from headgate.kernel.errors import Unavailable

SECRET = b"k" * 32


def test_a_sealed_text_opens_with_the_same_key_and_purpose() -> None:
    sealed = Sealer(SECRET, "upstream").seal("pass • word")
    assert "word" not in sealed
    assert Sealer(SECRET, "upstream").unseal(sealed) == "pass • word"


@pytest.mark.parametrize(
    "other", [Sealer(b"x" * 32, "upstream"), Sealer(SECRET, "directory")], ids=["another key", "another purpose"]
)
def test_a_sealed_text_stays_closed_to_others(other: Sealer) -> None:
    sealed = Sealer(SECRET, "upstream").seal("secret")
    with pytest.raises(Unavailable) as caught:
        other.unseal(sealed)
    assert caught.value.code == "secret-unreadable"
    assert "secret.key" in caught.value.message


def test_one_text_is_sealed_differently_each_time() -> None:
    sealer = Sealer(SECRET, "upstream")
    assert sealer.seal("secret") != sealer.seal("secret")
