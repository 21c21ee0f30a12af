"""Which names a log may have, in every engine alike.

Rules: the alphabet is that of Kafka's topic names, so a name is a file name, an object key and a
column value as it stands; ``.`` and ``..`` are refused because they mean something to file systems.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from datacore.storage.engine import StorageError

if TYPE_CHECKING:
    from datacore.storage.engine import LogName

_LOG_NAME: Final = re.compile(r"[A-Za-z0-9._-]{1,249}")


def check_log_name(name: LogName) -> None:
    """Refuses what is not a log name.

    Raises:
        StorageError: ``name`` is empty, too long, ``.``, ``..`` or has other characters.
    """
    if _LOG_NAME.fullmatch(name) is None or name in {".", ".."}:
        message = f"{name[:300]!r} cannot name a log: [A-Za-z0-9._-], 1 to 249 of them, is what can"
        raise StorageError(message)
