"""Lock files of three kinds name the same files."""

from pathlib import Path

import pytest

from headgate.conda.locks import read_lock
from headgate.kernel.errors import Invalid

LIB, PLAIN = "a" * 64, "b" * 64
BASE = "https://conda.example/t/tk-secret/main"
EXPLICIT = f"""\
# platform: linux-64
@EXPLICIT
{BASE}/linux-64/lib-2.0-0.conda#{LIB}
{BASE}/noarch/plain-1!1.0-0.tar.bz2#d41d8cd98f00b204e9800998ecf8427e
"""
PIXI = f"""\
version: 6
environments:
  default:
    channels:
    - url: {BASE}/
    packages:
      linux-64:
      - conda: {BASE}/linux-64/lib-2.0-0.conda
      - pypi: https://files.example/demo-1.0-py3-none-any.whl
  docs:
    channels:
    - url: {BASE}/
    packages:
      linux-64:
      - conda: {BASE}/noarch/plain-1.0-0.tar.bz2
packages:
- conda: {BASE}/linux-64/lib-2.0-0.conda
  sha256: {LIB}
  size: 2562
- conda: {BASE}/noarch/plain-1.0-0.tar.bz2
  sha256: {PLAIN}
  size: 2562
- pypi: https://files.example/demo-1.0-py3-none-any.whl
  name: demo
  version: '1.0'
  sha256: {LIB}
"""
CONDA_LOCK = f"""\
version: 1
metadata:
  content_hash:
    linux-64: aaaa
  channels:
  - url: main
    used_env_vars: []
  platforms:
  - linux-64
  sources:
  - environment.yml
package:
- name: lib
  version: '2.0'
  manager: conda
  platform: linux-64
  dependencies: {{}}
  url: {BASE}/linux-64/lib-2.0-0.conda
  hash:
    md5: d41d8cd98f00b204e9800998ecf8427e
    sha256: {LIB}
  category: main
  optional: false
"""


@pytest.mark.parametrize(
    ("filename", "text", "files"),
    [
        ("explicit.txt", EXPLICIT, {"linux-64/lib-2.0-0.conda": LIB, "noarch/plain-1!1.0-0.tar.bz2": ""}),
        ("pixi.lock", PIXI, {"linux-64/lib-2.0-0.conda": LIB, "noarch/plain-1.0-0.tar.bz2": PLAIN}),
        ("conda-lock.yml", CONDA_LOCK, {"linux-64/lib-2.0-0.conda": LIB}),
    ],
)
def test_a_lock_names_its_files(tmp_path: Path, filename: str, text: str, files: dict[str, str]) -> None:
    (tmp_path / filename).write_text(text)
    assert read_lock(tmp_path / filename) == files


@pytest.mark.parametrize("text", ["", "@EXPLICIT\n", "version: 6\n", "@EXPLICIT\nhttps://x.example/nothing\n", "\x00"])
def test_what_is_no_lock_is_refused(tmp_path: Path, text: str) -> None:
    (tmp_path / "lock").write_text(text)
    with pytest.raises(Invalid) as raised:
        read_lock(tmp_path / "lock")
    assert raised.value.code in {"lock-invalid", "subdir-invalid", "artifact-name-invalid"}


def test_a_lock_that_is_not_there_is_said_to_be_missing(tmp_path: Path) -> None:
    with pytest.raises(Invalid) as raised:
        read_lock(tmp_path / "nowhere.lock")
    assert raised.value.code == "lock-invalid"
