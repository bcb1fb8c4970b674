"""Serves a page on this machine alone, and keeps each mark that it sends at once."""

from __future__ import annotations

import json
import re
import sys
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from mriad.errors import MriadError
from mriad.prediction.scan_files import LIST
from mriad.review.folder import FILES, MARKS, PAGE, read_list
from mriad.review.marks import Mark, add_mark, now, read_marks

HOST = "127.0.0.1"

_LARGEST = 20_000  # bytes of a mark
_DATA = re.compile(r"scans/\d{1,9}\.js|thumbs/\d{1,9}\.webp")
_TYPES = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".webp": "image/webp",
    ".txt": "text/plain",
}


class ReviewServer(ThreadingHTTPServer):
    """A server of one page: its files, ``GET /marks`` and ``POST /marks``.

    It listens on the loopback interface only. Another site that is open in the same browser can neither read from it,
    for it answers to its own name alone (no DNS rebinding), nor write to it, for marks have to come from its own page.

    Args:
        folder: of the page.
        port: 0 for any that is free.
        reader: name that the page offers first.

    Raises:
        MriadError: if there is no page, or the port is taken.
    """

    daemon_threads = True

    def __init__(self, folder: Path, *, port: int, reader: str) -> None:
        self.folder, self.reader, self.marks = folder, reader, folder / MARKS
        listed = read_list(folder)["scans"]
        self._paths = [scan["path"] for scan in listed]
        self._scans = dict(zip(self._paths, listed, strict=True))
        try:
            super().__init__((HOST, port), _Handler)
        except (OSError, OverflowError) as error:
            why = getattr(error, "strerror", None) or "it is no port"
            raise MriadError(f"Port {port} cannot be used ({why}); choose another with --port.") from error
        self.address = f"http://{HOST}:{self.server_port}/"
        self.names = {f"{name}:{self.server_port}" for name in (HOST, "localhost")}

    def take(self, told: dict[str, Any]) -> Mark:
        """Keep a mark that the page has sent.

        Raises:
            ValueError: if it is none, or of no scan of the page.
            MriadError: if it cannot be written.
        """
        scan = self._scans.get(told.get("path", ""))
        if scan is None:
            raise ValueError("there is no such scan on this page")
        known = {"score": scan["score"], "decision": scan["decision"], "lesions": scan.get("listed")}
        mark = Mark.of(told | known | {"time": now(), "patient": self._paths[scan["patient"]]})
        if mark.lesion is not None and mark.lesion > (mark.lesions or 0):
            raise ValueError("the scan has no lesion of that number")
        add_mark(self.marks, mark)
        return mark

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Say nothing of a browser that has hung up."""
        if not isinstance(sys.exception(), ConnectionError):
            super().handle_error(request, client_address)


class _Handler(BaseHTTPRequestHandler):
    server: ReviewServer
    protocol_version = "HTTP/1.1"
    timeout = 60

    def do_GET(self) -> None:
        if not self._is_ours():
            return
        name = self.path.partition("?")[0].removeprefix("/") or PAGE
        if name == "marks":
            self._send_marks()
        elif name in (*FILES, LIST) or _DATA.fullmatch(name):
            self._send_file(self.server.folder / name)
        else:
            self._answer(HTTPStatus.NOT_FOUND, "There is no such page.")

    do_HEAD = do_GET  # noqa: N815

    def do_POST(self) -> None:
        length = self.headers.get("Content-Length", "")
        if not length.isdecimal() or int(length) > _LARGEST:
            self.close_connection = True
            return self._answer(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "A mark is no longer than that.")
        body = self.rfile.read(int(length))
        if not self._is_ours() or not self._is_from_our_page():
            return None
        if self.path != "/marks":
            return self._answer(HTTPStatus.NOT_FOUND, "There is no such page.")
        try:
            told = json.loads(body)
            if not isinstance(told, dict):
                raise ValueError("a mark is an object")
            mark = self.server.take(told)
        except (ValueError, TypeError, RecursionError) as error:
            return self._answer(HTTPStatus.BAD_REQUEST, str(error))
        except MriadError as error:
            return self._answer(HTTPStatus.INSUFFICIENT_STORAGE, str(error))
        return self._answer(HTTPStatus.CREATED, json.dumps(mark.as_cells()), kind="application/json")

    def _is_ours(self) -> bool:
        """Whether the server is asked by its own name; a name of somebody else that points here is refused."""
        if self.headers.get("Host", "").lower() in self.server.names:
            return True
        self._answer(HTTPStatus.FORBIDDEN, "This page answers to 127.0.0.1 and localhost alone.")
        return False

    def _is_from_our_page(self) -> bool:
        """Whether a mark comes from the page, or from a program; a browser says of what page a request is."""
        origin, kind = self.headers.get("Origin"), self.headers.get("Content-Type", "").partition(";")[0].strip()
        if (
            origin is None or origin.removeprefix("http://").lower() in self.server.names
        ) and kind == "application/json":
            return True
        self._answer(HTTPStatus.FORBIDDEN, "Marks come from the page itself, as application/json.")
        return False

    def _send_marks(self) -> None:
        try:
            marks = read_marks(self.server.marks)[0] if self.server.marks.exists() else []
        except MriadError as error:
            return self._answer(HTTPStatus.INTERNAL_SERVER_ERROR, str(error))
        told = {"reader": self.server.reader, "marks": [mark.as_cells() for mark in marks]}
        return self._answer(HTTPStatus.OK, json.dumps(told), kind="application/json")

    def _send_file(self, file: Path) -> None:
        try:
            content = file.read_bytes()
        except OSError:
            return self._answer(HTTPStatus.NOT_FOUND, "There is no such file.")
        return self._answer(HTTPStatus.OK, content, kind=_TYPES[file.suffix])

    def _answer(self, status: HTTPStatus, content: str | bytes, *, kind: str = "text/plain") -> None:
        body = content.encode() if isinstance(content, str) else content
        self.send_response(status)
        self.send_header("Content-Type", kind if kind.startswith("image") else f"{kind}; charset=utf-8")
        self.send_header("Content-Length", str(len(body)))
        self.send_header("X-Content-Type-Options", "nosniff")
        self.send_header("X-Frame-Options", "DENY")
        self.send_header("Cross-Origin-Resource-Policy", "same-origin")
        self.send_header("Cache-Control", "no-store" if kind == "application/json" else "no-cache")
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:
        """Say nothing: names of patients may stand in a path."""
