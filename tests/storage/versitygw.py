"""Versity's gateway, the second, independent S3 server, where this machine has one.

Rules: it listens on a port that the kernel chose, over an empty folder. Beside its owner it knows a
user who may read and list alone, as its own files say (``users.json``, and a policy beside the
bucket).
"""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import tempfile
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.storage.certificates import make_certificates
from tests.storage.s3_server import BUCKET, KEY, SECRET, wait_until_it_listens

if TYPE_CHECKING:
    from collections.abc import Iterator

READER = "reader"
READERS_SECRET = "readers-own"


@dataclass(frozen=True, slots=True)
class Versitygw:
    """One gateway."""

    endpoint: str
    ca_file: Path | None
    """Who signed its certificate, where it speaks TLS."""
    folder: Path

    def objects(self) -> list[str]:
        """Every object of its bucket, without asking it."""
        bucket = self.folder / BUCKET
        return sorted(
            str(each.relative_to(bucket))
            for each in bucket.rglob("*")
            if each.is_file() and not each.relative_to(bucket).parts[0].startswith(".sgwtmp")
        )


@contextmanager
def running_versitygw(*, tls: bool = False) -> Iterator[Versitygw]:
    """A gateway over nothing, with a bucket ``datacore``."""
    program = shutil.which("versitygw", path=f"{os.environ['PATH']}:{Path.home() / 'go/bin'}")
    if program is None:
        pytest.skip("not run: this machine has no versitygw")
    with socket.socket() as chosen:
        chosen.bind(("127.0.0.1", 0))
        port = chosen.getsockname()[1]
    with tempfile.TemporaryDirectory(prefix="datacore-s3-") as place:
        here = Path(place)
        certificates = make_certificates(here) if tls else None
        _make_bucket(here)
        command = [
            program,
            "--quiet",
            "--port",
            f"127.0.0.1:{port}",
            "--iam-dir",
            str(here / "iam"),
        ]
        if certificates is not None:
            command += ["--cert", str(certificates.certificate_file)]
            command += ["--key", str(certificates.key_file)]
        process = subprocess.Popen(
            [*command, "posix", str(here / "data")],
            env={**os.environ, "ROOT_ACCESS_KEY": KEY, "ROOT_SECRET_KEY": SECRET},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
        )
        try:
            wait_until_it_listens(process, port)
            scheme, ca_file = ("https", certificates.ca_file) if certificates else ("http", None)
            yield Versitygw(f"{scheme}://127.0.0.1:{port}", ca_file, here / "data")
        finally:
            process.terminate()
            process.wait(10)


def _make_bucket(here: Path) -> None:
    bucket = here / "data" / BUCKET
    bucket.mkdir(parents=True)
    user = {"access": READER, "secret": READERS_SECRET, "role": "user"}
    (here / "iam").mkdir()
    (here / "iam" / "users.json").write_text(json.dumps({"accessAccounts": {READER: user}}))
    policy = {
        "Version": "2012-10-17",
        "Statement": [
            {
                "Effect": "Allow",
                "Principal": {"AWS": [READER]},
                "Action": ["s3:GetObject", "s3:ListBucket"],
                "Resource": [f"arn:aws:s3:::{BUCKET}", f"arn:aws:s3:::{BUCKET}/*"],
            }
        ],
    }
    os.setxattr(bucket, "user.policy", json.dumps(policy).encode())
