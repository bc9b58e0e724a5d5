"""Tiny packages, honest and hostile, made in memory."""

import bz2
import hashlib
import io
import json
import tarfile
import zipfile
from collections.abc import Iterable, Mapping
from typing import Any

import zstandard

Member = tuple[tarfile.TarInfo, bytes]
STEM = "demo-1.0-0"
INDEX = {"name": "demo", "version": "1.0", "build": "0", "build_number": 0, "depends": ["python >=3.11"]}


def file(path: str, content: bytes = b"") -> Member:
    member = tarfile.TarInfo(path)
    member.size = len(content)
    return member, content


def link(path: str, target: str, kind: bytes = tarfile.SYMTYPE) -> Member:
    member = tarfile.TarInfo(path)
    member.type, member.linkname = kind, target
    return member, b""


def special(path: str, kind: bytes) -> Member:
    member = tarfile.TarInfo(path)
    member.type = kind
    return member, b""


def document(path: str, value: object) -> Member:
    return file(path, json.dumps(value).encode())


def info(index: Mapping[str, Any] = INDEX, **others: object) -> list[Member]:
    """`info/index.json`, and `info/<key>.json` of each other value."""
    return [document("info/index.json", index), *(document(f"info/{key}.json", value) for key, value in others.items())]


def tar(members: Iterable[Member], kind: int = tarfile.GNU_FORMAT) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w", format=kind) as archive:
        for member, content in members:
            archive.addfile(member, io.BytesIO(content))
    return buffer.getvalue()


def zip_of(parts: Mapping[str, bytes], compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, content in parts.items():
            archive.writestr(name, content)
    return buffer.getvalue()


def conda_of(info_tar: bytes, pkg_tar: bytes, stem: str = STEM) -> bytes:
    compress = zstandard.ZstdCompressor().compress
    return zip_of(
        {
            "metadata.json": b'{"conda_pkg_format_version": 2}',
            f"pkg-{stem}.tar.zst": compress(pkg_tar),
            f"info-{stem}.tar.zst": compress(info_tar),
        }
    )


def conda(members: Iterable[Member] = (), about: Iterable[Member] | None = None, stem: str = STEM) -> bytes:
    """A `.conda` of these files, with an honest `info` unless another is given."""
    return conda_of(tar(info() if about is None else about), tar(members), stem)


def tar_bz2(members: Iterable[Member] = (), about: Iterable[Member] | None = None) -> bytes:
    """The same as a `.tar.bz2`."""
    return bz2.compress(tar([*(info() if about is None else about), *members]))


def wire_record(name: str = "demo", version: str = "1.0", build: str = "0", **more: Any) -> dict[str, Any]:
    """A record in the form of shards; its digests depend on what it is named."""
    seed = f"{name}-{version}-{build}".encode()
    number = int(build) if build.isdigit() else 0
    plain = {"name": name, "version": version, "build": build, "build_number": number, "depends": [], "size": 7}
    digests = {"md5": hashlib.md5(seed).digest(), "sha256": hashlib.sha256(seed).digest()}
    return plain | {"subdir": "linux-64"} | digests | more
