"""``datacore completion SHELL``: the script that completes commands and options in a shell."""

import click
from click.shell_completion import get_completion_class

_SHELLS = ("bash", "zsh", "fish")
_PROGRAM = "datacore"
_VARIABLE = "_DATACORE_COMPLETE"


@click.command()
@click.argument("shell", type=click.Choice(_SHELLS))
@click.pass_context
def completion(context: click.Context, *, shell: str) -> None:
    """Print the script that completes this command in SHELL.

    Put `eval "$(datacore completion bash)"` into ~/.bashrc, or the same with zsh into ~/.zshrc; for
    fish, write the output to ~/.config/fish/completions/datacore.fish.
    """
    found = get_completion_class(shell)
    assert found is not None
    # The script itself, without click's look at the version of the shell on this machine.
    script = found(context.find_root().command, {}, _PROGRAM, _VARIABLE)
    click.echo(script.source_template % script.source_vars())
