"""A broker over a bucket that it cannot use: one sentence, exit status 2, and nothing is made."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import urllib.request
import uuid
from typing import TYPE_CHECKING, Any

import msgspec
import pytest

from datacore.config import load_config
from datacore.server.serve import serve
from datacore.storage.engine import CannotStart
from datacore.storage.s3.journal import state_key, wal_key
from tests.storage.s3_server import BUCKET, KEY, SECRET, running_s3_server
from tests.storage.versitygw import READER, READERS_SECRET, running_versitygw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.storage.s3_server import S3Server
    from tests.storage.versitygw import Versitygw

NOBODY = "http://127.0.0.1:1"


@pytest.fixture(autouse=True)
def nobody_at_home(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Nothing but the settings says who asks."""
    for name in [name for name in os.environ if name.startswith(("AWS_", "DATACORE_"))]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(tmp_path))


def given(**settings: str) -> dict[str, str]:
    """Flags of a broker, by dotted key."""
    all_of = {"bucket": BUCKET, "access_key": KEY, "secret_key": SECRET, **settings}
    return {f"s3.{name}": value for name, value in all_of.items() if value}


def refusal(**settings: str) -> str:
    """What a broker says that is started so, and must not start."""

    async def start() -> None:
        flags = {"broker.port": "0", "storage.engine": "s3", **given(**settings)}
        async with serve(load_config(flags=flags)):
            pass

    with pytest.raises(CannotStart) as refused:
        asyncio.run(start())
    said = str(refused.value)
    assert SECRET not in said
    assert READERS_SECRET not in said
    assert "\n" not in said
    return said


def test_the_command_says_it_in_one_line_and_ends_with_status_2(s3_server: S3Server) -> None:
    settings = given(endpoint=s3_server.endpoint, bucket="missing")
    flags = [f"--{name.replace('.', '-').replace('_', '-')}={settings[name]}" for name in settings]
    ended = subprocess.run(
        [sys.executable, "-m", "datacore", "broker", "start", "--storage-engine=s3", *flags],
        env={**os.environ, "DATACORE_BROKER__PORT": "0"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr == (
        f"Error: the s3 engine cannot start: s3://missing at {s3_server.endpoint} cannot be used:"
        " there is no bucket missing (s3.bucket): make it first\n"
    )


@pytest.fixture(scope="module")
def gateway() -> Iterator[Versitygw]:
    with running_versitygw() as gateway:
        yield gateway
        assert gateway.objects() == []


@pytest.fixture(scope="module")
def tls_gateway() -> Iterator[Versitygw]:
    with running_versitygw(tls=True) as gateway:
        yield gateway
        assert gateway.objects() == []


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"access_key": "nobody"}, "it knows no access key nobody (s3.access_key)"),
        ({"secret_key": "wrong"}, "the secret of access key someone is another (s3.secret_key)"),
        (
            {"access_key": READER, "secret_key": READERS_SECRET},
            "access key reader may not do s3:PutObject there",
        ),
        ({"region": "eu-central-1"}, "the region is us-east-1, not eu-central-1 (s3.region)"),
        ({"bucket": "missing"}, "there is no bucket missing (s3.bucket): make it first"),
    ],
)
def test_what_a_server_refuses_is_told_in_a_sentence(
    gateway: Versitygw, settings: dict[str, str], sentence: str
) -> None:
    said = refusal(endpoint=gateway.endpoint, **settings)
    place = f"s3://{settings.get('bucket', BUCKET)} at {gateway.endpoint}"
    assert said == f"{place} cannot be used: {sentence}"
    assert gateway.objects() == []


def test_a_certificate_that_nobody_known_has_signed_is_refused(tls_gateway: Versitygw) -> None:
    said = refusal(endpoint=tls_gateway.endpoint)
    assert said.endswith("nobody known has signed the endpoint's certificate: s3.ca_file names who")


def test_tls_that_the_endpoint_does_not_speak_is_told(gateway: Versitygw) -> None:
    said = refusal(endpoint=gateway.endpoint.replace("http:", "https:"))
    assert said.endswith("the endpoint speaks no TLS: http:// may be meant (s3.endpoint)")


@pytest.mark.parametrize(
    ("settings", "sentence"),
    [
        ({"endpoint": NOBODY}, f"s3://{BUCKET} at {NOBODY} cannot be used: nobody listens there"),
        ({"endpoint": "http://no.host.invalid:1"}, "the endpoint's host has no address"),
        ({"endpoint": "here"}, "s3.endpoint is http://host:port or https://host:port, not here"),
        (
            {"endpoint": NOBODY, "ca_file": "/nowhere/ca.pem"},
            "s3.ca_file /nowhere/ca.pem cannot be read: No such file or directory",
        ),
        (
            {"endpoint": NOBODY, "secret_key": ""},
            "s3.access_key and s3.secret_key are given together, or neither is",
        ),
        (
            {"endpoint": NOBODY, "access_key": "", "secret_key": "", "profile": "other"},
            "the AWS profile other (s3.profile) has no aws_access_key_id and",
        ),
    ],
)
def test_what_cannot_be_used_at_all_is_told_in_a_sentence(
    settings: dict[str, str], sentence: str
) -> None:
    assert sentence in refusal(**settings)


def test_a_server_that_ignores_conditions_is_refused_and_nothing_is_left_there() -> None:
    with running_s3_server(ignores_conditions=True) as server:
        prefix = f"ignored/{uuid.uuid4().hex}"
        said = refusal(endpoint=server.endpoint, prefix=prefix)
        assert said.endswith("(If-None-Match: *) it let 16 succeed")
        assert listed(server, prefix) == []


@pytest.mark.parametrize(
    ("key", "data", "age"),
    [
        (state_key(7), msgspec.msgpack.encode({"format": 2, "logs": "elsewhere"}), "a newer"),
        (state_key(7), msgspec.msgpack.encode({"format": 0}), "an older"),
        (wal_key(1), b"DCJ2" + bytes(100), "a newer"),
        (wal_key(1), b"DCJ0" + bytes(100), "an older"),
    ],
)
def test_a_bucket_that_another_version_has_written_is_refused_and_left_as_it_is(
    s3_server: S3Server, key: str, data: bytes, age: str
) -> None:
    prefix = f"layout/{uuid.uuid4().hex}"
    url = f"{s3_server.endpoint}/{BUCKET}/{prefix}/{key}"
    kind = {"Content-Type": "application/octet-stream"}
    urllib.request.urlopen(
        urllib.request.Request(url, data, kind, method="PUT"), timeout=10
    ).close()
    said = refusal(endpoint=s3_server.endpoint, prefix=prefix)
    assert f"cannot be used: what lies there was written by {age} DataCore" in said
    assert "this one knows 1 alone: use that version, or another s3.prefix" in said
    assert listed(s3_server, prefix) == [f"{prefix}/{key}"]


def listed(server: S3Server, prefix: str) -> list[Any]:
    """All keys that begin so."""
    url = f"{server.endpoint}/{BUCKET}?list-type=2&prefix={prefix}"
    with urllib.request.urlopen(url) as answer:
        text: str = answer.read().decode()
    return [each.split("</Key>")[0] for each in text.split("<Key>")[1:]]
