"""Why a bucket does not do what it is asked, in a sentence that says what to change.

Rules: what S3 calls an error by (``NoSuchBucket``) is looked for first, then what connecting says;
anything else is told as the library tells it, cut short. No sentence holds a secret, nor what a
server echoes of a signature.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from datacore.storage.s3.config import S3Config

MESSAGE_CHARS: Final = 300

_CODE: Final = re.compile(r"<Code>(\w+)</Code>|\(code: (\w+)\)")
_EXPECTED_REGION: Final = re.compile(r"<Region>([\w-]+)</Region>|<BucketRegion>([\w-]+)<")

_BY_CODE: Final = {
    "NoSuchBucket": "there is no bucket {bucket} (s3.bucket): make it first",
    "InvalidBucketName": "{bucket} is no name that a bucket can have (s3.bucket)",
    "InvalidAccessKeyId": "it knows no access key {access_key} (s3.access_key)",
    "SignatureDoesNotMatch": "the secret of access key {access_key} is another (s3.secret_key)",
    "AccessDenied": "access key {access_key} may not do {action} there",
    "AllAccessDisabled": "access key {access_key} may not do {action} there",
    "AccountProblem": "access key {access_key} may not do {action} there",
    "ExpiredToken": "the credentials of access key {access_key} have expired",
    "InvalidToken": "the session token beside access key {access_key} is not valid",
    "RequestTimeTooSkewed": "the clocks of this machine and of the server are too far apart",
    "NotImplemented": "the server cannot do conditional creates (If-None-Match: *)",
    "AuthorizationHeaderMalformed": "the region is {expected}, not {region} (s3.region)",
    "PermanentRedirect": "the region is {expected}, not {region} (s3.region)",
    "TemporaryRedirect": "the region is {expected}, not {region} (s3.region)",
    "IllegalLocationConstraintException": "the region is {expected}, not {region} (s3.region)",
}
_BY_CONNECTING: Final = (
    ("169.254.169.254", "no credentials were found: s3.access_key and s3.secret_key give them"),
    ("UnknownIssuer", "nobody known has signed the endpoint's certificate: s3.ca_file names who"),
    ("NotValidForName", "the endpoint's certificate is for another name (s3.endpoint)"),
    ("InvalidCertificate(", "the endpoint's certificate is not valid"),
    ("InvalidContentType", "the endpoint speaks no TLS: http:// may be meant (s3.endpoint)"),
    ("dns error", "the endpoint's host has no address (s3.endpoint)"),
    ("ConnectionRefused", "nobody listens there (s3.endpoint)"),
    ("kind: Connect", "the endpoint cannot be reached (s3.endpoint)"),
    ("kind: Timeout", "the endpoint gives no answer in time"),
)


def explain(error: Exception, action: str, config: S3Config) -> str:
    """A sentence without its end.

    Args:
        error: What the library has raised.
        action: What was asked for, as S3's permissions are named.
        config: What the bucket was told to be.
    """
    text = str(error)
    found = _CODE.search(text)
    sentence = _BY_CODE.get(found[1] or found[2]) if found else None
    if sentence is not None:
        expected = _EXPECTED_REGION.search(text)
        return sentence.format(
            bucket=config.bucket,
            access_key=config.access_key or "(none given)",
            action=action,
            region=config.region,
            expected=(expected[1] or expected[2]) if expected else "another",
        )
    for word, sentence in _BY_CONNECTING:
        if word in text:
            return sentence
    return first_words(error)


def has_no_bucket(error: Exception) -> bool:
    """Whether it is the whole bucket that is not there."""
    return "<Code>NoSuchBucket</Code>" in str(error)


def first_words(error: Exception) -> str:
    """What the library says, without its inner life."""
    return " ".join(str(error).split("\n\nDebug source:", 1)[0].split())[:MESSAGE_CHARS]
