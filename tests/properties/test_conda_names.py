"""Law: what a parser of names accepts comes back as it was, and can never be a path or break a line."""

import re
from collections.abc import Callable

from hypothesis import given
from hypothesis import strategies as st

from headgate.conda.names import ArtifactName, ChannelName, PackageName, Sha256, Subdir, package_of
from headgate.kernel.errors import Invalid

PIECES = [*"ab1-_.+!/\\\0\n\r\x7f %:A", "..", "-1-0", "-0.conda", ".tar.bz2", "linux-64", "é", "．", "٣"]
NASTY = st.lists(st.sampled_from(PIECES), max_size=12).map("".join)
ANY = st.text(max_size=60) | NASTY
DANGEROUS = re.compile(r"\.\.|[/\\\x00-\x1f\x7f-\x9f%:\s]")


def accepted(parse: Callable[[str], object], text: str) -> object | None:
    try:
        return parse(text)
    except Invalid:
        return None


@given(ANY)
def test_no_parser_accepts_what_could_leave_its_place(text: str) -> None:
    for parse in (Subdir.parse, PackageName.parse, Sha256.parse, ArtifactName.parse):
        name = accepted(parse, text)
        assert name is None or (str(name) == text and not DANGEROUS.search(text) and text.isascii())


@given(ANY)
def test_a_channel_name_has_harmless_parts(text: str) -> None:
    name = accepted(ChannelName.parse, text)
    assert name is None or name == text
    assert name is None or all(part and part[0] != "." and not DANGEROUS.search(part) for part in text.split("/"))


@given(
    st.from_regex(r"[a-z0-9]{1,8}([._-][a-z0-9]{1,8}){0,4}", fullmatch=True),
    st.from_regex(r"[a-z0-9]{1,5}([._+!][a-z0-9]{1,5}){0,4}", fullmatch=True),
    st.from_regex(r"[a-zA-Z0-9_+]{1,20}", fullmatch=True),
    st.sampled_from([".conda", ".tar.bz2"]),
)
def test_artifact_names_round_trip(name: str, version: str, build: str, extension: str) -> None:
    filename = f"{name}-{version}-{build}{extension}"
    parsed = ArtifactName.parse(filename)
    assert (parsed.name, parsed.version, parsed.build, parsed.extension) == (name, version, build, extension)
    assert ArtifactName.parse(parsed.filename) == parsed
    assert package_of(filename) == package_of(parsed.stem) == PackageName.parse(name) == name


@given(st.binary(min_size=32, max_size=32))
def test_digests_round_trip(raw: bytes) -> None:
    assert Sha256.from_raw(raw).raw == raw
