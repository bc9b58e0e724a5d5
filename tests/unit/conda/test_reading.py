"""Documents read by the outline of an earlier one."""

import json
from typing import Any

import pytest

from headgate.conda import reading
from headgate.conda.outlines import STYLES as WAYS
from headgate.conda.outlines import Outline
from headgate.conda.reading import read_document
from headgate.conda.repodata import split_repodata
from headgate.kernel.errors import Invalid

SIZE = 300
STYLES: dict[str, dict[str, Any]] = {"compact": {"separators": (",", ":")}, "default": {}, "lines": {"indent": 2}}


def channel() -> dict[str, Any]:
    """Three hundred packages, each with a file in both maps."""
    return {
        "info": {"subdir": "noarch"},
        "packages": {f"p{n:03}-1-0.tar.bz2": {"name": f"p{n:03}", "size": n} for n in range(SIZE)},
        "packages.conda": {f"p{n:03}-1-0.conda": {"name": f"p{n:03}", "size": n} for n in range(SIZE)},
        "removed": ["p007-0-0.conda"],
        "repodata_version": 1,
    }


def written(document: object, style: str = "compact") -> bytes:
    return json.dumps(document, **STYLES[style]).encode()


def outline(document: object, style: str = "compact") -> Outline:
    found = read_document(written(document, style)).outline
    assert found is not None
    return found


@pytest.fixture
def parsed(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The bytes of every text that is parsed as a document."""
    lengths: list[int] = []

    def split(document: bytes) -> Any:
        lengths.append(len(document))
        return split_repodata(document)

    monkeypatch.setattr(reading, "split_repodata", split)
    return lengths


@pytest.mark.parametrize("style", STYLES)
def test_only_what_differs_is_parsed(style: str, parsed: list[int]) -> None:
    old, new = channel(), channel()
    new["packages.conda"]["p100-2-0.conda"] = {"name": "p100"}
    new["packages.conda"] = dict(sorted(new["packages.conda"].items()))
    new["packages"]["p200-1-0.tar.bz2"] = {"name": "p200", "size": 0}
    del new["packages"]["p050-1-0.tar.bz2"]
    before = read_document(written(old, style))
    parsed.clear()
    after = read_document(written(new, style), before.outline)
    assert sum(parsed) < len(written(new, style)) / 25
    told = before.fingerprints, after.fingerprints
    assert {name for name in told[0] if told[0][name] != told[1][name]} == {"p050", "p100", "p200"}
    assert {name: after.fragments(name) for name in told[1]} == split_repodata(written(new, style)).names


@pytest.mark.parametrize("at", ["p000-0-0.tar.bz2", "p150-0-0.tar.bz2", "p299-9-0.tar.bz2"])
def test_a_build_that_comes_is_one_run_with_the_others_of_its_package(at: str, parsed: list[int]) -> None:
    new = channel()
    new["packages"] = dict(sorted({**new["packages"], at: {"name": at[:4]}}.items()))
    whole = read_document(written(new))
    parsed.clear()
    again = read_document(written(new), outline(channel()))
    assert again.outline == whole.outline
    assert again.fingerprints == whole.fingerprints


def test_the_outline_of_a_document_that_did_not_change_is_the_same(parsed: list[int]) -> None:
    before = outline(channel())
    parsed.clear()
    assert read_document(written(channel()), Outline.unpack(before.pack())).outline == before
    assert max(parsed) < 300


def test_a_file_that_changes_its_map_changes_its_package() -> None:
    new = channel()
    new["packages.conda"] = {"p000-1-0.tar.bz2": new["packages"].pop("p000-1-0.tar.bz2"), **new["packages.conda"]}
    before = outline(channel())
    after = read_document(written(new), before)
    assert after.fingerprints["p000"] != read_document(written(channel())).fingerprints["p000"]
    assert after.fragments("p000") == split_repodata(written(new)).names["p000"]


def test_what_looks_like_a_mark_is_not_one() -> None:
    new = channel()
    new["packages.conda"] = {"/0/599": 0, "/0/299": 0, **new["packages.conda"]}
    after = read_document(written(new), outline(channel()))
    assert after.skipped == ["/0/599", "/0/299"]
    assert after.fingerprints == read_document(written(new)).fingerprints


def test_a_run_within_a_record_is_no_member() -> None:
    new = channel()
    new["packages"], hidden = {}, new["packages"]
    new["more"] = {"packages": hidden}
    after = read_document(written(new), outline(channel()))
    assert after.fragments("p001").packages == {}
    assert list(after.extras) == ["more"]


def test_another_style_is_read_as_a_whole(parsed: list[int]) -> None:
    before = outline(channel())
    parsed.clear()
    after = read_document(written(channel(), "default"), before)
    assert parsed[-1] == len(written(channel(), "default"))
    assert sorted(after.fingerprints) == sorted(f"p{n:03}" for n in range(SIZE))


def test_a_document_turned_around_is_parsed_once_and_as_a_whole(parsed: list[int]) -> None:
    turned = channel()
    for key in ("packages", "packages.conda"):
        turned[key] = dict(reversed(turned[key].items()))
    before = outline(channel())
    parsed.clear()
    after = read_document(written(turned), before)
    assert parsed == [len(written(turned))]
    assert after.fingerprints == read_document(written(channel())).fingerprints


def test_an_uneven_document_has_no_outline_and_is_read() -> None:
    uneven = written(channel()).replace(b'"p003-1-0.conda":', b'"p003-1-0.conda" :')
    found = read_document(uneven, outline(channel()))
    assert found.outline is None
    assert found.fingerprints == read_document(uneven).fingerprints
    assert found.fragments("p003") == split_repodata(uneven).names["p003"]


def test_a_broken_document_is_told_of_as_a_whole() -> None:
    for broken in (written(channel())[:-40], b"", b"<html>"):
        with pytest.raises(Invalid) as whole:
            read_document(broken)
        with pytest.raises(Invalid) as error:
            read_document(broken, outline(channel()))
        assert (error.value.code, error.value.message) == (whole.value.code, whole.value.message)


def test_names_are_let_go_one_by_one_and_all_at_once() -> None:
    found = read_document(written(channel()), outline(channel()))
    assert found.records("p001") + found.records("nothing") < 2
    found.forget("p001")
    with pytest.raises(KeyError):
        found.fragments("p001")
    found.close()
    with pytest.raises(KeyError):
        found.fragments("p002")


@pytest.mark.parametrize("kept", [b"", b"\x28\xb5\x2f\xfd", Outline(WAYS[0], kind=0).pack()])
def test_an_outline_of_another_time_is_none(kept: bytes) -> None:
    assert Outline.unpack(kept) is None
