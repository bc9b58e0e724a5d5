import pytest

from headgate.approvals.wants import parse_wants
from headgate.kernel.errors import Invalid


@pytest.mark.parametrize(
    ("text", "spec", "subdir"),
    [
        ("pandas", "pandas", None),
        ("numpy >=2,<3", "numpy >=2,<3", None),
        ("numpy-2.0-h1_0.conda", "numpy==2.0[build='h1_0',fn='numpy-2.0-h1_0.conda']", None),
        ("linux-64/a-b-1-0.tar.bz2", "a-b==1[build='0',fn='a-b-1-0.tar.bz2']", "linux-64"),
        (
            "pkg:conda/absl-py@0.4.1?build=py36_0&subdir=linux-64&type=tar.bz2",
            "absl-py==0.4.1[build='py36_0']",
            "linux-64",
        ),
        ("pkg:conda/Zlib", "zlib", None),
    ],
)
def test_what_is_asked_for_becomes_a_spec(text: str, spec: str, subdir: str | None) -> None:
    (want,) = parse_wants([text])
    assert (want.text, want.spec, want.subdir) == (text, spec, subdir)


def test_a_digest_names_a_file() -> None:
    (want,) = parse_wants(["a" * 64])
    assert (want.sha256, want.name) == ("a" * 64, "")


@pytest.mark.parametrize(
    ("texts", "code"),
    [
        ([], "want-invalid"),
        (["*"], "match-spec-invalid"),
        (["py*"], "match-spec-invalid"),
        (["conda-forge::numpy"], "want-invalid"),
        (["pkg:pypi/numpy@2"], "want-invalid"),
        (["numpy >>2"], "match-spec-invalid"),
        (["../../etc/passwd-1-0.conda"], "subdir-invalid"),
        (["numpy.conda"], "artifact-name-invalid"),
    ],
)
def test_what_makes_no_sense_is_refused(texts: list[str], code: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_wants(texts)
    assert caught.value.code == code
