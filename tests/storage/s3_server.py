"""An S3 server of a test's own: moto, in this process.

Rules: it listens on a port that the kernel chooses. moto looks whether an object is there and
stores it afterwards, without a lock between; so every request that may change something holds one
here. ``ignores_conditions`` makes it one of those servers that take every create, for the test that
such a server is refused.
"""

from __future__ import annotations

import logging
import socket
import threading
import time
import urllib.request
from contextlib import contextmanager, nullcontext
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from werkzeug.serving import WSGIRequestHandler, make_server

if TYPE_CHECKING:
    import subprocess
    from collections.abc import Callable, Iterable, Iterator

BUCKET = "datacore"
KEY = "someone"
SECRET = "sesame"

logging.getLogger("werkzeug").setLevel(logging.ERROR)


class _Quiet(WSGIRequestHandler):
    protocol_version = "HTTP/1.1"

    def log(self, type: str, message: str, *args: Any) -> None:  # noqa: A002  # as it is called
        """Says nothing."""


class S3Server:
    """One server, with one bucket."""

    def __init__(self, *, ignores_conditions: bool = False) -> None:
        self._moto = DomainDispatcherApplication(create_backend_app)
        self._lock = threading.Lock()
        self._ignores_conditions = ignores_conditions
        self._server = make_server(
            "127.0.0.1", 0, self._answer, threaded=True, request_handler=_Quiet
        )
        self.endpoint = f"http://127.0.0.1:{self._server.server_port}"

    def _answer(self, environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[Any]:
        if self._ignores_conditions:
            environ.pop("HTTP_IF_NONE_MATCH", None)
        changes = environ["REQUEST_METHOD"] != "GET"
        with self._lock if changes else nullcontext():
            return list(self._moto(environ, start_response))

    def serve(self) -> None:
        """Answers until it is stopped."""
        self._server.serve_forever(poll_interval=0.05)

    def stop(self) -> None:
        """Answers nobody any more."""
        self._server.shutdown()
        self._server.server_close()


def make_bucket(endpoint: str) -> None:
    """Makes the bucket; moto asks nobody who they are."""
    request = urllib.request.Request(f"{endpoint}/{BUCKET}", method="PUT")
    with urllib.request.urlopen(request) as answer:
        assert answer.status == HTTPStatus.OK


@contextmanager
def running_s3_server(**settings: bool) -> Iterator[S3Server]:
    """A server over nothing, with a bucket ``datacore``."""
    server = S3Server(**settings)
    thread = threading.Thread(target=server.serve, daemon=True)
    thread.start()
    try:
        make_bucket(server.endpoint)
        yield server
    finally:
        server.stop()
        thread.join()


def wait_until_it_listens(process: subprocess.Popen[bytes], port: int) -> None:
    """Tries to connect until somebody answers."""
    deadline_s = time.monotonic() + 20
    while True:
        assert process.poll() is None, "the server has ended"
        try:
            socket.create_connection(("127.0.0.1", port), timeout=1).close()
        except OSError:
            assert time.monotonic() < deadline_s, "the server does not listen"
            time.sleep(0.02)
        else:
            return
