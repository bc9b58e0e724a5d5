"""Failures as problem documents, whatever raised them; no trace ever leaves the house."""

from collections.abc import Iterable, Mapping
from typing import Any

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from headgate.doors.problems import problem, problem_headers, status_of
from headgate.kernel.errors import HeadgateError, Invalid, NotFound, Unavailable

log = structlog.get_logger(__name__)


def install_errors(app: FastAPI) -> None:
    """Let the application answer every failure with a problem document."""
    app.add_exception_handler(HeadgateError, _answer)
    app.add_exception_handler(RequestValidationError, _answer_validation)
    app.add_exception_handler(HTTPException, _answer_http)
    app.add_middleware(_LastResort)


def problem_response(error: HeadgateError) -> JSONResponse:
    """The answer that shows an error."""
    return JSONResponse(problem(error), status_of(error), problem_headers(error))


async def _answer(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HeadgateError)
    return problem_response(error)


async def _answer_validation(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return problem_response(Invalid("request-invalid", "The request is not as it should be.", _reasons(error.errors())))


async def _answer_http(request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    response = problem_response(_of_framework(request, error))
    response.headers.update(error.headers or {})
    return response


def _of_framework(request: Request, error: HTTPException) -> HeadgateError:
    if error.status_code == 404:
        return NotFound("route-unknown", f"The API has nothing at {request.url.path}.")
    if error.status_code == 405:
        return Invalid("method-not-allowed", f"{request.method} is not possible here.")
    if error.status_code == 413:
        return Invalid("request-too-large", "The body of the request is larger than this route accepts.")
    return Invalid("request-invalid", "The body of the request cannot be read.")


def _reasons(errors: Iterable[Mapping[str, Any]]) -> list[str]:
    """One sentence per field, without the value: it may be a secret."""
    return [f"{'.'.join(str(part) for part in error['loc'])}: {error['msg']}." for error in errors]


class _LastResort:
    """Outermost: what nobody foresaw is logged, and answered with a sentence."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started = False

        async def watched(message: Message) -> None:
            nonlocal has_started
            has_started = True
            await send(message)

        try:
            await self._app(scope, receive, watched)
        except ClientDisconnect:
            log.info("client_left", method=scope.get("method"))
        except Exception:
            log.exception("request_failed", method=scope.get("method"))
            if has_started:
                raise
            error = Unavailable("internal-error", "Something went wrong in the server; its log says what.")
            await problem_response(error)(scope, receive, send)
