"""The command line: each command imports only what it needs, so that ``qobs --help`` answers at once."""

from __future__ import annotations

import argparse
import json
import math
import os
import sys
from collections.abc import Sequence
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qobs import __version__
from qobs.cli import maintenance, reference, slo
from qobs.cli.output import FINDINGS, OK, cannot, plain, report, say, table

if TYPE_CHECKING:
    from qobs.config import Config
    from qobs.errors import Finding
    from qobs.store.command import Output
    from qobs.store.readonly import ReadOnlyStore


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command; the exit code is 0 for success, 1 for findings or failure, 2 when it cannot run."""
    try:
        return _command_of(argv)
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:
        # The reader has left (`| head`): what is still buffered goes nowhere, and the exit must not complain about it.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return FINDINGS


def _command_of(argv: Sequence[str] | None) -> int:
    try:
        arguments = build_parser().parse_args(argv)
        code: int = arguments.command(arguments)
        return code
    finally:
        sys.stdout.flush()


def build_parser() -> argparse.ArgumentParser:
    """The whole command line."""
    parser = argparse.ArgumentParser(
        prog="qobs",
        description="Observability and service-level objectives for quantum computing.",
        epilog="Start with: qobs demo",
    )
    parser.add_argument("--version", action="version", version=f"qobs {__version__}")
    commands = parser.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _demo(commands)
    _run(commands)
    _check(commands)
    _store(commands)
    slo.add(commands)
    maintenance.add(commands)
    reference.add(commands)
    return parser


def _command(commands: Any, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    return commands.add_parser(  # type: ignore[no-any-return]
        name,
        help=summary,
        description=summary[0].upper() + summary[1:] + ".",
        epilog=f"Example: {example}",
    )


# ------------------------------------------------------------------------------------------------- demo


def _demo(commands: Any) -> None:
    parser = _command(
        commands,
        "demo",
        "run emulated clouds and the daemon in one process, and print the URLs to open",
        "qobs demo --port 9954",
    )
    parser.add_argument(
        "--port", type=int, default=9954, help="port of the HTTP surface on 127.0.0.1; 0: any free one (default: 9954)"
    )
    parser.add_argument("--speed", type=float, default=1.0, help="how fast time runs in the demo (default: 1)")
    parser.add_argument("--seed", type=int, default=7, help="seed of everything that happens in the clouds (default: 7)")
    parser.set_defaults(command=_run_demo)


def _run_demo(arguments: argparse.Namespace) -> int:
    if not 0 < arguments.speed < math.inf:
        return cannot(f"--speed must be > 0 and finite, but --speed {arguments.speed:g}")
    from qobs.demo import run_demo

    return run_demo(port=arguments.port, speed=arguments.speed, seed=arguments.seed)


# -------------------------------------------------------------------------------------------------- run


def _run(commands: Any) -> None:
    parser = _command(commands, "run", "run the daemon", "qobs run --config qobs.yaml")
    _config_option(parser)
    parser.add_argument("--listen", metavar="HOST:PORT", help="where to serve, instead of the configured address")
    parser.add_argument(
        "--insecure-listen", action="store_true", help="allow a non-loopback address without TLS and authentication"
    )
    parser.set_defaults(command=_run_daemon)


def _run_daemon(arguments: argparse.Namespace) -> int:
    from qobs.daemon import run
    from qobs.errors import ConfigError

    environ = _environment(arguments.listen)
    try:
        return run(Path(arguments.config), insecure_listen=arguments.insecure_listen, environ=environ)
    except ConfigError as error:
        return report(error.findings, as_json=False)


# ------------------------------------------------------------------------------------------------ check


def _check(commands: Any) -> None:
    parser = _command(
        commands, "check", "validate the configuration and try every source's credentials", "qobs check --config qobs.yaml"
    )
    _config_option(parser)
    parser.add_argument("--offline", action="store_true", help="do not contact any provider")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.add_argument("--schema", action="store_true", help="print the JSON Schema of the configuration and leave")
    parser.set_defaults(command=_run_check)


def _run_check(arguments: argparse.Namespace) -> int:
    from qobs.sources.registry import SOURCES

    if arguments.schema:
        from qobs.config import json_schema

        say(json.dumps(json_schema(SOURCES), indent=2))
        return OK
    from qobs.config import load
    from qobs.errors import ConfigError

    if not Path(arguments.config).exists():
        return cannot(f"{arguments.config}: no such file; name a configuration with --config", as_json=arguments.json)
    try:
        config = load(Path(arguments.config), SOURCES)
        objectives, warnings = slo.check(config)
    except ConfigError as error:
        report(error.findings, as_json=arguments.json)
        return FINDINGS
    return _check_sources(config, objectives, warnings, offline=arguments.offline, as_json=arguments.json)


def _check_sources(config: Config, objectives: int, warnings: tuple[Finding, ...], *, offline: bool, as_json: bool) -> int:
    from qobs.daemon.preflight import preflight_all, skip_all

    results = skip_all(config) if offline else preflight_all(config)
    warnings = config.warnings + warnings
    failed = [result for result in results if result.ok is False]
    if as_json:
        body = {
            "ok": not failed,
            "file": config.file,
            "warnings": [plain(finding) for finding in warnings],
            "objectives": objectives,
            "unused": list(config.unused),
            "sources": [result.plain() for result in results],
        }
        say(json.dumps(body, indent=2))
        return FINDINGS if failed else OK
    for finding in warnings:
        say(f"warning: {finding}")
    for key in config.unused:
        say(f"note: `{key}` is checked and kept, but the daemon of this version does not act on it")
    say(f"valid objectives: {objectives}{' (the catalogue that comes with qobs)' if config.slo is None else ''}")
    table(("SOURCE", "TYPE", "RESULT", "DETAIL"), [result.row() for result in results])
    say(f"{config.file}: {'ok' if not failed else f'{len(failed)} of {len(results)} sources failed'}")
    return FINDINGS if failed else OK


# ------------------------------------------------------------------------------------------------ store


def _store(commands: Any) -> None:
    parser = _command(commands, "store", "look at, verify, back up or prune the store", "qobs store info --config qobs.yaml")
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    for name, summary in (
        ("info", "size, rows and schema"),
        ("verify", "full integrity check, and every row and count rebuilt from history"),
        ("backup", "write a consistent copy and open it again as proof"),
        ("prune", "apply the configured retention now"),
    ):
        action = actions.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
        action.add_argument("--config", default="qobs.yaml", help="configuration that names the store (default: qobs.yaml)")
        action.set_defaults(path=None)
        if name != "prune":
            action.add_argument(
                "--path", type=Path, help="database file, instead of the configured one (its counts are then not compared)"
            )
        action.add_argument("--json", action="store_true", help="print JSON")
        if name == "backup":
            action.add_argument("target", type=Path, help="file to write; must not exist")
        action.set_defaults(command=_run_store, action=name)


def _run_store(arguments: argparse.Namespace) -> int:
    from qobs.config import load
    from qobs.daemon.wiring import open_store, open_store_to_read
    from qobs.errors import ConfigError, StoreError
    from qobs.sources.registry import SOURCES
    from qobs.store import command

    as_json: bool = arguments.json
    config = Path(arguments.config)
    try:
        if arguments.path is None and not config.is_file():
            return cannot(f"{config}: no such file; name a configuration with --config, or a store with --path", as_json=as_json)
        if arguments.action == "prune":
            with closing(open_store(load(config, SOURCES))) as store:
                output = command.prune(store, datetime.now(UTC), as_json=as_json)
        else:
            with closing(open_store_to_read(arguments.path, config)) as reader:
                output = _look(reader, arguments)
    except ConfigError as error:
        return report(error.findings, as_json=as_json)
    except (StoreError, OSError) as error:
        return cannot(str(error), as_json=as_json)
    say(output.text)
    return output.status


def _look(store: ReadOnlyStore, arguments: argparse.Namespace) -> Output:
    from qobs.store import command

    if arguments.action == "verify":
        return command.verify(store, as_json=arguments.json)
    if arguments.action == "backup":
        return command.backup(store, arguments.target, as_json=arguments.json)
    return command.info(store, as_json=arguments.json)


# ------------------------------------------------------------------------------------------------ shared


def _config_option(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--config", default="qobs.yaml", metavar="FILE", help="configuration file (default: qobs.yaml)")


def _environment(listen: str | None) -> dict[str, str]:
    environ = dict(os.environ)
    if listen is not None:
        environ["QOBS_LISTEN"] = listen
    return environ
