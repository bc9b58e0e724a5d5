"""The application: routes, errors, and what OpenAPI says of them all."""

from typing import Any

from fastapi import Depends, FastAPI
from fastapi.security import APIKeyHeader, HTTPBearer

from headgate.doors.api import (
    access,
    advisories,
    advisory_feeds,
    artifacts,
    audit,
    authorities,
    backups,
    batches,
    bundles,
    channels,
    curations,
    exemptions,
    filters,
    grants,
    groups,
    incidents,
    jobs,
    keys,
    ldap,
    life,
    login,
    me,
    mirrors,
    oidc_providers,
    osv,
    packages,
    patches,
    pipelines,
    policies,
    promotions,
    reports,
    requests,
    revisions,
    roles,
    search,
    sessions,
    signing,
    streams,
    tokens,
    uploads,
    users,
    views,
    waiting,
    why,
)
from headgate.doors.api.errors import install_errors
from headgate.doors.api.models import ProblemAnswer
from headgate.doors.api.services import ApiServices

PREFIX = "/api/v1"

_ABOUT = """\
Credentials go into `Authorization: Bearer <token>` or `X-API-Key: <token>` (`X-ApiKey` and `X-Auth` are as good);
`Authorization: Basic` takes a token, or a user's password, as its password. The session of a browser is as good; what it
changes needs `X-CSRF-Token` with the `csrf_token` of `GET /me`. A failure is a problem document (RFC 9457)
with a `code` that never changes. Lists come in pages. A POST with a JSON body, or with none, heeds `Idempotency-Key`,
except where body or answer hold a secret.
"""
_PROBLEM: dict[str, Any] = {"model": ProblemAnswer}
_FAILURES: dict[int | str, dict[str, Any]] = {
    401: _PROBLEM | {"description": "Credentials are missing or not good."},
    403: _PROBLEM | {"description": "The caller may not do that."},
    404: _PROBLEM | {"description": "It does not exist."},
    409: _PROBLEM | {"description": "It contradicts what is there."},
    422: _PROBLEM | {"description": "The request cannot be understood or trusted."},
}
# Said for OpenAPI only: callers.py reads both headers itself.
_SCHEMES = [
    Depends(HTTPBearer(auto_error=False)),
    Depends(APIKeyHeader(name="X-API-Key", auto_error=False)),
]


class _Api(FastAPI):
    def openapi(self) -> dict[str, Any]:
        """The OpenAPI document; FastAPI knows one media type for answers, and problems have their own."""
        is_new = self.openapi_schema is None
        document = super().openapi()
        if is_new:
            for operation in (one for methods in document["paths"].values() for one in methods.values()):
                for status in _FAILURES:
                    content = operation["responses"][str(status)]["content"]
                    content["application/problem+json"] = content.pop("application/json")
        return document


def build_api(services: ApiServices) -> FastAPI:
    """The JSON API, version 1, on these services, at `/api/v1`."""
    app = _Api(
        title="Headgate",
        description=_ABOUT,
        version="1",
        openapi_url=f"{PREFIX}/openapi.json",
        docs_url=None,
        redoc_url=None,
        redirect_slashes=False,
        dependencies=_SCHEMES,
        responses=_FAILURES,
    )
    app.state.services = services
    install_errors(app)
    # In this order: what has more behind a channel's name is asked before what has less.
    for room in (
        requests,
        waiting,
        why,
        bundles,
        uploads,
        revisions,
        patches,
        life,
        batches,
        packages,
        artifacts,
        filters,
        mirrors,
        advisories,
        channels,
    ):
        app.include_router(room.router, prefix=PREFIX)
    for room in (
        policies,
        exemptions,
        incidents,
        audit,
        streams,
        reports,
        users,
        views,
        groups,
        roles,
        grants,
        access,
        ldap,
        tokens,
        sessions,
        oidc_providers,
        login,
        authorities,
        backups,
        jobs,
        keys,
        search,
        signing,
        promotions,
        pipelines,
        advisory_feeds,
        curations,
        me,
    ):
        app.include_router(room.router, prefix=PREFIX)
    app.include_router(osv.router)
    return app
