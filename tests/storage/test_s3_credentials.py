"""Where the S3 engine takes its keys from, tried with a server that asks for them."""

from __future__ import annotations

import os
from dataclasses import replace
from typing import TYPE_CHECKING

import pytest

from datacore.storage.engine import CannotStart, StorageError
from datacore.storage.s3.bucket import open_bucket
from datacore.storage.s3.config import S3Config
from datacore.storage.s3.credentials import Keys, find_keys
from datacore.storage.s3.engine import S3Engine
from datacore.testing.engine_harness import LOG, append_durably, on_loop, read
from tests.storage.s3_server import BUCKET, KEY, SECRET
from tests.storage.versitygw import running_versitygw

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from tests.storage.versitygw import Versitygw

CONFIGURED = S3Config(access_key="key", secret_key="of the configuration")
VARIABLES = {"AWS_ACCESS_KEY_ID": "env", "AWS_SECRET_ACCESS_KEY": "of the environment"}


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / ".aws").mkdir()
    (tmp_path / ".aws" / "credentials").write_text(
        f"[default]\naws_access_key_id = first\naws_secret_access_key = %%secret\n"
        f"[work]\naws_access_key_id={KEY}\naws_secret_access_key={SECRET}\n"
    )
    (tmp_path / ".aws" / "config").write_text(
        "[profile work]\nregion = eu-central-1\n"
        "[profile temporary]\naws_access_key_id = t\naws_secret_access_key = s\n"
        "aws_session_token = token\n[profile role]\nrole_arn = arn:aws:iam::1:role/broker\n"
    )
    return tmp_path


@pytest.mark.parametrize(
    ("config", "environment", "keys"),
    [
        (
            CONFIGURED,
            {**VARIABLES, "AWS_SESSION_TOKEN": "of the environment"},
            Keys("key", "of the configuration", None, "s3.access_key"),
        ),
        (S3Config(profile="work"), VARIABLES, Keys(KEY, SECRET, None, "s3.profile")),
        (
            S3Config(),
            {**VARIABLES, "AWS_SESSION_TOKEN": "token", "AWS_PROFILE": "work"},
            Keys("env", "of the environment", "token", "AWS_ACCESS_KEY_ID"),
        ),
        (S3Config(), {"AWS_PROFILE": "work"}, Keys(KEY, SECRET, None, "AWS_PROFILE")),
        (S3Config(profile="temporary"), {}, Keys("t", "s", "token", "s3.profile")),
        (S3Config(), {}, Keys("first", "%%secret", None, "default")),
        (S3Config(), {"AWS_SHARED_CREDENTIALS_FILE": "/nowhere"}, None),
    ],
)
def test_the_nearest_keys_are_taken_and_never_mixed(
    home: Path, config: S3Config, environment: dict[str, str], keys: Keys | None
) -> None:
    found = find_keys(config, {"HOME": str(home), **environment})
    assert found == keys
    assert "of the" not in repr(found)


@pytest.mark.parametrize("name", ["role", "unknown"])
def test_a_profile_that_was_asked_for_and_has_no_keys_is_refused(home: Path, name: str) -> None:
    with pytest.raises(CannotStart, match=f"AWS profile {name} \\(AWS_PROFILE\\) has no aws_acc"):
        find_keys(S3Config(), {"HOME": str(home), "AWS_PROFILE": name})


def test_a_file_of_profiles_that_is_none_is_refused(home: Path) -> None:
    (home / ".aws" / "credentials").write_text("no section\n")
    with pytest.raises(CannotStart, match="it is no file of AWS profiles"):
        find_keys(S3Config(profile="work"), {"HOME": str(home)})


def test_the_endpoint_of_the_environment_is_used_and_named() -> None:
    environment = {**VARIABLES, "AWS_ENDPOINT_URL": "http://127.0.0.1:1"}
    assert open_bucket(S3Config(), environment).place == "s3://datacore at http://127.0.0.1:1"


@pytest.fixture(scope="module")
def tls_gateway() -> Iterator[Versitygw]:
    with running_versitygw(tls=True) as gateway:
        yield gateway


@pytest.fixture
def config(tls_gateway: Versitygw) -> S3Config:
    """Everything but keys; the certificate is signed by somebody of the test's own."""
    return S3Config(
        bucket=BUCKET,
        prefix="a/prefix/of two",
        endpoint=tls_gateway.endpoint,
        ca_file=str(tls_gateway.ca_file),
    )


@pytest.mark.parametrize("source", ["configuration", "profile", "variables"])
@on_loop
async def test_an_engine_works_over_tls_with_keys_from_anywhere(
    monkeypatch: pytest.MonkeyPatch, config: S3Config, home: Path, source: str
) -> None:
    for name in [name for name in os.environ if name.startswith("AWS_")]:
        monkeypatch.delenv(name)
    monkeypatch.setenv("HOME", str(home))
    if source == "configuration":
        monkeypatch.setenv("AWS_SESSION_TOKEN", "of somebody else")
        config = replace(config, access_key=KEY, secret_key=SECRET)
    elif source == "profile":
        config = replace(config, profile="work")
    else:
        monkeypatch.setenv("AWS_ACCESS_KEY_ID", KEY)
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", SECRET)
    config = replace(config, prefix=f"{config.prefix}/{source}")
    engine = S3Engine(config)
    await engine.start()
    data = await append_durably(await engine.open_log(LOG, epoch=0), 100, 200)
    await engine.close()
    engine = S3Engine(config)
    await engine.start()
    assert await read(await engine.open_log(LOG, epoch=0), 0) == data
    await engine.close()


@on_loop
async def test_keys_of_the_wrong_profile_are_refused(
    monkeypatch: pytest.MonkeyPatch, config: S3Config, home: Path
) -> None:
    monkeypatch.setenv("HOME", str(home))
    with pytest.raises(StorageError, match=r"knows no access key first \(s3\.access_key\)"):
        await S3Engine(replace(config, profile="default")).start()
