"""Between an engine and its S3 server: HTTP that fails as networks and servers do.

Rules: a real proxy on a port of its own, which a broker process can be pointed at. Each request may
meet one trouble, by chance that is drawn from a seed: the connection is cut before the server hears
of it, or after the server has done it; the answer is 503 SlowDown; the request is held up, longer
than its sender waits where that is short, and is done all the same; an answer ends in the middle; a
listing lacks its last object. The same request does not fail twice in a row, so that whoever asks
again gets on; that the listing lacks something counts as a failure.
"""

from __future__ import annotations

import enum
import http.client
import random
import re
import socket
import threading
import time
from collections import Counter
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, NamedTuple
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from collections.abc import Iterator

SLOW_DOWN = (
    b"<?xml version='1.0'?><Error><Code>SlowDown</Code><Message>Please reduce your request rate."
    b"</Message></Error>"
)
_LAST_LISTED = re.compile(rb"<Contents>(?:(?!<Contents>).)*</Contents>(?!.*<Contents>)", re.DOTALL)
_HOP_BY_HOP = {"connection", "keep-alive", "transfer-encoding", "content-length", "date", "server"}


class Trouble(enum.Enum):
    """What a request meets."""

    CUT_BEFORE = "cut before the server"
    CUT_AFTER = "the answer is lost"
    SLOW_DOWN = "503 SlowDown"
    STALL = "held up"
    CUT_SHORT = "half an answer"
    PARTIAL_LIST = "a listing lacks something"


class _Answer(NamedTuple):
    status: int
    headers: list[tuple[str, str]]
    body: bytes


class S3Proxy:
    """One proxy.

    Attributes:
        rate: How often a request meets trouble; may be changed at any time.
        only: The one trouble there is; None draws.
        delay_s: What every request takes longer.
        met: How often each trouble was met.
    """

    def __init__(self, upstream: str, *, rate: float, stall_s: float, seed: int) -> None:
        self.rate = rate
        self.only: Trouble | None = None
        self.delay_s = 0.0
        self.met: Counter[Trouble] = Counter()
        self._chance = random.Random(seed)
        self._stall_s = stall_s
        self._just_failed: set[str] = set()
        self._lock = threading.Lock()
        parts = urlsplit(upstream)
        self._upstream = (parts.hostname or "", parts.port or 80)
        proxy = self

        class Handler(BaseHTTPRequestHandler):
            protocol_version = "HTTP/1.1"
            disable_nagle_algorithm = True

            def handle_one_request(self) -> None:
                try:
                    super().handle_one_request()
                except OSError:  # the sender has gone
                    self.close_connection = True

            def log_message(self, *_: object) -> None:
                """Says nothing."""

            def do_GET(self) -> None:
                proxy.pass_on(self)

        for method in ("PUT", "POST", "DELETE", "HEAD"):
            setattr(Handler, f"do_{method}", Handler.do_GET)
        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.server.daemon_threads = True
        self.endpoint = f"http://127.0.0.1:{self.server.server_port}"

    def _trouble(self, method: str, path: str) -> Trouble | None:
        request = f"{method} {path}"
        with self._lock:
            if request in self._just_failed:
                self._just_failed.remove(request)
                return None
            if self._chance.random() >= self.rate:
                return None
            possible = [*Trouble][:4]
            if method == "GET":
                possible.append(Trouble.CUT_SHORT)
            if "list-type" in path:
                possible.append(Trouble.PARTIAL_LIST)
            trouble = self.only or self._chance.choice(possible)
            self._just_failed.add(request)
            self.met[trouble] += 1
            return trouble

    def pass_on(self, asked: BaseHTTPRequestHandler) -> None:
        """Answers one request, or does not."""
        body = asked.rfile.read(int(asked.headers.get("Content-Length") or 0))
        trouble = self._trouble(asked.command, asked.path)
        if self.delay_s:
            time.sleep(self.delay_s)
        if trouble is Trouble.CUT_BEFORE:
            _cut(asked)
            return
        if trouble is Trouble.SLOW_DOWN:
            _answer(asked, _Answer(503, [("Content-Type", "application/xml")], SLOW_DOWN))
            return
        if trouble is Trouble.STALL:
            time.sleep(self._stall_s)
        answer = self._ask(asked, body)
        if trouble is Trouble.CUT_AFTER:
            _cut(asked)
        elif trouble is Trouble.CUT_SHORT:
            _answer(asked, answer, sent=len(answer.body) // 2)
            _cut(asked)
        elif trouble is Trouble.PARTIAL_LIST:
            _answer(asked, answer._replace(body=_LAST_LISTED.sub(b"", answer.body)))
        else:
            _answer(asked, answer)

    def _ask(self, asked: BaseHTTPRequestHandler, body: bytes) -> _Answer:
        connection = http.client.HTTPConnection(*self._upstream, timeout=30)
        try:
            connection.putrequest(
                asked.command, asked.path, skip_host=True, skip_accept_encoding=True
            )
            for name, value in asked.headers.items():
                connection.putheader(name, value)
            connection.endheaders(body)
            found = connection.getresponse()
            kept = [each for each in found.getheaders() if each[0].lower() not in _HOP_BY_HOP]
            return _Answer(found.status, kept, found.read())
        finally:
            connection.close()


def _answer(asked: BaseHTTPRequestHandler, answer: _Answer, sent: int | None = None) -> None:
    asked.send_response(answer.status)
    for name, value in answer.headers:
        asked.send_header(name, value)
    asked.send_header("Content-Length", str(len(answer.body)))
    asked.end_headers()
    if asked.command != "HEAD":
        asked.wfile.write(answer.body[:sent])


def _cut(asked: BaseHTTPRequestHandler) -> None:
    asked.close_connection = True
    asked.connection.shutdown(socket.SHUT_RDWR)


@contextmanager
def running_proxy(
    upstream: str, *, rate: float = 0.1, stall_s: float = 0.05, seed: int = 20261125
) -> Iterator[S3Proxy]:
    """A proxy before a server."""
    proxy = S3Proxy(upstream, rate=rate, stall_s=stall_s, seed=seed)
    thread = threading.Thread(target=proxy.server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        proxy.server.shutdown()
        proxy.server.server_close()
        thread.join()
