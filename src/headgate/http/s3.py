"""S3 buckets as upstreams: read at an ordinary URL, with a signature added to each request's query.

s3://bucket/prefix --find_url--> https://bucket.s3.region.amazonaws.com/prefix --sign--> the same, signed

Signature and credentials alone are S3's. The request leaves like every other, so that proxies, CAs, limits and the rules
for redirects hold. AWS Signature Version 4 with query parameters:
https://docs.aws.amazon.com/AmazonS3/latest/API/sigv4-query-string-auth.html
"""

import re
from dataclasses import dataclass, field
from datetime import timedelta
from typing import TYPE_CHECKING, Any, Final, Literal
from urllib.parse import quote, unquote

import structlog
from yarl import URL

from headgate.kernel.errors import Invalid, Unavailable

if TYPE_CHECKING:
    from obstore.store import RetryConfig, S3Store

SCHEME: Final = "s3://"
DEFAULT_REGION: Final = "us-east-1"
# Long enough for a clock that is a little wrong, and for the retries of one request.
_VALID: Final = timedelta(minutes=15)

_BUCKET: Final = re.compile(r"[a-z0-9][a-z0-9.-]{1,61}[a-z0-9]")
_REGION: Final = re.compile(r"[a-z0-9-]{1,40}")
_CODE: Final = re.compile(rb"<Code>(\w{1,60})</Code>")
_ELSEWHERE: Final = "the bucket is in another region: set s3_region."
_MEANINGS: Final = {
    "AccessDenied": "the credentials are right, and may not read this: allow them s3:GetObject and s3:ListBucket.",
    "AuthorizationHeaderMalformed": _ELSEWHERE,
    "AuthorizationQueryParametersError": _ELSEWHERE,
    "IllegalLocationConstraintException": _ELSEWHERE,
    "InvalidAccessKeyId": "there is no such access key: correct s3_access_key.",
    "NoSuchBucket": "there is no such bucket: check its name, s3_region and s3_endpoint.",
    "PermanentRedirect": _ELSEWHERE,
    "RequestTimeTooSkewed": "the clock of this machine is wrong, or the service's is.",
    "SignatureDoesNotMatch": "the secret key is not that of the access key: correct s3_secret_key.",
}
_SAFE: Final = "/-._~"
_AT_ONCE: "Final[RetryConfig]" = {"max_retries": 1, "retry_timeout": timedelta(seconds=10)}

Method = Literal["GET", "HEAD"]

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Bucket:
    """A bucket, and the URL that its keys follow, which ends in a slash."""

    name: str
    base: URL


@dataclass(frozen=True, slots=True)
class S3Access:
    """The buckets of one mirror, and how requests to them are signed.

    Without a key the credentials come from the environment, a container or the instance, as `obstore` finds them.
    """

    buckets: tuple[Bucket, ...]
    region: str = DEFAULT_REGION
    access_key: str | None = None
    secret_key: str | None = field(default=None, repr=False)
    is_unsigned: bool = False

    def bucket_of(self, url: URL) -> Bucket | None:
        """The bucket in which a URL names an object; None for other URLs, and for those that are signed already."""
        if url.query_string:
            return None
        return next((one for one in self.buckets if str(url).startswith(str(one.base))), None)

    @property
    def shown(self) -> str:
        """Whose credentials sign, for people."""
        if self.is_unsigned:
            return "Requests are not signed: the bucket has to be public."
        if self.access_key is None:
            return "Requests are signed with what the environment or the instance's role gives."
        return f"Requests are signed with access key {self.access_key}."


def is_s3(url: str) -> bool:
    """Whether a URL names a bucket."""
    return url.startswith(SCHEME)


def check_s3_url(url: str) -> None:
    """Raises Invalid `url-invalid` unless it is `s3://bucket` or `s3://bucket/prefix`."""
    bucket, _, prefix = url.removeprefix(SCHEME).partition("/")
    has_odd_parts = any(part in {"", ".", ".."} for part in prefix.rstrip("/").split("/")) and prefix.strip("/")
    if not _BUCKET.fullmatch(bucket) or has_odd_parts or any(sign in prefix for sign in "?#"):
        raise Invalid(
            "url-invalid",
            "An S3 channel is written s3://bucket or s3://bucket/prefix; region, endpoint and keys are settings.",
        )


def check_s3(region: str | None, endpoint: str | None, access_key: str | None, secret_key: str | None) -> None:
    """Raises Invalid `s3-invalid`."""
    if region is not None and not _REGION.fullmatch(region):
        raise Invalid("s3-invalid", f"{region!r} is not an S3 region: write eu-central-1, for instance.")
    if (access_key is None) != (secret_key is None):
        raise Invalid("s3-invalid", "s3_access_key and s3_secret_key belong together: give both, or none.")
    if endpoint is not None and not _is_endpoint(endpoint):
        raise Invalid(
            "s3-invalid", "s3_endpoint is the URL of an S3 service: https://minio.example:9000, for instance."
        )


def find_bucket(url: str, region: str, endpoint: str | None, *, has_path_style: bool | None) -> Bucket:
    """Where the bucket of an `s3://` URL is.

    Its name is part of the host at AWS, and of the path at another endpoint or when it has a dot, unless told otherwise.
    """
    name = url.removeprefix(SCHEME).partition("/")[0]
    suffix = ".cn" if region.startswith("cn-") else ""
    service = URL(endpoint or f"https://s3.{region}.amazonaws.com{suffix}")
    is_in_path = (endpoint is not None or "." in name) if has_path_style is None else has_path_style
    path = service.path.rstrip("/")
    if is_in_path:
        return Bucket(name, service.with_path(f"{path}/{name}/"))
    return Bucket(name, service.with_host(f"{name}.{service.host}").with_path(f"{path}/"))


def find_url(url: str, bucket: Bucket) -> str:
    """The ordinary URL of an `s3://` one in that bucket."""
    prefix = unquote(url.removeprefix(SCHEME).partition("/")[2])
    return str(bucket.base) + quote(prefix, safe=_SAFE)


def without_signature(url: URL) -> URL:
    """The URL as it was before it was signed, ours or one that an upstream led to."""
    return url.with_query(None) if "X-Amz-Signature" in url.query else url


def explain(answer: bytes) -> str | None:
    """What an error of S3 means and what to do, from the XML of its answer; None for anything else."""
    code = _CODE.search(answer)
    return None if code is None else _MEANINGS.get(code[1].decode())


class Signer:
    """Adds signatures to the URLs of one mirror's buckets."""

    def __init__(self, access: S3Access) -> None:
        self._access = access
        self._stores: dict[Bucket, S3Store] = {}

    async def sign(self, method: str, url: URL) -> URL:
        """The URL to ask instead of `url`; the same one when it is in none of the buckets.

        Raises Unavailable `s3-credentials` when no credentials can be found, Invalid `upstream-url` for other methods.
        """
        bucket = self._access.bucket_of(url)
        if bucket is None:
            return url
        key = unquote(url.raw_path.removeprefix(bucket.base.raw_path))
        if self._access.is_unsigned or not key:
            # S3 takes a bare `+` for a space.
            return URL(str(bucket.base) + quote(key, safe=_SAFE), encoded=True)
        if method not in {"GET", "HEAD"}:
            raise Invalid("upstream-url", f"s3://{bucket.name} is only read from.")
        return URL(await self._signed("HEAD" if method == "HEAD" else "GET", bucket, key), encoded=True)

    async def _signed(self, method: Method, bucket: Bucket, key: str) -> str:
        # Ten megabytes that only a server with S3 mirrors needs.
        import obstore  # noqa: PLC0415 - as said
        from obstore.exceptions import BaseError  # noqa: PLC0415 - as said

        if bucket not in self._stores:
            self._stores[bucket] = self._store(bucket)
        try:
            return await obstore.sign_async(self._stores[bucket], method, key, _VALID)
        except BaseError as error:
            log.warning("s3_credentials_missing", bucket=bucket.name, reason=str(error).partition("\n")[0])
            raise Unavailable(
                "s3-credentials",
                f"No credentials were found for s3://{bucket.name}: neither the environment nor the instance's role gives "
                "any. Set s3_access_key and s3_secret_key, or s3_unsigned for a public bucket.",
            ) from None

    def _store(self, bucket: Bucket) -> "S3Store":
        from obstore.store import S3Store  # noqa: PLC0415 - as above

        access, own, endpoint = self._access, dict[str, Any](), str(bucket.base).rstrip("/")
        if access.access_key is not None:
            # Given so, nothing of the environment is mixed in.
            keys = {"access_key_id": access.access_key, "secret_access_key": access.secret_key}
            own["credential_provider"] = lambda: {**keys, "token": None, "expires_at": None}
        return S3Store(
            bucket.name,
            # The environment must not say otherwise.
            endpoint=endpoint,
            aws_endpoint_url_s3=endpoint,
            skip_signature=False,
            virtual_hosted_style_request=True,  # the endpoint names the bucket already, wherever that stands
            region=access.region,
            client_options={"allow_http": True, "timeout": "10s", "connect_timeout": "3s"},
            retry_config=_AT_ONCE,
            **own,
        )


def _is_endpoint(text: str) -> bool:
    try:
        url = URL(text)
        is_bare = not (url.user or url.password or url.query_string or url.fragment)
        return url.scheme in {"http", "https"} and bool(url.host) and url.port is not None and is_bare
    except ValueError:
        return False
