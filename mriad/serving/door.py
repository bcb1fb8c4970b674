"""What every request passes before anything of it is read: token, place in the queue, limits of size and time."""

from __future__ import annotations

import asyncio
import hmac
import json
import logging
import time
from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from mriad.serving.desk import Desk

log = logging.getLogger(__name__)

PLACE = "mriad.place"
_OPEN = ("/health", "/docs", "/openapi.json", "/static-offline-docs/")  # to whoever has no token
_RETRY = 5  # seconds


@dataclass(frozen=True, kw_only=True)
class Limits:
    """What one request may ask for.

    Args:
        upload_bytes: size of what it sends.
        unpacked_bytes: size of what is packed in that.
        files: number of files in a zip.
        seconds: time for sending; and again for waiting and being looked at.
    """

    upload_bytes: int
    unpacked_bytes: int
    files: int
    seconds: float


class Door:
    """ASGI middleware.

    Args:
        app: what is behind it.
        desk: where places are taken by whoever posts.
        limits: of one request.
        token: what must stand in the header ``Authorization: Bearer``; None for nothing.
    """

    def __init__(self, app: ASGIApp, *, desk: Desk, limits: Limits, token: str | None) -> None:
        self._app, self._desk, self._limits = app, desk, limits
        self._token = None if token is None else token.encode()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request in, or answer why not; neither its query nor what it sends is logged."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        began, status = time.monotonic(), 0

        async def noted(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)

        try:
            await self._let_in(scope, receive, noted)
        finally:
            took = time.monotonic() - began
            log.info("%s %s %s %.2f s", scope["method"], scope["path"], status or "hung up", took)

    async def _let_in(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = dict(scope["headers"])
        if not self._knows(scope["path"], headers.get(b"authorization", b"")):
            answer = {"error": "Send the token, as in the header 'Authorization: Bearer <token>'."}
            await _answer(send, 401, answer, {"WWW-Authenticate": "Bearer"})
            return
        if scope["method"] != "POST":
            await self._app(scope, receive, send)
            return
        too_large = {
            "error": f"The scan is larger than {self._limits.upload_bytes // 10**6} MB, the most that is taken."
        }
        stated = headers.get(b"content-length", b"0")
        if stated.isdigit() and int(stated) > self._limits.upload_bytes:
            await _answer(send, 413, too_large, {"Connection": "close"})
            return
        place = self._desk.enter()
        if place is None:
            busy = {"error": f"All {self._desk.places} places in the queue are taken; send the scan again in a while."}
            await _answer(send, 503, busy, {"Retry-After": str(_RETRY), "Connection": "close"})
            return
        try:
            await self._app({**scope, PLACE: place}, self._counted(receive, too_large["error"]), send)
        finally:
            place.leave()

    def _knows(self, path: str, given: bytes) -> bool:
        if self._token is None or path == "/" or path.startswith(_OPEN):
            return True
        scheme, _, token = given.partition(b" ")
        return hmac.compare_digest(token.strip(), self._token) and scheme.lower() == b"bearer"

    def _counted(self, receive: Receive, too_large: str) -> Receive:
        """What is received, up to the limits of size and time."""
        received, until = 0, time.monotonic() + self._limits.seconds
        whole = False

        async def counted() -> Message:
            nonlocal received, whole
            if whole:  # what comes now is that the client hangs up
                return await receive()
            try:
                message = await asyncio.wait_for(receive(), max(0.0, until - time.monotonic()))
            except TimeoutError:
                slow = f"The scan has not arrived within {self._limits.seconds:g} seconds; send it faster."
                raise HTTPException(408, slow, {"Connection": "close"}) from None
            received += len(message.get("body", b""))
            if received > self._limits.upload_bytes:
                raise HTTPException(413, too_large, {"Connection": "close"})
            whole = not message.get("more_body", False)
            return message

        return counted


async def _answer(send: Send, status: int, content: dict[str, Any], headers: dict[str, str]) -> None:
    body = json.dumps(content).encode()
    told = {"content-type": "application/json", "content-length": str(len(body)), **headers}
    pairs = [(name.lower().encode(), value.encode()) for name, value in told.items()]
    await send({"type": "http.response.start", "status": status, "headers": pairs})
    await send({"type": "http.response.body", "body": body})
