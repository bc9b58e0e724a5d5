"""Whole environments: every kind of file becomes wants, and what makes no sense is refused with its line."""

from pathlib import Path

import pytest

from headgate.conda.environments import parse_environment
from headgate.kernel.errors import Invalid

DATA = Path(__file__).parents[2] / "data" / "environments"
LINUX_TZ = "noarch/tzdata-2022g-h191b570_0.conda#0bfae0b9962bc0dbf79048f9175b913ed4f53c4310d06708dc7acbb290ad82f6"
MUTEX = "linux-64/_libgcc_mutex-0.1-conda_forge.tar.bz2"
SQLITE = "osx-arm64/libsqlite-3.45.3-h091b4b1_0.conda"
SQLITE += "#4337f466eb55bbdc74e168b52ec8c38f598e3664244ec7a2536009036e2066cc"
TZ_2024A = "noarch/tzdata-2024a-h0c530f3_0.conda#7b2b69c54ec62a243eb6fba2391b5e443421608c3ae5dbff938ad33ca8db5122"
LIBFFI = "osx-arm64/libffi-3.4.2-h3422bc3_5.tar.bz2#41b3d13efb775e340e4dba549ab5c029611ea6918703096b2eaa9c015c0750ca"
PYTHON = "win-64/python-3.12.0-h2628c8c_0_cpython.conda"
PYTHON += "#90553586879bf328f2f9efb8d8faa958ecba822faf379f0a20c3461467b9b955"
TZ_2024B = "noarch/tzdata-2024b-hc8b5060_0.conda#4fde5c3008bf5d2db82f2b50204464314cc3c91c1d953652f7bd01d9e52aefdf"


def read(name: str) -> str:
    return (DATA / name).read_text(encoding="utf-8")


def test_an_environment_file_names_specs_and_what_pip_installs() -> None:
    found = parse_environment(read("environment.yml"))
    assert found.wants == ["python=3.12", "numpy >=1.26,<3", "pandas", "pip"]
    assert found.platforms == []
    assert found.notes == [
        "The channel of conda-forge::pandas is not looked at: conda-forge.",
        "pip installs requests==2.31.0; it does not pass.",
        "pip installs -e .; it does not pass.",
    ]


def test_an_explicit_list_names_files_with_the_digests_it_has() -> None:
    found = parse_environment(read("explicit.txt"))
    assert found.wants == [
        f"linux-64: {MUTEX}#d7c89558ba9fa0495403155b64376d81",
        "linux-64: linux-64/ca-certificates-2022.12.7-ha878542_0.conda#ff9f73d45c4a07d6f424495288a26080",
        f"linux-64: {LINUX_TZ}",
        "linux-64: linux-64/python_abi-3.9-3_cp39.conda#",
    ]
    assert found.platforms == ["linux-64"]


def test_a_conda_lock_names_the_files_of_every_platform() -> None:
    found = parse_environment(read("conda-lock.yml"))
    assert sorted(found.wants) == [
        f"linux-64: {MUTEX}#fe51de6107f9edc7aa4f786a70f4a883943bc9d39b3bb7307c04c41410990726",
        f"linux-64: {LINUX_TZ}",
        f"osx-arm64: {SQLITE}",
    ]
    assert found.platforms == ["linux-64", "osx-arm64"]
    assert found.notes == ["requests is a PyPI package; it does not pass."]


def test_a_pixi_lock_of_version_5_is_read() -> None:
    found = parse_environment(read("pixi-v5.lock"))
    assert sorted(found.wants) == [
        f"osx-arm64: {TZ_2024A}",
        f"osx-arm64: {LIBFFI}",
        f"osx-arm64: {SQLITE}",
    ]
    assert found.notes == ["idna is a PyPI package; it does not pass."]


def test_a_pixi_lock_of_version_6_names_the_files_of_all_environments() -> None:
    found = parse_environment(read("pixi-v6.lock"))
    assert sorted(found.wants) == [
        f"osx-arm64: {TZ_2024B}",
        f"win-64: {TZ_2024B}",
        f"win-64: {PYTHON}",
    ]
    assert found.platforms == ["osx-arm64", "win-64"]
    assert found.notes == ["child-package is built from source; it does not pass."]


def test_a_pixi_manifest_asks_per_platform_and_environment() -> None:
    found = parse_environment(read("pixi.toml"))
    numpy = "numpy >=1.26[build='py312*']"
    assert set(found.wants) == {
        "linux-64 (default): python 3.12.*", f"linux-64 (default): {numpy}",
        "linux-64 (test): python 3.12.*", f"linux-64 (test): {numpy}", "linux-64 (test): pytest >=8",
        "linux-64 (gpu): cuda 12.*",
        "win-64 (default): python 3.12.*", f"win-64 (default): {numpy}", "win-64 (default): pywin32",
        "win-64 (test): python 3.12.*", f"win-64 (test): {numpy}", "win-64 (test): pywin32",
        "win-64 (test): pytest >=8",
    }  # fmt: skip
    assert found.platforms == ["linux-64", "win-64"]
    assert set(found.notes) == {
        "tool is built from source; it does not pass.",
        "pip installs requests; it does not pass.",
    }


@pytest.mark.parametrize(
    ("name", "old", "new", "line", "said"),
    [
        ("environment.yml", "numpy >=1.26,<3", "numpy >>1", 6, "not a match spec"),
        ("environment.yml", "  - pip:", "  - npm:", 9, "only `pip:`"),
        ("environment.yml", "  - python=3.12", " - python=3.12\n    - x:", 6, ""),
        ("explicit.txt", "noarch/tzdata-2022g-h191b570_0.conda", "noarch/tzdata.conda", 7, "tzdata.conda"),
        ("explicit.txt", "#d7c89558ba9fa0495403155b64376d81", "#d7c8", 5, "neither an md5 nor a sha256"),
        ("conda-lock.yml", "  platform: osx-arm64\n", "", 38, "missing field `platform`"),
        ("conda-lock.yml", "metadata:", "metadata: [", 0, "line"),
        ("pixi-v5.lock", "version: 5", "version: 99", 1, "99"),
        ("pixi-v6.lock", "python-3.12.0-h2628c8c_0", "python-3.11.0-0", 8, "does not exist"),
        ("pixi.toml", 'python = "3.12.*"', 'python = ">>3"', 7, "not a match spec"),
        ("pixi.toml", 'test = ["test"]', 'test = ["tests"]', 27, "no feature 'tests'"),
        ("pixi.toml", "[dependencies]", "[dependencies", 6, ""),
        ("pixi.toml", '"win-64"]', '"Windows"]', 4, "Windows"),
    ],
)
def test_what_is_malformed_is_refused_with_line_and_reason(name: str, old: str, new: str, line: int, said: str) -> None:
    text = read(name)
    assert old in text
    with pytest.raises(Invalid) as caught:
        parse_environment(text.replace(old, new, 1))
    assert caught.value.code in {"environment-invalid", "lock-invalid"}
    assert said in caught.value.message
    assert line == 0 or caught.value.message.startswith(f"Line {line} "), caught.value.message


@pytest.mark.parametrize("text", ["", "hello", "dependencies: 3\n", "dependencies: []\n", "[dependencies]\n", "- a\n"])
def test_what_is_no_environment_is_refused(text: str) -> None:
    with pytest.raises(Invalid) as caught:
        parse_environment(text)
    assert caught.value.code == "environment-invalid"
    assert caught.value.message.startswith("Line 1 ")
