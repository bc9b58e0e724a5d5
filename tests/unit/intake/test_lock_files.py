"""Package files, found in lock files of every kind."""

import pytest

from headgate.intake.lock_files import files_named
from headgate.kernel.errors import Invalid


@pytest.mark.parametrize(
    "text",
    [
        "@EXPLICIT\nhttps://conda.anaconda.org/conda-forge/noarch/six-1.17.0-pyhd8ed1ab_0.conda#9c2f\n",
        "- conda: https://conda.anaconda.org/conda-forge/noarch/six-1.17.0-pyhd8ed1ab_0.conda\n  sha256: 91\n",
        '{"url": "https://x/noarch/six-1.17.0-pyhd8ed1ab_0.conda", "hash": {}}',
        "six-1.17.0-pyhd8ed1ab_0.conda",
    ],
)
def test_names_are_found(text: str) -> None:
    assert files_named(text) == {"six-1.17.0-pyhd8ed1ab_0.conda"}


def test_epochs_and_both_formats() -> None:
    text = "https://x/linux-64/lib-1%212.0-0.tar.bz2\nhttps://x/linux-64/_x86-1.0-h1_0.conda"
    assert files_named(text) == {"lib-1!2.0-0.tar.bz2", "_x86-1.0-h1_0.conda"}


def test_text_without_any_is_refused() -> None:
    with pytest.raises(Invalid) as refused:
        files_named("numpy >=2\nconda.conda.org")
    assert refused.value.code == "lock-file-empty"
