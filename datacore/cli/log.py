"""``datacore log``: looks into the files of a log, without a broker."""

from datacore.cli.lazy import LazyCommand, LazyGroup

log = LazyGroup(
    "log",
    {"dump": LazyCommand("datacore.cli.log_dump:log_dump", "Show the batches of a segment file.")},
    help="Look into the files of a log.",
)
