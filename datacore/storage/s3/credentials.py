"""Whose name requests are signed in.

Rules: the first of these that is given: ``s3.access_key`` with ``s3.secret_key``; ``s3.profile``;
AWS's variables for keys; ``AWS_PROFILE``; the profile "default" of AWS's files, where it has keys.
Where none is, the library asks for the machine's or the container's role. What comes from one of
them is never mixed with what comes from another: a token in the environment is not for keys of the
configuration. Profiles are read from AWS's two files, and must have keys of their own there.
"""

from __future__ import annotations

import configparser
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

from datacore.storage.engine import CannotStart

if TYPE_CHECKING:
    from collections.abc import Mapping

    from datacore.storage.s3.config import S3Config


class Keys(NamedTuple):
    """What requests are signed with."""

    access_key: str
    secret_key: str
    token: str | None
    source: str
    """Where they come from, for people."""

    def __repr__(self) -> str:
        return f"Keys({self.access_key!r}, source={self.source!r})"


def find_keys(config: S3Config, environment: Mapping[str, str]) -> Keys | None:
    """The keys to use; None where only a role can have some.

    Raises:
        CannotStart: Half of a pair is missing, or a profile that was asked for has no keys.
    """
    if config.access_key is not None or config.secret_key is not None:
        if not config.access_key or not config.secret_key:
            message = "s3.access_key and s3.secret_key are given together, or neither is"
            raise CannotStart(message)
        return Keys(config.access_key, config.secret_key, None, "s3.access_key")
    if config.profile is not None:
        return _of_profile(config.profile, environment, "s3.profile")
    access_key = environment.get("AWS_ACCESS_KEY_ID")
    secret_key = environment.get("AWS_SECRET_ACCESS_KEY")
    if access_key and secret_key:
        token = environment.get("AWS_SESSION_TOKEN") or None
        return Keys(access_key, secret_key, token, "AWS_ACCESS_KEY_ID")
    if profile := environment.get("AWS_PROFILE"):
        return _of_profile(profile, environment, "AWS_PROFILE")
    try:
        return _of_profile("default", environment, "default")
    except CannotStart:
        return None


def _of_profile(name: str, environment: Mapping[str, str], source: str) -> Keys:
    found: dict[str, str] = {}
    for path, section in (
        (_file(environment, "AWS_CONFIG_FILE", "config"), f"profile {name}"),
        (_file(environment, "AWS_CONFIG_FILE", "config"), name if name == "default" else ""),
        (_file(environment, "AWS_SHARED_CREDENTIALS_FILE", "credentials"), name),
    ):
        found |= _section(path, section)
    access_key, secret_key = found.get("aws_access_key_id"), found.get("aws_secret_access_key")
    if not access_key or not secret_key:
        message = (
            f"the AWS profile {name} ({source}) has no aws_access_key_id and aws_secret_access_key"
            " of its own, in ~/.aws/credentials or ~/.aws/config"
        )
        raise CannotStart(message)
    return Keys(access_key, secret_key, found.get("aws_session_token"), source)


def _file(environment: Mapping[str, str], variable: str, name: str) -> Path:
    given = environment.get(variable)
    return Path(given).expanduser() if given else _home(environment) / ".aws" / name


def _home(environment: Mapping[str, str]) -> Path:
    return Path(environment["HOME"]) if environment.get("HOME") else Path.home()


def _section(path: Path, section: str) -> dict[str, str]:
    parser = configparser.RawConfigParser()
    try:
        parser.read_string(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return {}
    except OSError as error:
        message = f"{path} cannot be read: {error.strerror}"
        raise CannotStart(message) from None
    except (configparser.Error, UnicodeError):
        message = f"{path} cannot be read: it is no file of AWS profiles"
        raise CannotStart(message) from None
    return dict(parser[section]) if parser.has_section(section) else {}
