import json
from pathlib import Path

import pytest
import zstandard

from headgate.conda.names import (
    KNOWN_SUBDIRS,
    ArtifactName,
    ChannelName,
    PackageName,
    Sha256,
    Subdir,
    are_safe_filenames,
    is_safe_filename,
    package_of,
)
from headgate.kernel.errors import Invalid

# Lock files name some R packages with the file name's version and others with one that lost its underscore.
LOSSY_VERSIONS = "r-"


@pytest.mark.parametrize("text", ["team", "team/dev", "conda-forge", "_local", "a.b/c_d/e-f", "pkgs/main"])
def test_channel_names_are_read_as_they_are(text: str) -> None:
    assert ChannelName.parse(text) == text


@pytest.mark.parametrize(
    "text",
    [
        "",
        "/",
        "a/",
        "/a",
        "a//b",
        "..",
        "a/..",
        "a..b",
        ".hidden",
        "Team",
        "a b",
        "a\0",
        "a\n",
        "a\\b",
        "é",
        "label/x",
        "t/x",
        "x/get",
        "api",
        "team/linux-64",
        "noarch",
        "a" * 129,
        "%2e%2e",
        "a/./b",
    ],
)
def test_other_channel_names_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as error:
        ChannelName.parse(text)
    assert error.value.code == "channel-name-invalid"


def test_every_known_subdir_is_one_and_only_noarch_is_noarch() -> None:
    assert [subdir for subdir in sorted(KNOWN_SUBDIRS) if Subdir.parse(subdir).is_noarch] == ["noarch"]


@pytest.mark.parametrize("text", ["", "linux", "linux-64/..", "linux_64", "Linux-64", "linux-64\n", "a-b-c", "a-" * 20])
def test_other_subdirs_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as error:
        Subdir.parse(text)
    assert error.value.code == "subdir-invalid"


@pytest.mark.parametrize("text", ["", "-", "__a", "a..b", "a--b", "NumPy", "a b", "a/b", "a\n", ".", "a" * 65, "é"])
def test_other_package_names_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as error:
        PackageName.parse(text)
    assert error.value.code == "package-name-invalid"


def test_digest_goes_to_bytes_and_back() -> None:
    digest = Sha256.parse("0f" * 32)
    assert digest.raw == b"\x0f" * 32
    assert Sha256.from_raw(digest.raw) == digest


@pytest.mark.parametrize("text", ["", "0F" * 32, "0f" * 31, "0f" * 33, "zz" * 32, "0f" * 31 + "0\n"])
def test_other_digests_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as error:
        Sha256.parse(text)
    assert error.value.code == "sha256-invalid"


def test_artifact_name_is_split_from_the_right() -> None:
    name = ArtifactName.parse("ruamel-yaml.clib-1!0.2.8+x_1-py311h0.tar.bz2")
    assert name == ArtifactName("ruamel-yaml.clib", "1!0.2.8+x_1", "py311h0", ".tar.bz2")
    assert (name.stem, str(name)) == ("ruamel-yaml.clib-1!0.2.8+x_1-py311h0", name.filename)


@pytest.mark.parametrize(
    "text",
    [
        "",
        ".conda",
        "a.conda",
        "a-1.conda",
        "a-1-0",
        "a-1-0.zip",
        "a-1-0.conda/",
        "../a-1-0.conda",
        "a-1-0.conda\0",
        "a/b-1-0.conda",
        "a-1..2-0.conda",
        "a-1-0 .conda",
        "A-1-0.conda",
        "a-1-0.conda.conda/x",
        "-1-0.conda",
        "a-" + "1" * 65 + "-0.conda",
        "a-1-" + "0" * 65 + ".conda",
        "a-1-0.CONDA",
        "a-1-0%2f.conda",
        "a--0.conda",
    ],
)
def test_other_artifact_names_are_refused(text: str) -> None:
    with pytest.raises(Invalid) as error:
        ArtifactName.parse(text)
    assert error.value.code == "artifact-name-invalid"


@pytest.mark.parametrize("text", ["", "a", "a-1", "-1-0.conda"])
def test_package_of_refuses_what_has_not_three_parts(text: str) -> None:
    with pytest.raises(Invalid):
        package_of(text)


def test_every_real_file_name_parses_and_agrees_with_its_record(shared: Path) -> None:
    checked = 0
    for filename, record in real_records(shared):
        name = ArtifactName.parse(filename)
        assert (name.filename, package_of(filename), package_of(name.stem)) == (filename, name.name, name.name)
        assert (name.name, name.build) == (record["name"], record["build"])
        assert name.version == record["version"] or name.name.startswith(LOSSY_VERSIONS)
        checked += 1
    assert checked > 49_000


def test_every_real_package_name_parses(shared: Path) -> None:
    names = json.loads((shared / "names" / "conda-forge-to-pypi.json").read_bytes())
    assert [PackageName.parse(name) for name in names] == list(names)


def real_records(shared: Path):
    for path in shared.glob("conda-forge-subset/*/repodata.json.zst"):
        with path.open("rb") as file:
            yield from files_of(zstandard.ZstdDecompressor().stream_reader(file).read())
    for path in shared.glob("channels/*/*/repodata.json"):
        yield from files_of(path.read_bytes())


def files_of(document: bytes):
    repodata = json.loads(document)
    yield from (repodata["packages"] | repodata["packages.conda"]).items()


@pytest.mark.parametrize("odd", ["", "..", "a..b", ".a", "-a", "a\nb", "a\n", "\na", "a/b", "a b", "A", "é", "a" * 212])
def test_names_of_files_are_safe_together_as_they_are_alone(odd: str) -> None:
    sound = ["a-1-0.conda", "_b-1!2.0+cu-0.tar.bz2", "a" * 211, "a."]
    assert are_safe_filenames(sound)
    assert all(map(is_safe_filename, sound))
    assert not is_safe_filename(odd)
    for place in range(len(sound) + 1):
        assert not are_safe_filenames([*sound[:place], odd, *sound[place:]])
