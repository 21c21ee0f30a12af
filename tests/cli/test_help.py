"""What every command says of itself, and how a shell completes it."""

import resource
import subprocess
from collections.abc import Iterator, Mapping

import click
import pytest
from click.testing import CliRunner

from datacore.cli.listing import OutputOption
from datacore.cli.main import root
from datacore.testing import Broker
from tests.cli.command import command_line, datacore, process_environment
from tests.cli.conftest import caller


def commands(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Every command, groups too, by what one types for it."""
    yield path, command
    if isinstance(command, click.Group):
        context = click.Context(command)
        for name in command.list_commands(context):
            member = command.get_command(context, name)
            assert member is not None
            yield from commands(member, (*path, name))


COMMANDS = dict(commands(root))


@pytest.mark.parametrize("path", COMMANDS, ids=lambda path: " ".join(path) or "datacore")
def test_every_command_has_help_and_its_options_have_words(path: tuple[str, ...]) -> None:
    done = CliRunner().invoke(root, [*path, "--help"], prog_name="datacore")
    assert done.exit_code == 0, done.stderr
    assert done.output.startswith(f"Usage: {' '.join(['datacore', *path])}")
    command = COMMANDS[path]
    assert command.help
    for option in command.params:
        if isinstance(option, click.Option):
            assert option.help, option.name


@pytest.mark.parametrize(
    "command",
    [
        pytest.param(command, id=" ".join(path))
        for path, command in COMMANDS.items()
        if any(isinstance(each, OutputOption) for each in command.params)
    ],
)
def test_every_key_of_a_listing_has_words(command: click.Command) -> None:
    (option,) = (each for each in command.params if isinstance(each, OutputOption))
    assert option.listings
    for listing in option.listings:
        for key, about in listing.columns.items():
            assert key == key.lower()
            assert about.endswith("."), key
    assert len({each.when for each in option.listings}) == len(option.listings)


def test_the_one_line_help_of_a_group_names_its_commands_without_loading_them() -> None:
    program = (
        "import sys\nfrom datacore.cli.main import root\nroot.shell_complete\n"
        "assert not {'datacore.cli.topic', 'datacore.cli.group'} & sys.modules.keys()"
    )
    environment = process_environment()
    subprocess.run([command_line()[0], "-c", program], env=environment, check=True)


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_a_shell_gets_its_script(shell: str) -> None:
    done = CliRunner().invoke(root, ["completion", shell], prog_name="datacore")
    assert done.exit_code == 0
    assert f"_DATACORE_COMPLETE={shell}_complete" in done.output


def completed(typed: str, word: int, environment: Mapping[str, str] | None = None) -> set[str]:
    """What bash is offered for the word of that number."""
    program = "from datacore.cli.main import main; main()"
    done = subprocess.run(
        [command_line()[0], "-c", program],
        env=process_environment()
        | {
            "_DATACORE_COMPLETE": "bash_complete",
            "COMP_WORDS": typed,
            "COMP_CWORD": str(word),
        }
        | dict(environment or {}),
        capture_output=True,
        check=True,
    )
    return {line.partition(",")[2] for line in done.stdout.decode().split()}


@pytest.mark.parametrize(
    ("typed", "word", "expected"),
    [
        ("datacore gr", 1, {"group"}),
        ("datacore group re", 2, {"reset-offsets"}),
        ("datacore group reset-offsets --to-l", 3, {"--to-latest"}),
        ("datacore consume t --isolation-level ", 4, {"read_uncommitted", "read_committed"}),
    ],
)
def test_commands_options_and_values_are_completed(
    typed: str, word: int, expected: set[str]
) -> None:
    assert completed(typed, word) == expected


def test_names_are_completed_by_asking_the_cluster() -> None:
    with Broker() as broker:
        environment = {"DATACORE_BOOTSTRAP_SERVER": broker.bootstrap_servers}
        for name in ("orders", "other", "payments"):
            assert caller(broker.bootstrap_servers)("topic", "create", name).status == 0
        assert completed("datacore topic describe o", 3, environment) == {"orders", "other"}
        assert completed("datacore consume pay", 2, environment) == {"payments"}
        assert completed("datacore group describe ", 3, environment) == set()
    assert completed("datacore topic describe o", 3, environment) == set()


@pytest.mark.slow
def test_the_version_is_there_in_less_than_150_ms() -> None:
    """Of processor time: how long a busy machine lets it wait is not the command's affair."""
    datacore("--version")
    took_s = []
    for _ in range(5):
        begun_s = children_cpu_s()
        datacore("--version")
        took_s.append(children_cpu_s() - begun_s)
    assert min(took_s) < 0.15


def children_cpu_s() -> float:
    """Processor time of all processes that this one has started and that have ended."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime
