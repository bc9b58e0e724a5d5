import pytest

from headgate.approvals.wants import parse_wants
from headgate.conda.names import Subdir
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


def test_a_line_of_a_lock_names_one_file_with_its_digest() -> None:
    sha256, md5, bare = parse_wants(
        [f"linux-64: noarch/a-1-0.conda#{'b' * 64}", f"noarch/a-1-0.conda#{'c' * 32}", "noarch/a-1-0.conda#"]
    )
    assert (sha256.platform, sha256.subdir, sha256.is_locked) == ("linux-64", "noarch", True)
    assert sha256.spec == f"a==1[build='0',fn='a-1-0.conda',sha256='{'b' * 64}']"
    assert md5.spec == f"a==1[build='0',fn='a-1-0.conda',md5='{'c' * 32}']"
    assert (bare.spec, bare.is_locked) == ("a==1[build='0',fn='a-1-0.conda']", True)


def test_a_want_may_be_of_a_platform_and_an_environment() -> None:
    want, alone = parse_wants(["linux-64 (test): numpy >=2", "(test): numpy"])
    assert (want.platform, want.environment, want.spec) == ("linux-64", "test", "numpy >=2")
    assert [want.is_for(Subdir(one)) for one in ("linux-64", "osx-64")] == [True, False]
    assert (alone.platform, alone.environment, alone.spec) == (None, "test", "numpy")


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
