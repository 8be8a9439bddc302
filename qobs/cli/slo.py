"""``qobs slo`` and ``qobs generate``: objectives evaluated, explained, imported and turned into rules, with no daemon."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qobs.cli.output import FINDINGS, OK, cannot, plain, report, say, table

if TYPE_CHECKING:
    from qobs.config import Config
    from qobs.errors import Finding
    from qobs.export.rules_unit import Settings
    from qobs.slo.objective import Evaluation, FileEvent, Objective

SUFFIXES = (".yaml", ".yml", ".json")


def add(commands: Any) -> None:
    """Put both commands on the command line."""
    slo = commands.add_parser(
        "slo",
        help="evaluate, backtest, explain or import objectives, with no daemon",
        description="Evaluate, backtest, explain or import objectives, with no daemon.",
        epilog="Example: qobs slo evaluate slo/job-success.yaml --events events.jsonl --at 2026-11-22T12:00:00Z",
    )
    actions = slo.add_subparsers(title="actions", metavar="ACTION", required=True)
    _evaluate(actions)
    _backtest(actions)
    _explain(actions)
    _import(actions)
    _generate(commands)


def _action(actions: Any, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", epilog=f"Example: {example}"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


def _with_slo(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "slo", nargs="+", metavar="SLO.yaml", help="OpenSLO files, loaded together; a folder means all of its files"
    )
    parser.add_argument("--lenient", action="store_true", help="unknown fields are warnings instead of errors")


def _evaluate(actions: Any) -> None:
    example = "qobs slo evaluate slo.yaml --events events.jsonl --at 2026-11-22T12:00:00Z --json"
    parser = _action(actions, "evaluate", "burn rates, budget, evidence and state of each objective for an event file", example)
    _with_slo(parser)
    parser.add_argument("--events", required=True, metavar="FILE.jsonl", help="one event a line: at, good, group, weight")
    parser.add_argument("--at", required=True, metavar="TIME", help="moment of evaluation, ISO 8601 with a zone")
    parser.set_defaults(command=_run_evaluate)


def _backtest(actions: Any) -> None:
    example = "qobs slo backtest slo.yaml --events events.jsonl"
    parser = _action(actions, "backtest", "every page and ticket that would have fired and cleared, with times", example)
    _with_slo(parser)
    parser.add_argument("--events", required=True, metavar="FILE.jsonl", help="one event a line: at, good, group, weight")
    parser.set_defaults(command=_run_backtest)


def _explain(actions: Any) -> None:
    example = "qobs slo explain slo.yaml --rate 2"
    parser = _action(actions, "explain", "failures needed, expected false pages and detection time at a rate of events", example)
    _with_slo(parser)
    rate = parser.add_mutually_exclusive_group(required=True)
    rate.add_argument("--rate", type=float, metavar="N", help="counted events an hour")
    rate.add_argument("--events", metavar="FILE.jsonl", help="measure the rate and the batches from an event file")
    parser.add_argument("--batch", type=float, default=1.0, metavar="N", help="mean jobs of a batch, with --rate (default: 1)")
    parser.set_defaults(command=_run_explain)


def _import(actions: Any) -> None:
    example = "qobs slo import sloth.yaml > slo/imported.yaml"
    parser = _action(
        actions, "import", "OpenSLO, Sloth or Pyrra in, OpenSLO v1 out, and a list of what was not honoured", example
    )
    parser.add_argument("files", nargs="+", metavar="FILE", help="documents of any of these tools")
    parser.add_argument("--period", default="30d", help="period of documents that name none (default: 30d)")
    parser.set_defaults(command=_run_import)


def _generate(commands: Any) -> None:
    parser = commands.add_parser(
        "generate",
        help="write alert rules, their unit tests and the Alertmanager routing from objectives",
        description="Write alert rules, their unit tests and the Alertmanager routing from objectives.",
        epilog="Example: qobs generate --slo slo --out . --check",
    )
    parser.add_argument("--slo", default="slo", metavar="DIR", help="folder of OpenSLO documents (default: slo)")
    parser.add_argument("--out", default=".", metavar="DIR", help="folder in which alerts/ is written (default: .)")
    parser.add_argument(
        "--mode",
        choices=("native", "recording"),
        default="native",
        help="alert on the burn that qobs counts, or on recording rules with Sloth's names (default: native)",
    )
    parser.add_argument(
        "--config", metavar="FILE", help="configuration whose `generate` section says the site's own words and links"
    )
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 if anything would change")
    parser.add_argument("--json", action="store_true", help="print JSON")
    parser.set_defaults(command=_run_generate)


def check(config: Config) -> tuple[int, tuple[Finding, ...]]:
    """How many objectives the configuration puts in force, and what to know about them.

    Raises:
        ConfigError: the documents cannot be read or are not usable; all findings at once.
    """
    from qobs.daemon.documents import load_configured

    loaded = load_configured(config)
    return len(loaded.objectives), loaded.warnings


# ------------------------------------------------------------------------------------------------- running


def _run_evaluate(arguments: argparse.Namespace) -> int:
    from qobs.errors import ConfigError
    from qobs.slo.evaluate import evaluate, evaluation_json

    at = _moment(arguments.at)
    if at is None:
        return cannot(
            f"--at: found {arguments.at!r}; must be ISO 8601 with a zone, such as 2026-11-22T12:00:00Z", as_json=arguments.json
        )
    try:
        objectives = _objectives(arguments)
        events = _events(arguments.events)
        found = [evaluate(objective, events, at) for objective in objectives]
    except ConfigError as error:
        return report(error.findings, as_json=arguments.json)
    except OSError as error:
        return cannot(_os_message(error), as_json=arguments.json)
    if arguments.json:
        say(json.dumps([evaluation_json(evaluation) for evaluation in found], indent=2))
    else:
        for evaluation in found:
            _show(evaluation)
    return OK


def _show(evaluation: Evaluation) -> None:
    objective, budget = evaluation.objective, evaluation.budget
    say(f"{objective.slo}/{objective.name}  target {objective.target}  state {evaluation.state}  at {evaluation.at.isoformat()}")
    rows = [
        (name, f"{window.good:g}", f"{window.bad:g}", _ratio(window.error_ratio), _number(window.burn_rate))
        for name, window in evaluation.windows.items()
    ]
    table(("WINDOW", "GOOD", "BAD", "ERROR RATIO", "BURN RATE"), rows)
    bounds = "" if budget.low is None or budget.high is None else f" ({budget.low:.1%} to {budget.high:.1%})"
    say(f"budget remaining {budget.remaining_ratio:.1%}{bounds}, {budget.bad:g} bad of {budget.total:g} allowed")
    firing = [f"{alert.severity}/{alert.tier}" for alert in evaluation.alerts if alert.firing]
    say(f"firing: {', '.join(firing) or 'nothing'}\n")


def _run_backtest(arguments: argparse.Namespace) -> int:
    from qobs.errors import ConfigError
    from qobs.slo.backtest import backtest, backtest_json

    try:
        fired = backtest(_objectives(arguments), _events(arguments.events))
    except ConfigError as error:
        return report(error.findings, as_json=arguments.json)
    except OSError as error:
        return cannot(_os_message(error), as_json=arguments.json)
    if arguments.json:
        say(json.dumps(backtest_json(fired), indent=2))
        return OK
    rows = [
        (
            f"{each.slo}/{each.objective}",
            str(each.severity),
            each.tier,
            each.fired_at.isoformat(),
            "still firing" if each.cleared_at is None else each.cleared_at.isoformat(),
        )
        for each in fired
    ]
    table(("OBJECTIVE", "SEVERITY", "TIER", "FIRED", "CLEARED"), rows)
    return OK


def _run_explain(arguments: argparse.Namespace) -> int:
    from qobs.errors import ConfigError
    from qobs.slo.explain import explain, explanation_json, explanation_text
    from qobs.slo.openslo import rate_findings

    try:
        objectives = _objectives(arguments)
        rate, batch = (arguments.rate, arguments.batch) if arguments.events is None else _measured(_events(arguments.events))
    except ConfigError as error:
        return report(error.findings, as_json=arguments.json)
    except OSError as error:
        return cannot(_os_message(error), as_json=arguments.json)
    if not rate > 0 or not batch >= 1:
        return cannot(
            f"the rate must be positive and a batch at least 1, but they are {rate:g} and {batch:g}", as_json=arguments.json
        )
    told = [explain(objective, events_per_hour=rate, batch_size=batch) for objective in objectives]
    if arguments.json:
        say(json.dumps([explanation_json(each) for each in told], indent=2))
    else:
        say("\n\n".join(explanation_text(each) for each in told))
        for objective in objectives:
            for finding in rate_findings(objective, rate):
                say(f"warning: {finding}")
    return OK


def _measured(events: Sequence[FileEvent]) -> tuple[float, float]:
    """Counted events an hour over the file's span, and the mean batch that an event finds itself in (1 without groups)."""
    counted = [event for event in events if event.good is not None]
    if len(counted) < 2:
        return 0.0, 1.0
    times = [event.at for event in counted]
    hours = (max(times) - min(times)) / timedelta(hours=1)
    sizes: dict[str, int] = {}
    for event in counted:
        if event.group:
            sizes[event.group] = sizes.get(event.group, 0) + 1
    alone = sum(1 for event in counted if not event.group)
    batch = (sum(size * size for size in sizes.values()) + alone) / len(counted)
    return (len(counted) / hours if hours > 0 else 0.0), batch


def _run_import(arguments: argparse.Namespace) -> int:
    from qobs.errors import ConfigError
    from qobs.slo.importing import import_documents

    try:
        imported = import_documents(_documents(arguments.files), period=arguments.period)
    except ConfigError as error:
        return report(error.findings, as_json=arguments.json)
    except OSError as error:
        return cannot(_os_message(error), as_json=arguments.json)
    if arguments.json:
        body = {"openslo": imported.text, "not_honoured": [plain(finding) for finding in imported.not_honoured]}
        say(json.dumps(body, indent=2))
        return OK
    sys.stdout.write(imported.text)
    for finding in imported.not_honoured:
        print(f"not honoured: {finding}", file=sys.stderr)
    return OK


def _run_generate(arguments: argparse.Namespace) -> int:
    from qobs.errors import ConfigError
    from qobs.export.rules import differences, generate
    from qobs.export.rules_unit import Mode
    from qobs.slo.openslo import load_objectives

    out = Path(arguments.out)
    try:
        loaded = load_objectives(_documents([arguments.slo]))
        generated = generate(loaded.objectives, mode=Mode(arguments.mode), settings=_settings(arguments.config))
    except ConfigError as error:
        return report(error.findings, as_json=arguments.json)
    except OSError as error:
        return cannot(_os_message(error), as_json=arguments.json)
    if arguments.check:
        return _check(differences(generated, _existing(out)), as_json=arguments.json)
    changed = _write(out, generated)
    if arguments.json:
        say(json.dumps({"files": list(generated), "changed": changed}, indent=2))
    else:
        say("\n".join([f"wrote {path}" for path in changed] or [f"{len(generated)} files are up to date"]))
    return OK


def _settings(name: str | None) -> Settings | None:
    """What the configuration says about generated files; None: nothing.

    Raises:
        ConfigError: the configuration is not usable; all findings at once.
    """
    if name is None:
        return None
    from qobs.config import load
    from qobs.export.rules_settings import settings_of
    from qobs.sources.registry import SOURCES

    config = load(Path(name), SOURCES)
    return settings_of(config.generate, config.file)


def _check(found: Sequence[Any], *, as_json: bool) -> int:
    if as_json:
        say(json.dumps({"ok": not found, "findings": [plain(finding) for finding in found]}, indent=2))
    else:
        say("\n".join(map(str, found)) or "everything generated is up to date")
    return FINDINGS if found else OK


def _write(out: Path, generated: Any) -> list[str]:
    """Write what differs, and take away generated files that nothing generates any more."""
    existing = _existing(out)
    changed = [path for path, text in generated.items() if existing.get(path) != text]
    for path in changed:
        target = out / path
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_text(generated[path], encoding="utf-8")
    left_over = sorted(path for path in existing if path not in generated)
    for path in left_over:
        (out / path).unlink()
    return changed + left_over


def _existing(out: Path) -> dict[str, str]:
    files = sorted(path for path in (out / "alerts").rglob("*") if path.suffix in SUFFIXES)
    return {path.relative_to(out).as_posix(): path.read_text(encoding="utf-8") for path in files}


# -------------------------------------------------------------------------------------------------- reading


def _objectives(arguments: argparse.Namespace) -> tuple[Objective, ...]:
    """The objectives of the named files; where events come from a file, their data sources are not looked at."""
    from qobs.slo.openslo import load_objectives

    loaded = load_objectives(_documents(arguments.slo), strict=not arguments.lenient, ignore_sources=True)
    if not arguments.json:
        for finding in loaded.warnings:
            print(f"warning: {finding}", file=sys.stderr)
    return loaded.objectives


def _documents(paths: Sequence[str]) -> list[tuple[str, str]]:
    """File names and texts; a folder stands for its documents, sorted by name.

    Raises:
        OSError: a file cannot be read.
    """
    files: list[Path] = []
    for name in paths:
        path = Path(name)
        files += sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES) if path.is_dir() else [path]
    if not files:
        raise FileNotFoundError(2, "no OpenSLO document (.yaml, .yml, .json) in", ", ".join(paths))
    return [(str(path), _text(path)) for path in files]


def _text(path: Path) -> str:
    return path.read_text(encoding="utf-8", errors="replace")


def _events(name: str) -> tuple[FileEvent, ...]:
    from qobs.slo.events import parse_events

    if name == "-":
        return parse_events(sys.stdin.read(), "standard input")
    return parse_events(_text(Path(name)), name)


def _moment(text: str) -> datetime | None:
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return None
    return at if at.tzinfo is not None else None


def _os_message(error: OSError) -> str:
    return f"{error.filename}: {error.strerror}" if error.filename else str(error)


def _ratio(value: float | None) -> str:
    return "-" if value is None else f"{value:.3%}"


def _number(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f}"
