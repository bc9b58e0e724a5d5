"""A real S3 API for tests: the server of moto in a thread of this process, before which every signature is verified.

moto itself lets anybody read anything. Here a bucket is private unless it is named public, and a request to a private one
must bear, in its query, the signature that botocore computes for it. Under `/latest/` it tells an instance its role.
"""

import ssl
import threading
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self
from urllib.parse import parse_qs, quote, urlsplit

from botocore.auth import S3SigV4QueryAuth
from botocore.awsrequest import AWSRequest
from botocore.credentials import Credentials
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import BaseWSGIServer, WSGIRequestHandler, make_server
from werkzeug.test import Client

ACCESS_KEY, SECRET_KEY, REGION = "AKIDEXAMPLE", "s3-s3cret", "eu-central-1"
# What moto gives to whoever asks as an instance (EC2): keys that count with a token alone.
_ROLE_KEY, _ROLE_SECRET, _ROLE_TOKEN = "test-key", "test-secret-key", "test-session-token"
_SECRETS = {(ACCESS_KEY, None): SECRET_KEY, (_ROLE_KEY, _ROLE_TOKEN): _ROLE_SECRET}
_METADATA = "/latest/"

_REFUSAL = '<?xml version="1.0" encoding="UTF-8"?><Error><Code>{code}</Code><Message>No.</Message></Error>'


class S3Server:
    """`with S3Server(public={"open"}) as s3: s3.fill("open", folder)`; `lines` lists what was asked, and the answers."""

    def __init__(self, public: Iterable[str] = (), certificate: Path | None = None) -> None:
        self.lines: list[str] = []
        self._public = frozenset(public)
        self._moto = DomainDispatcherApplication(create_backend_app)
        context = None
        if certificate is not None:
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(certificate)
        self._server: BaseWSGIServer = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet, ssl_context=context
        )
        self.url = f"http{'s' if context else ''}://127.0.0.1:{self._server.server_port}"
        self._thread = threading.Thread(target=self._server.serve_forever, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def put(self, path: str, body: bytes = b"") -> None:
        """Make a bucket, or an object: `bucket/key`; past the check of signatures."""
        acl = {"x-amz-acl": "public-read"} if path.split("/", maxsplit=1)[0] in self._public else {}
        made = Client(self._moto).put(f"/{quote(path)}", base_url=self.url, data=body, headers=acl)
        assert made.status_code == 200, made.text

    def fill(self, bucket: str, folder: Path, prefix: str = "") -> None:
        """Make a bucket of all files in a folder."""
        self.put(bucket)
        for path in sorted(folder.rglob("*")):
            if path.is_file():
                self.put(f"{bucket}/{prefix}{path.relative_to(folder).as_posix()}", path.read_bytes())

    def _answer(self, environ: dict[str, Any], start_response: Any) -> Iterable[bytes]:
        code = self._refusal(environ)
        line = f"{environ['REQUEST_METHOD']} {urlsplit(environ['RAW_URI']).path}"
        if code is not None:
            self.lines.append(f"{line} 403")
            start_response("403 Forbidden", [("Content-Type", "application/xml")])
            return [_REFUSAL.format(code=code).encode()]

        def begin(status: str, headers: Any, *rest: Any) -> Any:
            self.lines.append(f"{line} {status.partition(' ')[0]}")
            return start_response(status, headers, *rest)

        found: Iterable[bytes] = self._moto(environ, begin)
        return found

    def _refusal(self, environ: Mapping[str, Any]) -> str | None:
        """The code of the error with which S3 refuses the request, None when it may pass."""
        parts = urlsplit(environ["RAW_URI"])
        given = {key: values[0] for key, values in parse_qs(parts.query).items()}
        signature = given.get("X-Amz-Signature")
        if parts.path.startswith(_METADATA):
            return None
        if signature is None:
            return None if parts.path.split("/")[1] in self._public else "AccessDenied"
        access_key, _, region, *_ = given["X-Amz-Credential"].split("/")
        secret = _SECRETS.get((access_key, given.get("X-Amz-Security-Token")))
        if secret is None:
            return "InvalidAccessKeyId"
        if region != REGION:
            return "AuthorizationQueryParametersError"
        query = "&".join(one for one in parts.query.split("&") if not one.startswith("X-Amz-Signature="))
        request = AWSRequest(
            environ["REQUEST_METHOD"], f"{self.url}{parts.path}?{query}", headers={"Host": environ["HTTP_HOST"]}
        )
        request.context["timestamp"] = given["X-Amz-Date"]
        signer = S3SigV4QueryAuth(Credentials(access_key, secret), "s3", REGION)
        wanted = signer.signature(signer.string_to_sign(request, signer.canonical_request(request)), request)
        return None if wanted == signature else "SignatureDoesNotMatch"


class _Quiet(WSGIRequestHandler):
    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002 - the name is the library's
        pass
