"""Groups of commands whose modules are imported when one of their commands is called.

A group knows the one-line help of its commands, so that ``--help`` imports none of them either.
"""

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, NamedTuple

import click

if TYPE_CHECKING:
    from click.shell_completion import CompletionItem


class LazyCommand(NamedTuple):
    """Where a command lives: ``module:attribute``, and what the list of commands says of it."""

    target: str
    short_help: str

    def load(self) -> click.Command:
        """Imports the command's module."""
        module, _, attribute = self.target.partition(":")
        command = getattr(import_module(module), attribute)
        assert isinstance(command, click.Command)
        return command


class LazyGroup(click.Group):
    """A group made of ``LazyCommand``s."""

    def __init__(self, name: str, commands: Mapping[str, LazyCommand], **attributes: Any) -> None:
        super().__init__(name, **attributes)
        self._lazy_commands = commands

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002  # click's signature
        """The commands in the order of the table."""
        return list(self._lazy_commands)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """The command of that name, imported now."""
        lazy_command = self._lazy_commands.get(cmd_name)
        return lazy_command.load() if lazy_command else None

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        """Writes the list of commands for ``--help``."""
        with formatter.section("Commands"):
            formatter.write_dl(
                [(name, command.short_help) for name, command in self._lazy_commands.items()]
            )

    def shell_complete(self, ctx: click.Context, incomplete: str) -> "list[CompletionItem]":  # noqa: ARG002
        """The commands that begin with what was typed."""
        from click.shell_completion import CompletionItem  # noqa: PLC0415  # a shell's call only

        return [
            CompletionItem(name, help=command.short_help)
            for name, command in self._lazy_commands.items()
            if name.startswith(incomplete)
        ]
