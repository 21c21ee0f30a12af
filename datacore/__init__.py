"""DataCore: Apache Kafka's protocol, whole, in one ``pip install`` of Python.

``async with datacore.serve(config) as broker`` runs a broker inside an asyncio program.
"""

from typing import TYPE_CHECKING

__all__ = ["__version__", "serve"]

__version__ = "0.1.0"

if TYPE_CHECKING:
    from datacore.server.serve import serve
else:

    def __getattr__(name: str) -> object:
        """Imports the server when ``serve`` is first asked for: a client never pays for it."""
        if name == "serve":
            from datacore.server.serve import serve  # noqa: PLC0415  # see above

            return serve
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
