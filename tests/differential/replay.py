"""Tells a script to Apache Kafka and to DataCore again, and shows every answer.

    python -m tests.differential.replay FILE [--release 3.9.1]     # needs java and Maven

A script is what a failed run of `make test-differential` has printed: one line for each step.
"""

from pathlib import Path

import click

from tests.differential.arena import arena
from tests.differential.sequences import read_script


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True))
@click.option("--release", default="4.1.1", show_default=True, help="Release of Apache Kafka.")
def main(*, file: Path, release: str) -> None:
    """Play a script's steps one after the other."""
    with arena(release) as place:
        duel = place.duel()
        for step in read_script(file.read_text()):
            click.echo(step)
            for difference in duel.differences(step):
                click.echo(f"  {difference.path}")
                click.echo(f"    Apache Kafka {difference.theirs}")
                click.echo(f"    DataCore     {difference.ours}")
        for difference in duel.last_differences():
            click.echo(difference)
        duel.close()


if __name__ == "__main__":
    main()
