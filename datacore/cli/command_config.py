"""``--command-config FILE``: a properties file of Kafka's clients.

What this client has no use for (retries, buffers and the like) is passed over, as Kafka's own tools
do, and said on standard error. What would make the connection safe is never passed over: a setting
of SASL or TLS is a mistake as long as this client has neither.
"""

from pathlib import Path
from typing import Final, NamedTuple

import click

from datacore.cli.failure import Mistake

_NO_SECURITY: Final = ("security.protocol", "PLAINTEXT")
_SECURITY_PREFIXES: Final = ("security.", "sasl.", "ssl.")
_ESCAPES: Final = {"t": "\t", "n": "\n", "r": "\r", "f": "\f"}


class ClientSettings(NamedTuple):
    """Settings of the file that this client has; None where the file does not say."""

    bootstrap_servers: str | None = None
    client_id: str | None = None
    request_timeout_ms: int | None = None


_KNOWN: Final = {field.replace("_", ".") for field in ClientSettings._fields}


def read_client_settings(path: Path) -> ClientSettings:
    """Reads a properties file.

    Raises:
        Mistake: It cannot be read, or asks for security or something impossible.
    """
    try:
        found = parse_properties(path.read_text("utf-8"))
    except (OSError, UnicodeDecodeError) as error:
        why = error.strerror if isinstance(error, OSError) else "it is not UTF-8"
        raise Mistake(f"--command-config: {path} cannot be read: {why}") from None
    for name, value in found.items():
        if name.startswith(_SECURITY_PREFIXES) and (name, value) != _NO_SECURITY:
            raise Mistake(
                f"--command-config: {path}: {name}: this client speaks PLAINTEXT only: "
                "use a listener without SASL and TLS"
            )
    if passed_over := sorted(found.keys() - _KNOWN - {_NO_SECURITY[0]}):
        click.echo(f"{path}: without effect here: {', '.join(passed_over)}", err=True)
    timeout_ms = found.get("request.timeout.ms")
    if timeout_ms is not None and not (timeout_ms.isdigit() and int(timeout_ms) > 0):
        raise Mistake(
            f"--command-config: {path}: request.timeout.ms: expected milliseconds, "
            f"got {timeout_ms!r}"
        )
    return ClientSettings(
        found.get("bootstrap.servers"),
        found.get("client.id"),
        None if timeout_ms is None else int(timeout_ms),
    )


def parse_properties(text: str) -> dict[str, str]:
    """Reads Java's properties format, with its comments, continued lines and escapes."""
    found: dict[str, str] = {}
    for line in _logical_lines(text):
        name, value = _split(line)
        found[name] = value
    return found


def _logical_lines(text: str) -> list[str]:
    lines: list[str] = []
    continued = ""
    for line in text.splitlines():
        stripped = line.lstrip(" \t\f")
        if not continued and (not stripped or stripped[0] in "#!"):
            continue
        joined = continued + stripped
        backslashes = len(joined) - len(joined.rstrip("\\"))
        if backslashes % 2:
            continued = joined[:-1]
        else:
            continued = ""
            lines.append(joined)
    return [*lines, continued] if continued else lines


def _split(line: str) -> tuple[str, str]:
    at = 0
    while at < len(line) and line[at] not in "=: \t\f":
        at += 2 if line[at] == "\\" else 1
    value = line[at:].lstrip(" \t\f")
    if value[:1] in {"=", ":"}:
        value = value[1:].lstrip(" \t\f")
    return _unescaped(line[:at]), _unescaped(value)


def _unescaped(text: str) -> str:
    if "\\" not in text:
        return text
    found = ""
    at = 0
    while at < len(text):
        if text[at] != "\\":
            found += text[at]
            at += 1
        elif text[at + 1 : at + 2] == "u":
            digits = text[at + 2 : at + 6]
            try:
                found += chr(int(digits, 16))
            except ValueError:
                raise Mistake(f"expected four hex digits behind \\u, got {digits!r}") from None
            at += 6
        else:
            found += _ESCAPES.get(text[at + 1 : at + 2], text[at + 1 : at + 2])
            at += 2
    return found
