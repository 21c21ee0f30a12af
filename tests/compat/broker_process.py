"""The broker under test, as users start it: a process of its own, found by its ready line."""

import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

__all__ = ["BrokerFailedError", "broker_process"]

_ROOT = Path(__file__).resolve().parents[2]
_READY = re.compile(r"ready\b.*?127\.0\.0\.1:(\d+)", re.IGNORECASE)
_START_TIMEOUT_S = 20.0
_STOP_TIMEOUT_S = 20.0
_POLL_S = 0.02


class BrokerFailedError(Exception):
    """The broker did not start, or did not end as it should; the message holds its log."""


@contextmanager
def broker_process(folder: Path) -> Iterator[str]:
    """Run a broker with its data and its log in `folder`; yields `host:port`, stops it by SIGTERM.

    Raises:
        BrokerFailedError: no ready line in time, or another exit status than 0 after SIGTERM.
    """
    log = folder / "broker.log"
    command = [sys.executable, "-m", "datacore", "broker", "start"]
    command += ["--broker-port", "0", "--data-dir", str(folder / "data")]
    with (
        log.open("wb") as output,
        subprocess.Popen(command, cwd=_ROOT, stdout=output, stderr=output) as process,
    ):
        try:
            yield f"127.0.0.1:{_ready_port(process, log)}"
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(_STOP_TIMEOUT_S)
            except subprocess.TimeoutExpired:
                process.kill()
    if process.returncode != 0:
        raise BrokerFailedError(f"exit status {process.returncode}: {log.read_text()[-4_000:]}")


def _ready_port(process: subprocess.Popen[bytes], log: Path) -> int:
    deadline_s = time.monotonic() + _START_TIMEOUT_S
    while (ready := _READY.search(log.read_text(errors="replace"))) is None:
        if process.poll() is not None or time.monotonic() > deadline_s:
            raise BrokerFailedError(f"no ready line: {log.read_text()[-4_000:]}")
        time.sleep(_POLL_S)
    return int(ready.group(1))
