"""Between an engine and its server: a network that swallows everything while it is told to.

Rules: a real proxy on a port of its own, which a broker process can be pointed at. While it is
stalled it accepts connections and takes bytes, and passes none on, in neither direction; no
connection is closed. When it goes on, it passes on what it has taken, as if nothing had been.
"""

from __future__ import annotations

import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

_RECEIVED_BYTES: Final = 65536


class StallingProxy:
    """One proxy before a Unix socket.

    Attributes:
        has_swallowed: Set when bytes were taken and not passed on, since it was stalled.
    """

    def __init__(self, upstream: str) -> None:
        self.has_swallowed = threading.Event()
        self._upstream = upstream
        self._passes = threading.Event()
        self._passes.set()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        self._sockets: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept)]
        self._threads[0].start()

    def stall(self) -> None:
        """Passes nothing on from now on."""
        self.has_swallowed.clear()
        self._passes.clear()

    def go_on(self) -> None:
        """Passes everything on again."""
        self._passes.set()

    def close(self) -> None:
        """Cuts all connections."""
        with suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._threads[0].join()
        self._listener.close()
        self._passes.set()
        for each in self._sockets:
            with suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
        for thread in self._threads[1:]:
            thread.join()
        for each in self._sockets:
            each.close()

    def _accept(self) -> None:
        with suppress(OSError):  # closed
            while True:
                near = self._listener.accept()[0]
                far = socket.socket(socket.AF_UNIX)
                self._sockets += [near, far]
                far.connect(self._upstream)
                for ends in ((near, far), (far, near)):
                    pump = threading.Thread(target=self._pump, args=ends)
                    self._threads.append(pump)
                    pump.start()

    def _pump(self, source: socket.socket, sink: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(_RECEIVED_BYTES):
                if not self._passes.is_set():
                    self.has_swallowed.set()
                self._passes.wait()
                sink.sendall(data)
        self._passes.wait()
        with suppress(OSError):
            sink.shutdown(socket.SHUT_WR)


@contextmanager
def running_stalling_proxy(upstream: str) -> Iterator[StallingProxy]:
    """A proxy before a Unix socket."""
    proxy = StallingProxy(upstream)
    try:
        yield proxy
    finally:
        proxy.close()
