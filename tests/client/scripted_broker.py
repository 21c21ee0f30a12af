"""The other side of a connection, playing back bytes: one answer for each frame that arrives."""

import socket
import struct
import threading
from collections.abc import Sequence
from types import TracebackType
from typing import Self


class ScriptedBroker:
    """Accepts one connection; after the last answer it closes it.

    Attributes:
        received: The frames that arrived, sizes included.
    """

    def __init__(self, answers: Sequence[bytes], *, hold_open: bool = False) -> None:
        self._answers = answers
        self._hold_open = hold_open
        self._released = threading.Event()
        self.received: list[bytes] = []
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._thread = threading.Thread(target=self._play, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._released.set()
        self._thread.join(10)
        self._listener.close()
        assert not self._thread.is_alive()

    @property
    def port(self) -> int:
        """Where it listens."""
        port = self._listener.getsockname()[1]
        assert isinstance(port, int)
        return port

    def _play(self) -> None:
        connection, _ = self._listener.accept()
        with connection:
            for answer in self._answers:
                size = connection.recv(4, socket.MSG_WAITALL)
                if len(size) < 4:
                    return
                body = connection.recv(struct.unpack(">i", size)[0], socket.MSG_WAITALL)
                self.received.append(size + body)
                connection.sendall(answer)
            if self._hold_open:
                self._released.wait(10)


def frame(payload: bytes) -> bytes:
    """The payload with its size before it."""
    return struct.pack(">i", len(payload)) + payload
