"""The event loop that a broker runs in: uvloop where it is installed, asyncio's own elsewhere."""

import asyncio

try:
    import uvloop
except ImportError:
    new_event_loop = asyncio.new_event_loop
else:
    new_event_loop = uvloop.new_event_loop
