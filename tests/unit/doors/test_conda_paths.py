import pytest

from headgate.doors.conda.paths import parse_path
from headgate.kernel.errors import HeadgateError, Invalid, NotFound


@pytest.mark.parametrize(
    ("raw", "channel", "subdir", "document"),
    [
        (b"/conda/forge/linux-64/repodata.json.zst", "forge", "linux-64", "repodata.json.zst"),
        (b"/get/forge/noarch/repodata.json", "forge", "noarch", "repodata.json"),
        (b"/api/repo/forge/noarch/repodata.json", "forge", "noarch", "repodata.json"),
        (b"/conda/team/dev/noarch/run_exports.json", "team/dev", "noarch", "run_exports.json"),
        (b"/conda/team/label/dev/noarch/run_exports.json", "team/dev", "noarch", "run_exports.json"),
        (b"/conda/team/label/main/noarch/repodata.json", "team", "noarch", "repodata.json"),
        (b"/conda/forge/channeldata.json", "forge", None, "channeldata.json"),
        (b"/conda/forge/notices.json", "forge", None, "notices.json"),
    ],
)
def test_documents_are_recognised(raw, channel, subdir, document):
    path = parse_path(raw)
    assert (path.channel, path.subdir, path.document) == (channel, subdir, document)


@pytest.mark.parametrize(
    "raw",
    [
        b"/t/hg-a-b/conda/forge/noarch/repodata.json",
        b"/conda/t/hg-a-b/forge/noarch/repodata.json",
        b"/t/hg-a-b/get/forge/noarch/repodata.json",
        b"/get/t/hg-a-b/forge/noarch/repodata.json",
        b"/api/repo/t/hg-a-b/forge/noarch/repodata.json",
        b"/t/hg-a-b/forge/noarch/repodata.json",
    ],
)
def test_a_token_is_found_wherever_clients_put_it(raw):
    path = parse_path(raw)
    assert (path.token, path.channel, path.document) == ("hg-a-b", "forge", "repodata.json")


def test_shards_artifacts_and_listings_are_told_apart():
    digest = "ab" * 32
    assert parse_path(f"/conda/forge/noarch/shards/{digest}.msgpack.zst".encode()).shard == digest
    artifact = parse_path(b"/conda/forge/linux-64/x-1%2110.0-h1_0.tar.bz2").artifact
    assert artifact is not None
    assert (artifact.version, artifact.extension) == ("1!10.0", ".tar.bz2")
    assert parse_path(b"/conda/team/dev").is_listing
    assert parse_path(b"/conda/team/dev/").channel == "team/dev"


@pytest.mark.parametrize(
    "raw",
    [
        b"/conda/forge/noarch/../../etc/passwd",
        b"/conda/forge/noarch/%2e%2e/x-1-0.conda",
        b"/conda/forge/noarch/..%2f..%2fetc%2fpasswd",
        b"/conda/forge/noarch/a%5cb-1-0.conda",
        b"/conda/forge/noarch/repodata.json%00.png",
        b"/conda/forge/noarch/%ff%fe-1-0.conda",
        b"/conda/forge/noarch/" + b"a" * 4000 + b".conda",
    ],
)
def test_what_no_client_sends_is_refused(raw):
    with pytest.raises(Invalid) as refused:
        parse_path(raw)
    assert refused.value.code == "path-invalid"


@pytest.mark.parametrize(
    "raw",
    [
        b"/conda/forge//repodata.json",
        b"/conda/forge/linux-64/shards/nothex.msgpack.zst",
        b"/conda/UPPER/noarch/repodata.json",
        b"/conda/forge/not_a_subdir/repodata.json",
        b"/conda/forge/noarch/no-version.conda",
        b"/conda/repodata.json",
        b"/conda/forge/linux-64/repodata.info.json",
        b"/conda/forge/linux-64/index.html",
        b"/conda/forge/linux-64/",
    ],
)
def test_what_no_channel_serves_is_not_found(raw):
    with pytest.raises(NotFound) as refused:
        parse_path(raw)
    assert isinstance(refused.value, HeadgateError)
    assert refused.value.code == "path-unknown"
