"""Every error as application/problem+json (RFC 9457): what happened, a stable code, and what to do next."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from http import HTTPStatus
from typing import Any, Final, get_args

import orjson
import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.responses import Response

from hostward.access.own_pace import CODE as TOO_OFTEN
from hostward.access.own_pace import TooOften
from hostward.access.throttle import TooManyAttempts
from hostward.domain.errors import (
    Conflict,
    DatabaseError,
    Forbidden,
    HostwardError,
    InvalidInput,
    Mistake,
    NotFound,
    PeerError,
    PreconditionFailed,
    RegistryError,
    TrustError,
    Unauthenticated,
    Unavailable,
    fields_of,
)
from hostward.domain.suggestions import did_you_mean, shown

MEDIA_TYPE: Final = "application/problem+json"
RETRY_AFTER_S: Final = 2

STATUSES: Final[Mapping[type[HostwardError], int]] = {
    InvalidInput: 422,
    NotFound: 404,
    Conflict: 409,
    PreconditionFailed: 412,
    Unauthenticated: 401,
    TooManyAttempts: 429,
    Forbidden: 403,
    Unavailable: 503,
    PeerError: 502,
    TrustError: 422,
    DatabaseError: 503,
    RegistryError: 503,
}
# Of whichever class: another server may have said so.
_STATUS_OF_CODE: Final = {"not-owner": 409, "disk-full": 507, TOO_OFTEN: 429}
_TITLES: Final = {409: "It contradicts what is there", 412: "Changed by somebody else", 422: "The data can't be used"}
_MAX_MISTAKES: Final = 100

log = structlog.get_logger()


def problem(
    status: int,
    detail: str,
    *,
    code: str,
    remedy: str = "",
    headers: Mapping[str, str] | None = None,
    **more: object,
) -> Response:
    """One problem as an answer."""
    title = _TITLES.get(status) or HTTPStatus(status).phrase
    body = {"type": f"urn:hostward:problem:{code}", "title": title, "status": status, "detail": detail}
    content = orjson.dumps({**body, "code": code, "remedy": remedy, **more}, default=str)
    return Response(content, status, headers, MEDIA_TYPE)


def status_of(error: HostwardError) -> int:
    """The HTTP status of an error of the one tree."""
    status = next((STATUSES[kind] for kind in type(error).__mro__ if kind in STATUSES), 500)
    return _STATUS_OF_CODE.get(error.code, status)


def problem_of(error: HostwardError) -> Response:
    """An error of the one tree as an answer."""
    status = status_of(error)
    headers: dict[str, str] = {}
    if status == 401:
        headers["WWW-Authenticate"] = 'Bearer realm="Hostward"'
    elif isinstance(error, TooManyAttempts | TooOften):
        headers["Retry-After"] = str(error.retry_after_s)
    elif status == 503:
        headers["Retry-After"] = str(RETRY_AFTER_S)
    if status >= 500:
        log.warning("request-not-carried-out", code=error.code, reason=error.message)
    fields: dict[str, Any] = dict(fields_of(error))
    return problem(status, error.message, headers=headers, **fields)


def add_problem_handlers(app: FastAPI) -> None:
    """Everything that goes wrong in the application is answered as a problem."""
    app.add_exception_handler(HostwardError, _on_hostward_error)
    app.add_exception_handler(HTTPException, _on_http_exception)
    app.add_exception_handler(RequestValidationError, _on_invalid_request)
    app.add_exception_handler(Exception, _on_defect)


async def _on_hostward_error(_: Request, error: Exception) -> Response:
    assert isinstance(error, HostwardError)
    return problem_of(error)


async def _on_http_exception(request: Request, error: Exception) -> Response:
    """What the framework refuses by itself. Nothing of the request is repeated in the answer."""
    assert isinstance(error, HTTPException)
    headers = dict(error.headers or {})
    description = "the API's description is openapi.json"
    match error.status_code:
        case 404:
            return problem(
                404, "There is nothing at this path.", code="no-such-path", remedy=f"Check its spelling; {description}."
            )
        case 405:
            allowed = ", ".join(_methods_at(request))
            return problem(
                405,
                "This path can't be used with this method.",
                code="method-not-allowed",
                remedy=f"Use {allowed}; {description}.",
                headers={**headers, "Allow": allowed},
            )
        case status:
            code = "body-unreadable" if status == 400 else HTTPStatus(status).phrase.lower().replace(" ", "-")
            return problem(status, error.detail, code=code, remedy="Mend the request.", headers=headers)


def _methods_at(request: Request) -> list[str]:
    """All methods of a path: the framework names only those of the first route that has the path."""
    path = request.url.path.split("/")
    found: set[str] = set()
    for template, operations in request.app.openapi()["paths"].items():
        parts = template.split("/")
        if len(parts) == len(path) and all(p == q or p.startswith("{") for p, q in zip(parts, path, strict=True)):
            found.update(method.upper() for method in operations)
    return sorted(found) or ["GET"]


async def _on_defect(_: Request, error: Exception) -> Response:
    log.error("request-failed", exc_info=error)
    return problem(
        500,
        "The server made a mistake; it is written in its log.",
        code="defect",
        remedy="Look at what was done, then try again. If it happens again, report logs/hostward.log.",
    )


async def _on_invalid_request(request: Request, error: Exception) -> Response:
    """Fields that the models of the API refuse, each with what was probably meant. Values aren't repeated: one may be
    a password in the wrong place."""
    assert isinstance(error, RequestValidationError)
    known = _models_of(request)
    mistakes = [_mistake(found, known, request) for found in error.errors()[:_MAX_MISTAKES]]
    return problem_of(
        InvalidInput(
            " ".join(f"{m.field}: {m.problem}" if m.field else m.problem for m in mistakes[:3]),
            remedy=" ".join(dict.fromkeys(m.remedy for m in mistakes[:3])),
            mistakes=mistakes,
        )
    )


def _models_of(request: Request) -> dict[str, list[Any]]:
    """The types of the request's body and query, as its route declares them."""
    dependant = getattr(request.scope.get("route"), "dependant", None)
    found = {"body": getattr(dependant, "body_params", ()), "query": getattr(dependant, "query_params", ())}
    return {place: [field.field_info.annotation for field in fields] for place, fields in found.items()}


def _mistake(found: Mapping[str, Any], models: Mapping[str, Sequence[Any]], request: Request) -> Mistake:
    place, *path = found["loc"]
    field = ".".join(str(part) for part in path)
    kind, context = found["type"], found.get("ctx", {})
    if kind == "json_invalid":
        return Mistake("", f"The body isn't JSON: {context.get('error')}.", "Send a JSON object.")
    if kind == "extra_forbidden":
        what = "parameter" if place == "query" else "field"
        name = str(path[-1])
        hint = did_you_mean(name, _names_at(models.get(place, ()), path[:-1]))
        return Mistake(field[:100], f"There is no {what} {shown(name)}.", f"{hint}Remove it.")
    if kind == "missing":
        return Mistake(field, f"{field or 'The body'} is missing.", "Add it.")
    if kind in ("enum", "literal_error"):
        return Mistake(field, "There is no such choice.", f"Use {context.get('expected')}.")
    if not path and place == "body" and "json" not in request.headers.get("content-type", ""):
        return Mistake("", "The body isn't sent as JSON.", "Send the header Content-Type: application/json.")
    return Mistake(field, f"{found['msg']}.", "See this operation in openapi.json.")


def _names_at(types: Sequence[Any], path: Sequence[str | int]) -> list[str]:
    """The names that there are where the path leads, within models and lists of models."""
    reached = list(types)
    for part in path:
        if isinstance(part, str):
            reached = [m.model_fields[part].annotation for m in _models(reached) if part in m.model_fields]
    return [name for model in _models(reached) for name in model.model_fields]


def _models(types: Sequence[Any]) -> Iterator[type[BaseModel]]:
    for one in types:
        if isinstance(one, type) and issubclass(one, BaseModel):
            yield one
        else:
            yield from _models(get_args(one))
