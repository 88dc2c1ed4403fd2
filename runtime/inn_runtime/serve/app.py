"""The page and what it asks for over HTTP. Nothing that a client sends names a file."""

from __future__ import annotations

import asyncio
import ipaddress
import logging
import socket
from collections.abc import Awaitable, Callable, Sequence
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any, TypeVar
from urllib.parse import urlsplit

from anyio import CapacityLimiter
from anyio.to_thread import run_sync
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from ..errors import InnError, UsageError
from .pictures import MAX_UPLOAD_BYTES, PictureError, decode, read_sample, thumbnail
from .workbench import Workbench

UPLOAD_SECONDS = 30.0
AT_ONCE = 3
"""Pictures decoded at a time: each may take some hundred megabytes."""
PAGE = {
    "/": ("index.html", "text/html"),
    "/icon.svg": ("icon.svg", "image/svg+xml"),
    "/style.css": ("style.css", "text/css"),
    "/app.js": ("app.js", "text/javascript"),
    "/chart.js": ("chart.js", "text/javascript"),
}
HEADERS = {
    "content-security-policy": "default-src 'none'; script-src 'self'; style-src 'self'; connect-src 'self'; "
    "img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
    "x-content-type-options": "nosniff",
    "referrer-policy": "no-referrer",
    "cross-origin-resource-policy": "same-origin",
    "permissions-policy": "camera=(self), microphone=(), geolocation=()",
    "cache-control": "no-store",
}
logger = logging.getLogger("inn.serve")
Result = TypeVar("Result")
Number = TypeVar("Number", int, float)


def make_app(workbench: Workbench, samples: Sequence[Path] = (), hosts: Sequence[str] = ()) -> Starlette:
    """The web application.

    Parameters
    ----------
    workbench : answers the page's requests
    samples : picture files that the page offers, known to clients by number alone
    hosts : names under which browsers may reach this device, besides ``localhost``, its own name and
        any IP address. Another name means that a foreign page has had its own name point here.
    """
    few = CapacityLimiter(AT_ONCE)

    async def in_thread(function: Callable[..., Result], *arguments: Any) -> Result:
        return await run_sync(function, *arguments, limiter=few)

    async def model(request: Request) -> Response:
        return JSONResponse({**workbench.describe(), "samples": len(samples), "max_bytes": MAX_UPLOAD_BYTES})

    async def sample(request: Request) -> Response:
        index = request.path_params["index"]
        content = await in_thread(lambda: thumbnail(read_sample(samples, index)))
        return Response(content, media_type="image/png")

    async def answer(request: Request) -> Response:
        size = _parameter(request, "size")
        if "sample" in request.query_params:
            index = _number(request, "sample", int)
            picture = await in_thread(read_sample, samples, index)
        else:
            picture = await in_thread(decode, await _body(request))
        return JSONResponse(await in_thread(workbench.answer, picture, size))

    async def latency(request: Request) -> Response:
        return JSONResponse(await in_thread(workbench.latency, _parameter(request, "size")))

    async def best(request: Request) -> Response:
        return JSONResponse(await in_thread(workbench.best, _number(request, "ms", float)))

    routes = [Route(path, _page(*content)) for path, content in PAGE.items()]
    routes += [
        Route("/api/model", model),
        Route("/api/samples/{index:int}", sample),
        Route("/api/answer", answer, methods=["POST"]),
        Route("/api/latency", latency, methods=["POST"]),
        Route("/api/best", best, methods=["POST"]),
    ]
    handlers: dict[Any, Callable[[Request, Any], Awaitable[Response]]] = {
        PictureError: _failed(422),
        UsageError: _failed(400),
        InnError: _failed(500),
        HTTPException: _refused,
    }
    return Starlette(routes=routes, exception_handlers=handlers, middleware=[Middleware(_Guard, hosts=hosts)])


class _Guard:
    """Refuses other sites' requests, adds the security headers, and answers what nobody foresaw."""

    def __init__(self, app: ASGIApp, hosts: Sequence[str]) -> None:
        self._app = app
        own = socket.gethostname().lower()
        self._hosts = {"localhost", own, f"{own}.local", *(host.lower() for host in hosts)}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        started = False

        async def send_guarded(message: Message) -> None:
            nonlocal started
            if message["type"] == "http.response.start":
                started = True
                message["headers"] = [
                    *message["headers"],
                    *((k.encode(), v.encode()) for k, v in HEADERS.items()),
                ]
            await send(message)

        refusal = self._refusal(Request(scope))
        app: ASGIApp = self._app if refusal is None else JSONResponse({"error": refusal}, status_code=403)
        try:
            await app(scope, receive, send_guarded)
        except ClientDisconnect:
            pass
        except Exception:
            logger.exception("%s %s", scope["method"], scope["path"])
            if not started:
                failure = JSONResponse({"error": "the server failed; its log says more"}, status_code=500)
                await failure(scope, receive, send_guarded)

    def _refusal(self, request: Request) -> str | None:
        host = request.headers.get("host", "")
        name = _host_name(host)
        if name not in self._hosts and not _is_address(name):
            return f"host {name!r} is not known here; start with --allow-host {name} if it is yours"
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != host:
            return f"requests from {origin} are refused"
        return None


def _host_name(netloc: str) -> str:
    """A host header without its port and brackets."""
    try:
        return urlsplit(f"//{netloc}").hostname or ""
    except ValueError:
        return ""


def _is_address(name: str) -> bool:
    try:
        ipaddress.ip_address(name)
    except ValueError:
        return False
    return True


@cache
def _content(name: str) -> bytes:
    return (files(__package__) / "page" / name).read_bytes()


def _page(name: str, media_type: str) -> Callable[[Request], Awaitable[Response]]:
    async def page(request: Request) -> Response:
        return Response(_content(name), media_type=media_type)

    return page


async def _body(request: Request) -> bytes:
    """The uploaded file, never more than `MAX_UPLOAD_BYTES` of it, within `UPLOAD_SECONDS`."""
    too_large = HTTPException(413, f"the picture is larger than {MAX_UPLOAD_BYTES >> 20} MiB")
    length = request.headers.get("content-length", "")
    if length.isdigit() and int(length) > MAX_UPLOAD_BYTES:
        raise too_large
    content = bytearray()

    async def read() -> None:
        async for chunk in request.stream():
            content.extend(chunk)
            if len(content) > MAX_UPLOAD_BYTES:
                raise too_large

    try:
        await asyncio.wait_for(read(), UPLOAD_SECONDS)
    except asyncio.TimeoutError:
        raise HTTPException(408, f"the upload took longer than {UPLOAD_SECONDS:g} s") from None
    return bytes(content)


def _parameter(request: Request, name: str) -> str:
    if name not in request.query_params:
        raise UsageError(f"the parameter {name} is missing")
    return request.query_params[name]


def _number(request: Request, name: str, kind: Callable[[str], Number]) -> Number:
    text = _parameter(request, name)
    try:
        return kind(text)
    except ValueError:
        raise UsageError(f"{name}: expected a number, found {text[:40]!r}") from None


def _failed(status: int) -> Callable[[Request, Any], Awaitable[Response]]:
    async def handler(request: Request, error: InnError) -> Response:
        if status == 500:
            logger.error("%s: %s", request.url.path, error)
        return JSONResponse({"error": str(error)}, status_code=status)

    return handler


async def _refused(request: Request, error: HTTPException) -> Response:
    return JSONResponse({"error": error.detail}, status_code=error.status_code, headers=error.headers)
