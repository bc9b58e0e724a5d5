"""Tiny real packages, built by conda's own library."""

import bz2
import hashlib
import io
import json
import tarfile
import tempfile
from pathlib import Path
from typing import Any

from conda_package_streaming.create import conda_builder


def package(
    name: str = "demo",
    version: str = "1.0",
    build: str = "0",
    *,
    extension: str = ".conda",
    subdir: str = "noarch",
    content: bytes = b"hello\n",
    about: dict[str, Any] | None = None,
    **index: Any,
) -> tuple[str, bytes]:
    """The file name and the bytes of a package with one file in it; `index` adds to or replaces keys of index.json."""
    stem = f"{name}-{version}-{build}"
    plain = {"name": name, "version": version, "build": build, "build_number": 0, "depends": [], "subdir": subdir}
    files = {
        "info/index.json": json.dumps(plain | index).encode(),
        "info/about.json": json.dumps({"summary": f"The {name} package."} | (about or {})).encode(),
        "info/files": f"share/{name}.txt\n".encode(),
        "info/paths.json": json.dumps({"paths": [_path(f"share/{name}.txt", content)], "paths_version": 1}).encode(),
        f"share/{name}.txt": content,
    }
    return f"{stem}{extension}", _conda(stem, files) if extension == ".conda" else _tar_bz2(files)


def archive(name: str, files: dict[str, bytes], version: str = "1.0") -> tuple[str, bytes]:
    """The file name and the bytes of a noarch package with these files."""
    plain = {"name": name, "version": version, "build": "0", "build_number": 0, "depends": [], "subdir": "noarch"}
    stem = f"{name}-{version}-0"
    return f"{stem}.conda", _conda(stem, {"info/index.json": json.dumps(plain).encode(), **files})


def _path(path: str, content: bytes) -> dict[str, Any]:
    digest = hashlib.sha256(content).hexdigest()
    return {"_path": path, "path_type": "hardlink", "sha256": digest, "size_in_bytes": len(content)}


def _conda(stem: str, files: dict[str, bytes]) -> bytes:
    with tempfile.TemporaryDirectory() as folder:
        with conda_builder(stem, folder) as tar:
            _fill(tar, files)
        return (Path(folder) / f"{stem}.conda").read_bytes()


def _tar_bz2(files: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        _fill(tar, files)
    return bz2.compress(buffer.getvalue())


def _fill(tar: tarfile.TarFile, files: dict[str, bytes]) -> None:
    for path, content in files.items():
        member = tarfile.TarInfo(path)
        member.size = len(content)
        tar.addfile(member, io.BytesIO(content))
