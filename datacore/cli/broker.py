"""``datacore broker start``: configuration, log output, one ready line, clean shutdown.

SIGTERM and SIGINT stop the broker once what is in flight is finished; a second one ends the process
at once. Every key of the configuration is a flag; they are made from the model.
"""

import asyncio
import os
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from typing import Any, Final, get_args, get_origin

import click

from datacore.cli.failure import Failure, Mistake
from datacore.cli.log_output import configure_logging
from datacore.config import Config, ConfigError, KafkaConfigValue, Key, keys, load_config
from datacore.metadata.configs import BROKER_CONFIGS, InvalidConfig
from datacore.server.cyclic_collector import spare_lasting_objects
from datacore.server.event_loop import new_event_loop
from datacore.server.listener import ListenError
from datacore.server.open_files import raise_open_files_limit
from datacore.server.serve import RunningBroker, serve
from datacore.storage.engine import CannotStart, StorageError
from datacore.version import VERSION

_SHORT_NAMES: Final = {"broker.data_dir": "--data-dir"}
_STOP_SIGNALS: Final = (signal.SIGTERM, signal.SIGINT)


def _option(key: Key) -> Callable[[Any], Any]:
    default = ", ".join(key.default) if isinstance(key.default, tuple) else key.default
    described = key.description + (f"  [default: {default}]" if default not in (None, "") else "")
    names = [key.flag, *filter(None, [_SHORT_NAMES.get(key.dotted)])]
    parameter = key.dotted.replace(".", "__")
    if isinstance(key.default, bool):
        spelled = f"{key.flag}/--no-{key.flag.removeprefix('--')}"
        described = f"{key.description}  [default: {'on' if key.default else 'off'}]"
        return click.option(spelled, parameter, default=None, help=described)
    if get_origin(bare := get_args(key.type)[0]) is not None and isinstance(key.default, str):
        return click.option(*names, parameter, metavar="|".join(get_args(bare)), help=described)
    return click.option(*names, parameter, metavar=_metavar(key), help=described)


def _metavar(key: Key) -> str:
    if isinstance(key.default, tuple):
        return "LIST"
    return "N" if isinstance(key.default, int) else "TEXT"


def _config_options(command: Callable[..., Any]) -> Callable[..., Any]:
    for key in reversed(list(keys())):
        command = _option(key)(command)
    return command


@click.group()
def broker() -> None:
    """Run a broker."""


@broker.command()
@click.option(
    "--config",
    "file",
    metavar="FILE",
    envvar="DATACORE_CONFIG",
    help="A TOML file; environment and flags win over it.",
)
@_config_options
@click.option(
    "--kafka",
    "kafka",
    metavar="NAME=VALUE",
    multiple=True,
    help="A broker setting by its Kafka name, such as log.retention.ms=60000.",
)
def start(file: str | None, kafka: tuple[str, ...], **given: object) -> None:
    """Start a broker and run it until SIGTERM or Ctrl-C.

    Every option can also be given as DATACORE_SECTION__KEY in the environment, or in the file.
    """
    flags = {name.replace("__", ".", 1): value for name, value in given.items()}
    flags = {dotted: value for dotted, value in flags.items() if value is not None}
    for setting in kafka:
        name, separator, value = setting.partition("=")
        if not separator:
            raise Mistake(f"flag: --kafka: expected NAME=VALUE, got {setting!r}")
        flags[f"kafka.{name}"] = value
    try:
        config = load_config(
            file=file, environment=os.environ, flags=flags, check_kafka=_expected_kafka_value
        )
        configure_logging(config.logging)
    except ConfigError as error:
        raise Mistake(str(error)) from None
    raise_open_files_limit()
    with asyncio.Runner(loop_factory=new_event_loop) as runner:
        runner.run(_run(config))


def _expected_kafka_value(name: str, value: KafkaConfigValue) -> str | None:
    key = BROKER_CONFIGS.get(name)
    if key is None:
        return "the name of one of Kafka's broker configs"
    try:
        key.check(str(value).lower() if isinstance(value, bool) else str(value))
    except InvalidConfig as error:
        return f"what Kafka expects ({error})"
    return None


async def _run(config: Config) -> None:
    stopped = asyncio.Event()
    loop = asyncio.get_running_loop()

    def stop() -> None:
        for number in _STOP_SIGNALS:
            loop.remove_signal_handler(number)
        stopped.set()

    for number in _STOP_SIGNALS:
        loop.add_signal_handler(number, stop)
    async with AsyncExitStack() as stack:
        try:
            running = await stack.enter_async_context(serve(config))
        except ListenError as error:
            raise Failure(f"{error}: choose another with --broker-port or --broker-host") from None
        except CannotStart as error:
            raise Mistake(f"the {config.storage.engine} engine cannot start: {error}") from None
        except StorageError as error:
            raise Failure(f"the {config.storage.engine} engine cannot start: {error}") from None
        except ValueError as error:
            raise Mistake(str(error)) from None
        spare_lasting_objects()
        click.echo(_ready_line(config, running))
        await stopped.wait()


def _ready_line(config: Config, running: RunningBroker) -> str:
    listeners = ", ".join(f"{name}://{at}" for name, at in running.listeners.items())
    where = f", {config.broker.data_dir}" if config.storage.engine == "disk" else ""
    return f"DataCore {VERSION} ready: {listeners} ({config.storage.engine} engine{where})"
