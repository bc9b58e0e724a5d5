"""S3 buckets: where they are, who signs, and that all else of a request is as ever."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest
from yarl import URL

from headgate.http.client import Outgoing
from headgate.http.network import Network, NetworkSettings, check_network, obstacle, resolve_urls
from headgate.http.proxies import Proxies
from headgate.http.s3 import check_s3_url, explain
from headgate.kernel.errors import Invalid, Unavailable
from tests.certificates import Authority
from tests.s3 import ACCESS_KEY, REGION, SECRET_KEY, S3Server

# Signs that a URL may spell in several ways; S3 knows one.
ODD = "noarch/odd-1!2.0+cu~1_é-0.conda"
KEYS: dict[str, Any] = {"s3_region": REGION, "s3_access_key": ACCESS_KEY, "s3_secret_key": SECRET_KEY}


@pytest.fixture(scope="module")
def s3() -> Iterator[S3Server]:
    with S3Server(public={"open"}) as server:
        for bucket in ("open", "closed"):
            server.put(bucket)
            server.put(f"{bucket}/main/{ODD}", b"0123456789")
        yield server


@asynccontextmanager
async def reaching(url: str, network: Network | None = None, **settings: Any) -> AsyncIterator[tuple[Outgoing, str]]:
    """Connections for a mirror with one URL, and the ordinary URL in its place."""
    chosen, [ordinary] = resolve_urls(network or Network(stall_timeout_s=5), [url], NetworkSettings(**settings))
    outgoing = Outgoing(chosen)
    try:
        yield outgoing, ordinary
    finally:
        await outgoing.close()


@pytest.mark.parametrize(
    ("url", "settings", "expected"),
    [
        ("s3://bucket/a/b", {}, "https://bucket.s3.us-east-1.amazonaws.com/a/b"),
        ("s3://bucket", {"s3_region": "eu-north-1"}, "https://bucket.s3.eu-north-1.amazonaws.com/"),
        ("s3://bucket/a", {"s3_region": "cn-north-1"}, "https://bucket.s3.cn-north-1.amazonaws.com.cn/a"),
        ("s3://bu.cket/a", {}, "https://s3.us-east-1.amazonaws.com/bu.cket/a"),
        ("s3://bucket/a", {"s3_path_style": True}, "https://s3.us-east-1.amazonaws.com/bucket/a"),
        ("s3://bucket/a+b/", {"s3_endpoint": "http://minio.example:9000"}, "http://minio.example:9000/bucket/a%2Bb/"),
        ("s3://bucket/a", {"s3_endpoint": "https://x.example/s3/"}, "https://x.example/s3/bucket/a"),
        ("s3://bucket/a", {"s3_endpoint": "https://x.example", "s3_path_style": False}, "https://bucket.x.example/a"),
    ],
)
def test_where_a_bucket_is(url: str, settings: dict[str, Any], expected: str) -> None:
    assert resolve_urls(Network(), [url], NetworkSettings(**settings))[1] == (expected,)


@pytest.mark.parametrize(
    "url", ["s3://", "s3://B/x", "s3://user:pw@bucket/x", "s3://bucket//x", "s3://bucket/../x", "s3://bucket/x?y=1"]
)
def test_what_is_no_bucket_is_refused(url: str) -> None:
    with pytest.raises(Invalid) as raised:
        check_s3_url(url)
    assert raised.value.code == "url-invalid"
    assert "pw" not in str(raised.value)


@pytest.mark.parametrize(
    "settings",
    [
        {"s3_region": "eu central"},
        {"s3_access_key": "only"},
        {"s3_secret_key": "only"},
        {"s3_endpoint": "minio:9000"},
        {"s3_endpoint": "http://user:pw@minio:9000"},
        {"s3_endpoint": "http://minio:9000/?x=1"},
    ],
)
def test_settings_that_do_not_fit(settings: dict[str, Any]) -> None:
    with pytest.raises(Invalid) as raised:
        check_network(NetworkSettings(**settings))
    assert raised.value.code == "s3-invalid"


async def test_private_bucket_is_read_with_keys_and_every_sign_of_a_name(s3: S3Server) -> None:
    async with reaching("s3://closed/main", s3_endpoint=s3.url, **KEYS) as (outgoing, url):
        async with outgoing.open(f"{url}/{ODD}") as answer:
            assert (answer.status, await answer.read(100)) == (200, b"0123456789")
            assert "X-Amz" not in answer.url
            etag = answer.headers["ETag"]
        async with outgoing.open(f"{url}/{ODD}", headers={"If-None-Match": etag}) as answer:
            assert answer.status == 304
        async with outgoing.open(f"{url}/{ODD}", headers={"Range": "bytes=2-4"}) as answer:
            assert (answer.status, await answer.read(100)) == (206, b"234")
            assert answer.headers["Content-Range"] == "bytes 2-4/10"
        async with outgoing.open(f"{url}/{ODD}", method="HEAD") as answer:
            assert answer.status == 200
        async with outgoing.open(f"{url}/absent") as answer:
            assert answer.status == 404


async def test_public_bucket_is_read_without_a_signature(s3: S3Server) -> None:
    async with (
        reaching("s3://open/main", s3_endpoint=s3.url, s3_unsigned=True) as (outgoing, url),
        outgoing.open(f"{url}/{ODD}") as answer,
    ):
        assert (answer.status, await answer.read(100)) == (200, b"0123456789")


@pytest.mark.parametrize(
    ("changes", "meaning"),
    [
        ({"s3_secret_key": "wrong"}, "s3_secret_key"),
        ({"s3_access_key": "AKIDOTHER"}, "s3_access_key"),
        ({"s3_region": "eu-west-1"}, "s3_region"),
    ],
)
async def test_refusal_says_what_to_correct(s3: S3Server, changes: dict[str, str], meaning: str) -> None:
    async with (
        reaching("s3://closed/main", s3_endpoint=s3.url, **{**KEYS, **changes}) as (outgoing, url),
        outgoing.open(f"{url}/{ODD}") as answer,
    ):
        assert answer.status == 403
        assert meaning in (explain(await answer.read(10_000)) or "")


async def test_credentials_of_the_environment_sign_when_there_are_no_own(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", ACCESS_KEY)
    monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET_KEY)
    monkeypatch.setenv("AWS_ENDPOINT_URL_S3", "http://elsewhere.example")
    async with (
        reaching("s3://closed/main", s3_endpoint=s3.url, s3_region=REGION) as (outgoing, url),
        outgoing.open(f"{url}/{ODD}") as answer,
    ):
        assert answer.status == 200


async def test_nothing_of_the_environment_is_mixed_with_own_keys(s3: S3Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_ACCESS_KEY_ID", "AKIDOTHER")
    monkeypatch.setenv("AWS_SESSION_TOKEN", "of-another-key")
    async with reaching("s3://closed/main", s3_endpoint=s3.url, **KEYS) as (outgoing, url):
        located = await outgoing.locate(f"{url}/{ODD}")
    assert located is not None
    assert "Security-Token" not in located


async def test_the_role_of_the_instance_signs_when_there_is_nothing_else(
    s3: S3Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", s3.url)
    async with (
        reaching("s3://closed/main", s3_endpoint=s3.url, s3_region=REGION) as (outgoing, url),
        outgoing.open(f"{url}/{ODD}") as answer,
    ):
        assert (answer.status, await answer.read(20)) == (200, b"0123456789")
    assert "PUT /latest/api/token 200" in s3.lines


async def test_no_credentials_anywhere_are_said_to_be_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AWS_METADATA_ENDPOINT", "http://127.0.0.1:1")
    async with reaching("s3://closed/main", s3_endpoint="http://127.0.0.1:1") as (outgoing, url):
        with pytest.raises(Unavailable) as raised:
            async with outgoing.open(f"{url}/x"):
                pass
    assert raised.value.code == "s3-credentials"
    assert "s3://closed" in raised.value.message


async def test_private_ca_counts_for_a_bucket_too(tmp_path: Path) -> None:
    authority = Authority("Storage CA")
    pair = tmp_path / "pair.pem"
    pair.write_text("".join(authority.issue("127.0.0.1")))
    with S3Server(certificate=pair) as server:
        server.put("closed")
        server.put("closed/x", b"found")
        async with reaching("s3://closed", s3_endpoint=server.url, **KEYS) as (outgoing, url):
            with pytest.raises(Unavailable) as raised:
                async with outgoing.open(f"{url}x"):
                    pass
            assert raised.value.code == "upstream-untrusted"
        network = Network(authorities=(authority.pem,))
        async with (
            reaching("s3://closed", network, s3_endpoint=server.url, **KEYS) as (outgoing, url),
            outgoing.open(f"{url}x") as answer,
        ):
            assert await answer.read(10) == b"found"


async def test_signature_stays_with_the_bucket() -> None:
    access = resolve_urls(Network(), ["s3://bucket/a"], NetworkSettings(**KEYS))[0].s3
    assert access is not None
    own = f"https://bucket.s3.{REGION}.amazonaws.com"
    assert access.bucket_of(URL(f"{own}/other/key")) is not None
    for elsewhere in (
        f"https://bucket2.s3.{REGION}.amazonaws.com/a",
        f"{own}:8443/a",
        f"http://bucket.s3.{REGION}.amazonaws.com/a",
        f"{own}/a?X-Amz-Signature=another",
    ):
        assert access.bucket_of(URL(elsewhere)) is None


@pytest.mark.parametrize(
    ("network", "url", "word"),
    [
        (Network(), "https://conda.example/x", None),
        (Network(), "file:///srv/x", "folder"),
        (Network(Proxies("http://proxy:1", "http://proxy:1")), "https://conda.example/x", "proxy"),
        (Network(Proxies("http://proxy:1", "http://proxy:1", ("conda.example",))), "https://conda.example/x", None),
        (Network(authorities=("PEM",)), "https://conda.example/x", "certificate"),
        (Network(is_verifying=False), "https://conda.example/x", "certificate"),
        (Network(client_certificate="PEM"), "https://conda.example/x", "client certificate"),
        (Network(bearer_token="t"), "https://conda.example/x", "credentials"),
        (Network(), "https://me:pw@conda.example/x", "credentials"),
        (Network(), "https://conda.example/t/abc/x", "credentials"),
    ],
)
async def test_when_a_client_can_be_sent_to_the_upstream(network: Network, url: str, word: str | None) -> None:
    found = obstacle(network, url)
    assert (found is None) == (word is None)
    assert word is None or word in (found or "")
    assert await Outgoing(network).locate(url) == (url if word is None else None)
