"""The one error of both programs: which file, where in it, and why."""

from pathlib import Path


class SpecError(ValueError):
    """A spec that cannot be taken as it stands.

    Args:
        file: The spec's file, or what stands for it.
        path: Where in the file, e.g. ``fields.Topics.fields.Name``; empty for the whole.
        reason: What is wrong, in a few words.
    """

    def __init__(self, file: Path | str, path: str, reason: str) -> None:
        self.file = str(file)
        self.path = path
        self.reason = reason
        super().__init__(": ".join(part for part in (self.file, path, reason) if part))
