"""What people give when they ask: links, environments, and channels that go without saying."""

import pytest

from headgate.approvals.asking import Given, parse_link, place_of
from headgate.channels.model import ChannelKind
from headgate.conda.names import ChannelName, Subdir
from headgate.kernel.errors import Invalid

KINDS = {"outside": ChannelKind.MIRROR, "team/dev": ChannelKind.HOSTED, "inside": ChannelKind.HOSTED}
SOURCES = {"inside": ("outside",)}


@pytest.mark.parametrize(
    "link",
    [
        "https://conda.example/api/v1/channels/team/dev/why?file=linux-64/lib-1.0-0.conda",
        "/api/v1/channels/team/dev/why?file=linux-64%2Flib-1.0-0.conda",
        "https://conda.example/conda/team/dev/linux-64/lib-1.0-0.conda",
        "https://conda.example/conda/t/hg-some-token/team/dev/linux-64/lib-1.0-0.conda",
        "https://conda.example/requests/new?want=linux-64/lib-1.0-0.conda&target=team/dev",
        "https://conda.example/requests/new?want=linux-64%2Flib-1.0-0.conda&source=team%2Fdev",
    ],
)
def test_a_link_of_a_refused_download_names_its_file(link: str) -> None:
    linked = parse_link(link)
    assert (linked.channel, linked.want) == ("team/dev", "linux-64/lib-1.0-0.conda")


@pytest.mark.parametrize(
    "link",
    ["", "https://conda.example/", "https://x.example/conda/team", "/api/v1/channels/a/why?file=lib-1.0-0.conda",
     "/api/v1/channels/a/why?file=../../passwd", "/conda/a/linux-64/repodata.json", "/requests/new?want=lib&target=a",
     "/requests/new?want=linux-64/lib-1.0-0.conda"],
)  # fmt: skip
def test_what_is_no_such_link_is_refused(link: str) -> None:
    with pytest.raises(Invalid):
        parse_link(link)


@pytest.mark.parametrize(
    ("source", "target", "linked", "place"),
    [
        ("outside", "inside", None, ("outside", "inside")),
        (None, "inside", None, ("outside", "inside")),
        ("outside", None, None, ("outside", "inside")),
        (None, None, None, ("outside", "inside")),
        (None, None, "outside", ("outside", "inside")),
        (None, None, "inside", ("outside", "inside")),
    ],
)
def test_channels_that_go_without_saying_are_found(
    source: str | None, target: str | None, linked: str | None, place: tuple[str, str]
) -> None:
    assert place_of(source, target, ChannelName(linked) if linked else None, KINDS, SOURCES) == place


def test_what_nothing_tells_is_asked_for() -> None:
    for source, target in ((None, "team/dev"), ("elsewhere", None)):
        with pytest.raises(Invalid) as caught:
            place_of(source, target, None, KINDS, SOURCES)
        assert caught.value.code == "request-place-missing"
    with pytest.raises(Invalid):
        place_of(None, None, None, KINDS, {**SOURCES, "team/dev": ("outside",)})


def test_an_environment_adds_its_wants_and_platforms() -> None:
    text = "# platform: win-64\n@EXPLICIT\nhttps://c.example/noarch/lib-1.0-0.conda\n"
    read = Given(["own"], text).read()
    assert list(read.texts) == ["own", "win-64: noarch/lib-1.0-0.conda#"]
    assert read.platforms == ["win-64"]
    assert Given(["own"], text, [Subdir("linux-64")]).read().platforms == ["linux-64"]
    with pytest.raises(Invalid):
        Given().read()
