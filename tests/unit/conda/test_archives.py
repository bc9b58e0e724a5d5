import bz2
import contextlib
import hashlib
import io
import json
import struct
import tarfile
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import zstandard

from headgate.conda.archives import ArchiveInfo, ArchiveLimits, read_archive, to_record
from headgate.conda.names import ArtifactName
from headgate.conda.records import from_wire
from headgate.kernel.errors import Invalid
from tests.unit.conda.making import (
    INDEX,
    STEM,
    conda,
    conda_of,
    document,
    file,
    info,
    link,
    special,
    tar,
    tar_bz2,
    zip_of,
)

CONDA, TAR = f"{STEM}.conda", f"{STEM}.tar.bz2"
BOTH = pytest.mark.parametrize(("filename", "make"), [(CONDA, conda), (TAR, tar_bz2)])
# Made by hand to test readers: their index.json lacks what the indexer then filled in from the folder.
WITHOUT_SUBDIR = {f"{stem}-test-1.0.0-0.conda" for stem in ("dotslash", "sparse", "symlink", "zip64")}
ZEROS = bytes(20 << 20)


def read(data: bytes, filename: str = CONDA, **limits: int) -> ArchiveInfo:
    return read_archive(io.BytesIO(data), ArtifactName.parse(filename), ArchiveLimits(**limits))


def refusal(data: bytes, filename: str = CONDA, **limits: int) -> str:
    with pytest.raises(Invalid) as error:
        read(data, filename, **limits)
    assert error.value.message.startswith(f"{filename}: ")
    assert error.value.message.endswith(".")
    return error.value.code


@BOTH
def test_a_package_says_what_it_is(filename: str, make: Callable[..., bytes]) -> None:
    paths = [
        {"_path": "bin/x", "file_mode": "binary", "prefix_placeholder": "/p"},
        {"_path": "y", "file_mode": "text", "prefix_placeholder": "/p"},
        {"_path": "z", "path_type": "hardlink"},
    ]
    about = info(about={"home": "https://x"}, run_exports={"weak": ["demo"]}, paths={"paths": paths})
    members = [
        file("bin/x", b"x" * 100_000),
        file("y"),
        link("lib/a/z", "../../y"),
        link("hard", "bin/x", tarfile.LNKTYPE),
        special("empty", tarfile.DIRTYPE),
        file("bin/.demo-post-link.sh"),
        file("Scripts/.demo-pre-unlink.bat"),
        file("etc/conda/activate.d/demo.sh"),
        file("share/etc/conda/activate.d/no.sh"),
    ]
    assert read(make(members, about), filename) == ArchiveInfo(
        index=INDEX,
        about={"home": "https://x"},
        run_exports={"weak": ["demo"]},
        paths_count=3,
        has_paths=True,
        has_text_prefix=True,
        has_binary_prefix=True,
        install_scripts=["Scripts/.demo-pre-unlink.bat", "bin/.demo-post-link.sh", "etc/conda/activate.d/demo.sh"],
    )


@BOTH
def test_a_bare_package_is_one(filename: str, make: Callable[..., bytes]) -> None:
    found = read(make(), filename)
    assert (found.index, found.about, found.run_exports, found.has_paths) == (INDEX, {}, {}, False)
    assert not found.has_install_scripts


def test_paths_with_a_leading_dot_are_the_same_paths() -> None:
    assert read(conda(about=[document("./info/index.json", INDEX)])).index == INDEX


def test_old_run_exports_are_weak() -> None:
    assert read(conda(about=info(run_exports=["demo"]))).run_exports == {"weak": ["demo"]}


def test_record_is_index_with_what_the_server_knows() -> None:
    dressed_up = INDEX | {
        "indexed_timestamp": 1,
        "md5": "x",
        "size": 1,
        "url": "https://x",
        "run_exports": {},
        "own": 1,
    }
    found = read(conda(about=info(dressed_up, run_exports={"weak": ["demo"]})))
    assert to_record(found, size=7, md5="0a" * 16, sha256="0b" * 32) == INDEX | {
        "own": 1,
        "size": 7,
        "md5": "0a" * 16,
        "sha256": "0b" * 32,
        "run_exports": {"weak": ["demo"]},
    }
    found.run_exports = {}
    assert "run_exports" not in to_record(found, size=7, md5="", sha256="")


HOSTILE_MEMBERS = {
    "artifact-path-absolute": [file("/etc/passwd")],
    "artifact-path-escapes": [file("lib/../../etc/passwd")],
    "artifact-link-escapes": [link("lib/x", "../../etc")],
    "artifact-special-file": [special("dev/null", tarfile.CHRTYPE)],
    "artifact-path-through-link": [link("lib64", "lib"), file("lib64/x")],
    "artifact-path-unprintable": [file("a\nb")],
    "artifact-duplicate-member": [document("info/./index.json", INDEX)],
    "artifact-ratio-too-high": [file("zeros", ZEROS)],
    "artifact-header-too-large": [file("x/" * (2 << 20))],
}


@BOTH
@pytest.mark.parametrize(("code", "members"), HOSTILE_MEMBERS.items(), ids=list(HOSTILE_MEMBERS))
def test_members_that_could_do_harm_are_refused(filename, make, code, members) -> None:
    assert refusal(make(members), filename, max_ratio=100) == code


@pytest.mark.parametrize(
    "path", ["\\x", "C:/x", "c:x", "a\\..\\..\\b", "..", "../x", "a/..", "./../x"], ids=lambda path: path
)
def test_every_way_out_of_the_folder_is_refused(path: str) -> None:
    assert refusal(conda([file(path)])) in {"artifact-path-absolute", "artifact-path-escapes"}


@pytest.mark.parametrize("kind", [tarfile.SYMTYPE, tarfile.LNKTYPE])
@pytest.mark.parametrize("target", ["/etc", "..", "../x", "a/../../x", "a/..", "\\x", "C:\\x", "..\\x", "a\x07"])
def test_every_link_out_of_the_folder_is_refused(kind: bytes, target: str) -> None:
    assert refusal(conda([link("x", target, kind)])) == "artifact-link-escapes"


def test_a_symbolic_link_may_climb_where_a_hard_link_may_not() -> None:
    assert read(conda([link("a/b/c", "../../x")])).index == INDEX
    assert refusal(conda([link("a/b/c", "../../x", tarfile.LNKTYPE)])) == "artifact-link-escapes"


@pytest.mark.parametrize("kind", [tarfile.CHRTYPE, tarfile.BLKTYPE, tarfile.FIFOTYPE])
def test_devices_and_pipes_are_refused(kind: bytes) -> None:
    assert refusal(tar_bz2([special("x", kind)]), TAR) == "artifact-special-file"


@BOTH
def test_limits_are_those_given(filename: str, make: Callable[..., bytes]) -> None:
    data = make([file("a", b"x" * 50_000), file("b")], info(about={"x": "y" * 5000}))
    assert read(data, filename).index == INDEX
    assert refusal(data, filename, max_bytes=len(data) - 1) == "artifact-too-large"
    assert refusal(data, filename, max_members=3) == "artifact-too-many-members"
    assert refusal(data, filename, max_unpacked_bytes=50_000) == "artifact-unpacks-too-large"
    assert refusal(data, filename, max_info_bytes=5000) == "artifact-info-too-large"


@BOTH
def test_half_a_million_empty_members_are_not_walked_to_the_end(filename: str, make: Callable[..., bytes]) -> None:
    many = make(file(f"{number}") for number in range(20_000))
    assert refusal(many, filename, max_members=10_000) == "artifact-too-many-members"


def test_a_sparse_file_counts_as_large_as_it_would_be() -> None:
    member, _ = file("sparse")
    member.pax_headers = {
        "GNU.sparse.major": "0",
        "GNU.sparse.minor": "1",
        "GNU.sparse.map": "",
        "GNU.sparse.size": "9" * 15,
    }
    packed = conda_of(tar(info()), tar([(member, b"")], tarfile.PAX_FORMAT))
    assert refusal(packed) in {"artifact-unpacks-too-large", "artifact-corrupt"}


def test_zeros_behind_the_last_member_count_too() -> None:
    assert refusal(conda_of(tar(info()), tar([]) + ZEROS), max_ratio=100) == "artifact-ratio-too-high"


@pytest.mark.parametrize("hidden", [tar([file("/etc/passwd")]), b"x" * 512, bytes(1 << 20) + b"x"])
def test_nothing_hides_behind_the_last_member(hidden: bytes) -> None:
    assert refusal(conda_of(tar(info()), tar([file("a")]) + hidden)) == "artifact-trailing-data"
    assert refusal(bz2.compress(tar(info()) + hidden), TAR) == "artifact-trailing-data"


def test_a_broken_header_between_members_is_not_taken_for_the_end() -> None:
    first = tar([file("a")])[:512]
    assert refusal(conda_of(tar(info()), first + b"?" * 512 + tar([file("/b")]))) == "artifact-trailing-data"


@pytest.mark.parametrize("filename", [CONDA, TAR])
@pytest.mark.parametrize(
    ("data", "code"),
    [
        (b"", "artifact-empty"),
        (b"\n <!DOCTYPE html><html>404</html>", "artifact-html"),
        (b"\x7fELF" * 100, "artifact-not-an-archive"),
        (b"{}", "artifact-not-an-archive"),
    ],
)
def test_what_is_no_archive_is_told_apart(data: bytes, code: str, filename: str) -> None:
    assert refusal(data, filename) == code


def test_one_format_under_the_name_of_the_other_is_refused() -> None:
    assert refusal(conda(), TAR) == "artifact-not-an-archive"
    assert refusal(tar_bz2(), CONDA) == "artifact-not-an-archive"


@BOTH
@pytest.mark.parametrize("part", [0.2, 0.5, 0.9, 0.999])
def test_truncated_archives_are_refused(filename: str, make: Callable[..., bytes], part: float) -> None:
    data = make([file("a", bytes(range(256)) * 4000)])
    assert refusal(data[: int(len(data) * part)], filename) == "artifact-truncated"


def test_a_truncated_component_in_an_honest_zip_is_refused() -> None:
    compress = zstandard.ZstdCompressor().compress
    parts = {f"info-{STEM}.tar.zst": compress(tar(info()))}
    short = compress(tar([file("a", bytes(range(256)) * 4000)]))[:-20]
    assert refusal(zip_of(parts | {f"pkg-{STEM}.tar.zst": short})) == "artifact-truncated"


@BOTH
def test_a_flipped_bit_is_noticed(filename: str, make: Callable[..., bytes]) -> None:
    data = bytearray(make([file("a", bytes(range(256)) * 40)]))
    refused = 0
    for place in range(60, len(data), 37):
        spoilt = bytes(data[:place]) + bytes([data[place] ^ 1]) + bytes(data[place + 1 :])
        refused += 1
        with contextlib.suppress(Invalid):
            assert read(spoilt, filename).index == INDEX
            refused -= 1
    assert refused > 0


def test_components_must_be_there_once_and_stored() -> None:
    inner = zstandard.compress(tar(info()))
    outer = zstandard.compress(tar([]))
    honest = {f"info-{STEM}.tar.zst": inner, f"pkg-{STEM}.tar.zst": outer}
    assert read(zip_of(honest)).index == INDEX
    for name in honest:
        assert (
            refusal(zip_of({key: part for key, part in honest.items() if key != name})) == "artifact-component-missing"
        )
    assert refusal(zip_of(honest | {"info-other-1-0.tar.zst": inner})) == "artifact-component-missing"
    assert refusal(zip_of(honest, zipfile.ZIP_DEFLATED)) == "artifact-component-compressed"
    assert refusal(conda(stem="other-1.0-0")) == "artifact-component-missing"


def test_a_zip_must_read_the_same_from_both_ends() -> None:
    honest = conda()
    assert refusal(b"PK\3\4 in front" + honest) == "artifact-zip-ambiguous"
    directory = honest.index(b"PK\1\2")
    hidden = zip_of({f"info-{STEM}.tar.zst": b"other"})
    for gap in (b"gap", hidden[: hidden.index(b"PK\1\2")]):
        end = bytearray(honest[directory:])
        struct.pack_into("<I", end, end.index(b"PK\5\6") + 16, directory + len(gap))
        assert refusal(honest[:directory] + gap + end) == "artifact-zip-ambiguous"
    lying = bytearray(honest)
    struct.pack_into("<I", lying, 18, 0)
    assert refusal(bytes(lying)) == "artifact-zip-ambiguous"


def test_large_zips_say_their_sizes_elsewhere() -> None:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for part, content in (("info", tar(info())), ("pkg", tar([]))):
            with archive.open(f"{part}-{STEM}.tar.zst", "w", force_zip64=True) as member:
                member.write(zstandard.compress(content))
    assert read(buffer.getvalue()).index == INDEX


def test_a_zip_of_very_many_entries_is_refused_before_it_is_listed() -> None:
    assert refusal(zip_of({f"{number}": b"" for number in range(30_000)})) == "artifact-too-many-members"


def test_a_broken_component_is_corrupt() -> None:
    parts = {f"info-{STEM}.tar.zst": b"no zstd at all", f"pkg-{STEM}.tar.zst": b""}
    assert refusal(zip_of(parts)) == "artifact-corrupt"
    assert refusal(conda_of(b"no tar at all" * 100, tar([]))) == "artifact-corrupt"


@BOTH
@pytest.mark.parametrize(
    ("about", "code"),
    [
        ([], "artifact-index-missing"),
        ([file("info/index.json", b"{")], "artifact-info-invalid"),
        ([file("info/index.json", b"[]")], "artifact-info-invalid"),
        ([document("info/index.json", {"name": "demo"})], "artifact-info-invalid"),
        (info(INDEX | {"build_number": "0"}), "artifact-info-invalid"),
        (info(INDEX | {"depends": "python"}), "artifact-info-invalid"),
        ([link("info/index.json", "real.json")], "artifact-info-invalid"),
        ([*info(), file("info/about.json", b"[1]")], "artifact-info-invalid"),
        ([*info(), file("info/paths.json", b"\xff")], "artifact-info-invalid"),
        (info(INDEX | {"name": "other"}), "artifact-name-mismatch"),
        (info(INDEX | {"version": "1.1"}), "artifact-name-mismatch"),
        (info(INDEX | {"build": "1"}), "artifact-name-mismatch"),
        ([*info(), *info()], "artifact-duplicate-member"),
    ],
)
def test_info_must_be_right(filename: str, make: Callable[..., bytes], about, code: str) -> None:
    assert refusal(make(about=about), filename) == code


def test_index_in_the_other_component_is_a_second_one() -> None:
    assert refusal(conda(info())) == "artifact-duplicate-member"


@BOTH
def test_a_member_that_ends_too_early_is_refused(filename: str, make: Callable[..., bytes]) -> None:
    short = tar(info())[: 512 + 20]
    data = bz2.compress(short) if filename == TAR else conda_of(short, tar([]))
    assert refusal(data, filename) == "artifact-corrupt"


def test_a_zstd_bomb_is_left_before_it_is_large() -> None:
    zeros = zstandard.ZstdCompressor().compress(bytes(1 << 30))
    parts = {f"info-{STEM}.tar.zst": zstandard.compress(tar(info())), f"pkg-{STEM}.tar.zst": zeros}
    assert refusal(zip_of(parts)) == "artifact-ratio-too-high"


def test_every_real_archive_is_read_and_equals_its_record(shared: Path) -> None:
    read_count = 0
    for path in sorted(shared.glob("channels/*/*/repodata.json")):
        repodata = json.loads(path.read_bytes())
        for filename, record in (repodata["packages"] | repodata["packages.conda"]).items():
            data = path.with_name(filename).read_bytes()
            ours = to_record(
                read(data, filename),
                size=len(data),
                md5=hashlib.md5(data).hexdigest(),
                sha256=hashlib.sha256(data).hexdigest(),
            )
            ours.pop("run_exports", None)  # that generator wrote none
            if filename in WITHOUT_SUBDIR:
                ours["subdir"] = path.parent.name
            assert from_wire(ours) == record, path.with_name(filename)
            read_count += 1
    assert read_count == 364
