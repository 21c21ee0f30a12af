"""Sequences of requests without an end at the first difference: what all of them bring to light.

    python -m tests.differential.survey --sequences 500 --seed 7 --scripts FOLDER

Where `make test-differential` stops and looks for the shortest sequence, this goes on. It counts
unexplained differences by what they are about, with one script of each for `replay`, and says
what each line of known_differences.toml has explained: values that a line was not written for
are a line too wide. Needs Java and Maven.
"""

import re
from collections import Counter
from pathlib import Path

import click
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st

from tests.differential.arena import Arena, arena
from tests.differential.duel import Difference
from tests.differential.judged import Judged, judged
from tests.differential.sequences import script, sequences

_PLACE = re.compile(r"\[\d+\]")
_SHOWN_CHARS = 160
_SHOWN_KINDS = 25


class Survey:
    """What was found so far.

    Attributes:
        sequences: How many were played.
        requests: How many both were asked.
        unexplained: Kinds of differences, and how often each came.
        explained: The same by the reason of the line that explains them.
    """

    def __init__(self, scripts: Path) -> None:
        """Begins.

        Args:
            scripts: The folder for one script of each kind of unexplained difference.
        """
        self.sequences = 0
        self.requests = 0
        self.unexplained: Counter[str] = Counter()
        self.explained: dict[str, Counter[str]] = {}
        self._scripts = scripts

    def add(self, found: Judged, written: str) -> None:
        """Counts what came of a sequence, whose script is kept if it shows something new."""
        self.sequences += 1
        self.requests += found.requests
        for reason, difference in found.explained:
            self.explained.setdefault(reason, Counter())[_kind(difference)] += 1
        for difference in found.unexplained:
            kind = _kind(difference)
            self.unexplained[kind] += 1
            if self.unexplained[kind] == 1:
                file = self._scripts / f"{len(self.unexplained)}.script"
                file.write_text(written + "\n")
                click.echo(f"{file}: {difference}")


def _kind(difference: Difference) -> str:
    """What a difference is about: API, version, path and both values."""
    step = difference.step
    path = _PLACE.sub("[]", difference.path)
    theirs, ours = (str(each)[:_SHOWN_CHARS] for each in (difference.theirs, difference.ours))
    return f"{step.key.name} v{step.version} {path}: {theirs!r} / {ours!r}"


def _play(place: Arena, survey: Survey, count: int, number: int) -> None:
    @seed(number)
    @settings(
        max_examples=count,
        deadline=None,
        database=None,
        phases=[Phase.generate],
        suppress_health_check=list(HealthCheck),
    )
    @given(data=st.data())
    def play(data: st.DataObject) -> None:
        steps = data.draw(sequences(place.served, oldest=place.release < "4"))
        survey.add(judged(place, steps), script(steps))

    play()


def _tell(survey: Survey) -> None:
    for reason, kinds in survey.explained.items():
        click.echo(f"\n{kinds.total()} explained: {reason}")
        for kind, times in kinds.most_common(_SHOWN_KINDS):
            click.echo(f"  {times:5} {kind}")
    click.echo(f"\n{survey.unexplained.total()} unexplained")
    for kind, times in survey.unexplained.most_common():
        click.echo(f"  {times:5} {kind}")
    click.echo(
        f"\n{survey.sequences} sequences, {survey.requests} requests,"
        f" {sum(each.total() for each in survey.explained.values())} explained differences,"
        f" {survey.unexplained.total()} unexplained"
    )


@click.command()
@click.option("--release", default="4.1.1", show_default=True, help="Release of Apache Kafka.")
@click.option("--sequences", "count", default=200, show_default=True, help="How many.")
@click.option("--seed", "number", default=0, show_default=True, help="What chance begins with.")
@click.option(
    "--scripts",
    type=click.Path(path_type=Path, exists=True, file_okay=False),
    required=True,
    help="Folder for a script of each kind of unexplained difference.",
)
def main(*, release: str, count: int, number: int, scripts: Path) -> None:
    """Play sequences at Apache Kafka and at DataCore, and tell of all differences."""
    survey = Survey(scripts)
    with arena(release) as place:
        _play(place, survey, count, number)
    _tell(survey)


if __name__ == "__main__":
    main()
