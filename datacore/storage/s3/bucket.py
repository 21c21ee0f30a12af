"""Requests to a bucket: the only file that knows obstore, and where requests are counted.

Rules:

- A conditional create is sent once, never again by itself: whoever asked for it reads the object to
  learn whose it is. Everything else can be asked again, and is, twice.
- What goes wrong is ``Unavailable``; no message shows a secret.
"""

from __future__ import annotations

import asyncio
import atexit
import re
import time
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

import obstore
from obstore.exceptions import AlreadyExistsError, BaseError
from obstore.store import S3Store

from datacore.storage.chunked.store import Unavailable
from datacore.storage.engine import CannotStart
from datacore.storage.s3.config import S3Config
from datacore.storage.s3.credentials import find_keys
from datacore.storage.s3.refusal import explain, first_words, has_no_bucket
from datacore.storage.s3.requests import Requests

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from datetime import datetime

    from obstore.store import ClientConfig, ObjectStore, S3Credential

    from datacore.storage.s3.credentials import Keys

T = TypeVar("T")

TRIES: Final = 3
RETRY_DELAY_S: Final = 0.1
KEYS_AT_ONCE: Final = 500

EXIT_PAUSE_S: Final = 0.05

# obstore's threads let go of Python objects a moment after a request is answered. Where the
# interpreter has gone by then they abort the process, so a clean stop would end with SIGABRT.
atexit.register(time.sleep, EXIT_PAUSE_S)

_URL: Final = re.compile(r"https?://[^/?#\s]+(/[^?#\s]*)?")
_TROUBLE: Final = (BaseError, OSError, TimeoutError)


class Listed(NamedTuple):
    """One object of a listing."""

    key: str
    size: int
    modified: datetime
    """By the server's clock."""


class Bucket:
    """One prefix of one bucket."""

    __slots__ = ("_config", "_prefix", "_store", "place", "requests")

    def __init__(
        self, store: ObjectStore, prefix: str, place: str, config: S3Config | None = None
    ) -> None:
        """Takes what it asks.

        Args:
            store: Where objects are.
            prefix: Of all keys.
            place: What people call it.
            config: What it was made of, for sentences about errors.
        """
        self.place = place
        self._config = config or S3Config()
        self.requests = Requests()
        self._store = store
        self._prefix = f"{prefix.strip('/')}/" if prefix.strip("/") else ""

    async def create(self, key: str, data: bytes) -> bool:
        """Writes an object that is not there yet.

        Returns:
            Whether it was not there.

        Raises:
            Unavailable: Perhaps it is done, perhaps not.
        """
        self.requests.puts += 1
        self.requests.written_bytes += len(data)
        try:
            await obstore.put_async(
                self._store, self._prefix + key, data, mode="create", use_multipart=False
            )
        except AlreadyExistsError:
            return False
        except _TROUBLE as error:
            self.requests.failed += 1
            raise self._unavailable(error, "s3:PutObject") from None
        return True

    async def put(self, key: str, data: bytes) -> None:
        """Writes an object, whatever was there."""

        async def ask() -> None:
            self.requests.puts += 1
            self.requests.written_bytes += len(data)
            await obstore.put_async(self._store, self._prefix + key, data, use_multipart=False)

        await self._asked(ask, "s3:PutObject")

    async def get(self, key: str) -> bytes | None:
        """A whole object; None where there is none."""

        async def ask() -> bytes | None:
            self.requests.gets += 1
            try:
                found = await obstore.get_async(self._store, self._prefix + key)
                data = bytes(await found.bytes_async())
            except FileNotFoundError as error:
                if has_no_bucket(error):
                    raise
                return None
            self.requests.read_bytes += len(data)
            return data

        return await self._asked(ask, "s3:GetObject")

    async def get_range(self, key: str, start: int, size: int) -> bytes | None:
        """Bytes of an object; None where there is none."""

        async def ask() -> bytes | None:
            self.requests.gets += 1
            try:
                data = await obstore.get_range_async(
                    self._store, self._prefix + key, start=start, length=size
                )
            except FileNotFoundError as error:
                if has_no_bucket(error):
                    raise
                return None
            self.requests.read_bytes += len(data)
            return bytes(data)

        return await self._asked(ask, "s3:GetObject")

    async def list(self, prefix: str = "") -> list[Listed]:
        """Every object whose key begins so."""

        async def ask() -> list[Listed]:
            found: list[Listed] = []
            self.requests.lists += 1
            cut = len(self._prefix)
            async for page in obstore.list(self._store, prefix=self._prefix + prefix or None):
                found += [
                    Listed(each["path"][cut:], each["size"], each["last_modified"]) for each in page
                ]
            self.requests.lists += len(found) // 1000
            return found

        return await self._asked(ask, "s3:ListBucket")

    async def delete(self, keys: Sequence[str]) -> None:
        """Deletes objects; those that are not there, too."""
        for at in range(0, len(keys), KEYS_AT_ONCE):
            some = [self._prefix + key for key in keys[at : at + KEYS_AT_ONCE]]

            async def ask(some: list[str] = some) -> None:
                self.requests.deletes += 1
                try:
                    await obstore.delete_async(self._store, some)
                except FileNotFoundError as error:
                    if has_no_bucket(error):
                        raise

            await self._asked(ask, "s3:DeleteObject")

    async def _asked(self, ask: Callable[[], Awaitable[T]], action: str) -> T:
        for left in reversed(range(TRIES)):
            try:
                return await ask()
            except _TROUBLE as error:
                self.requests.failed += 1
                if not left:
                    raise self._unavailable(error, action) from None
            await asyncio.sleep(RETRY_DELAY_S)
        raise AssertionError

    def _unavailable(self, error: Exception, action: str) -> Unavailable:
        return Unavailable(f"{self.place} cannot be used: {explain(error, action, self._config)}")


def open_bucket(config: S3Config, environment: Mapping[str, str]) -> Bucket:
    """A bucket of an S3 server; nothing is asked yet.

    Raises:
        CannotStart: A setting cannot be used.
    """
    endpoint = (
        config.endpoint
        or environment.get("AWS_ENDPOINT_URL_S3")
        or environment.get("AWS_ENDPOINT_URL")
        or None
    )
    if endpoint is not None and not _URL.fullmatch(endpoint):
        message = f"s3.endpoint is http://host:port or https://host:port, not {endpoint}"
        raise CannotStart(message)
    options: ClientConfig = {
        "allow_http": (endpoint or "").startswith("http://"),
        "timeout": timedelta(seconds=config.request_timeout_s),
        "connect_timeout": timedelta(seconds=min(config.request_timeout_s, 5.0)),
    }
    if config.ca_file is not None:
        try:
            options["root_certificate"] = Path(config.ca_file).read_bytes()
        except OSError as error:
            message = f"s3.ca_file {config.ca_file} cannot be read: {error.strerror}"
            raise CannotStart(message) from None
    settings: dict[str, Any] = {"region": config.region, "endpoint": endpoint}
    keys = find_keys(config, environment)
    if keys is not None:
        settings["credential_provider"] = lambda: _signing(keys)
    try:
        store = S3Store(
            config.bucket,
            client_options=options,
            retry_config={"max_retries": 0},
            **{name: value for name, value in settings.items() if value is not None},
        )
    except BaseError as error:
        message = f"the settings in [s3] cannot be used: {first_words(error)}"
        raise CannotStart(message) from None
    at = f" at {endpoint}" if endpoint else ""
    prefix = config.prefix.strip("/")
    used = replace(config, access_key=keys.access_key if keys else None)
    place = f"s3://{config.bucket}{'/' if prefix else ''}{prefix}{at}"
    return Bucket(store, prefix, place, used)


def _signing(keys: Keys) -> S3Credential:
    """Keys as the library wants them; it keeps them, for they do not expire."""
    found: S3Credential = {
        "access_key_id": keys.access_key,
        "secret_access_key": keys.secret_key,
        "expires_at": None,
    }
    if keys.token is not None:
        found["token"] = keys.token
    return found
