"""The one name for 'bytes that may be a view'."""

from typing import TypeAlias

Buffer: TypeAlias = bytes | bytearray | memoryview
