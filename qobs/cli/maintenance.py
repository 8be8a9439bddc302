"""``qobs maintenance``: look at, add, withdraw and restore maintenance windows of a running daemon."""

from __future__ import annotations

import argparse
import json
from typing import TYPE_CHECKING, Any

from qobs.cli.output import FINDINGS, OK, cannot, say, table

if TYPE_CHECKING:
    from urllib.error import HTTPError

TIMEOUT_SECONDS = 30.0
PATH = "/api/v1/maintenance"


def add(commands: Any) -> None:
    """Put the command on the command line."""
    summary = "look at, add, withdraw and restore maintenance windows of a running daemon"
    parser = commands.add_parser(
        "maintenance",
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}. Events inside a window spend no error budget, and alerts are muted.",
        epilog="Example: qobs maintenance add --scope backend=ibm_fez --from 2026-12-01T08:00Z --to 2026-12-01T12:00Z"
        " --reason upgrade",
    )
    actions = parser.add_subparsers(title="actions", metavar="ACTION", required=True)
    listing = _action(actions, "list", "windows in force, those to come and those gone by, with --all withdrawn ones too")
    listing.add_argument("--all", action="store_true", help="withdrawn ones too, and the audit")
    listing.set_defaults(command=_run_list)
    adding = _action(actions, "add", "put a window in force")
    adding.add_argument(
        "--scope", action="append", default=[], metavar="LABEL=VALUE", help="what it is about; several must all match; none: all"
    )
    adding.add_argument("--from", dest="begin", required=True, metavar="TIME", help="begin, ISO 8601 with a zone")
    adding.add_argument("--to", dest="end", required=True, metavar="TIME", help="end, not included")
    adding.add_argument("--reason", required=True, help="why")
    adding.set_defaults(command=_run_add)
    for name, summary in (("withdraw", "take a window out of force"), ("restore", "put a withdrawn window back in force")):
        action = _action(actions, name, summary)
        action.add_argument("id", help="id of the window, from `qobs maintenance list`")
        action.set_defaults(command=_run_change, action=name)


def _action(actions: Any, name: str, summary: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = actions.add_parser(name, help=summary, description=summary[0].upper() + summary[1:] + ".")
    parser.add_argument("--url", default="http://127.0.0.1:9954", help="the daemon (default: http://127.0.0.1:9954)")
    parser.add_argument("--json", action="store_true", help="print JSON")
    if name != "list":
        parser.add_argument("--author", default="cli", help="who does this, for the audit (default: cli)")
    return parser


def _run_list(arguments: argparse.Namespace) -> int:
    def show(told: dict[str, Any]) -> None:
        shown = [each for each in told["maintenance"] if arguments.all or each["withdrawn_at"] is None]
        table(("ID", "SCOPE", "FROM", "TO", "STATE", "AUTHOR", "REASON"), [_row(each) for each in shown])
        if arguments.all:
            say("")
            keys = ("at", "id", "action", "author", "detail")
            table(tuple(map(str.upper, keys)), [tuple(change[key] for key in keys) for change in told["log"]])

    return _ask(arguments, "GET", PATH, None, show)


def _row(window: dict[str, Any]) -> tuple[str, ...]:
    scope = ",".join(f"{label}={'|'.join(values)}" for label, values in window["scope"].items())
    state = "in force" if window["withdrawn_at"] is None else f"withdrawn {window['withdrawn_at']}"
    return (window["id"], scope or "everything", window["from"], window["to"], state, window["author"], window["reason"])


def _run_add(arguments: argparse.Namespace) -> int:
    scope: dict[str, list[str]] = {}
    for pair in arguments.scope:
        label, equals, value = pair.partition("=")
        if not equals or not label or not value:
            return cannot(f"--scope: found {pair!r}; must be LABEL=VALUE, such as backend=ibm_fez", as_json=arguments.json)
        scope.setdefault(label, []).append(value)
    body = {
        "scope": scope,
        "from": arguments.begin,
        "to": arguments.end,
        "reason": arguments.reason,
        "author": arguments.author,
    }
    return _ask(arguments, "POST", PATH, body, lambda told: say(f"in force: {told['id']}, {told['from']} to {told['to']}"))


def _run_change(arguments: argparse.Namespace) -> int:
    from urllib.parse import quote

    path = f"{PATH}/{quote(arguments.id, safe='')}"
    body = {"author": arguments.author}
    if arguments.action == "withdraw":
        return _ask(arguments, "DELETE", path, body, lambda told: say(f"withdrawn: {told['id']}"))
    return _ask(arguments, "POST", f"{path}/restore", body, lambda told: say(f"in force again: {told['id']}"))


def _ask(arguments: argparse.Namespace, method: str, path: str, body: object, show: Any) -> int:
    """Ask the daemon: exit 0, 1 where it refuses, 2 where it cannot be reached."""
    from http.client import HTTPException
    from urllib.error import HTTPError, URLError
    from urllib.request import Request, urlopen

    url = arguments.url.rstrip("/") + path
    if not url.startswith(("http://", "https://")):
        return cannot(f"--url: found {arguments.url!r}; must be the daemon's http:// or https:// address", as_json=arguments.json)
    data = None if body is None else json.dumps(body).encode()
    request = Request(url, data=data, method=method, headers={"Content-Type": "application/json"})  # noqa: S310 - http(s) only
    try:
        with urlopen(request, timeout=TIMEOUT_SECONDS) as answer:  # noqa: S310 - http(s) only
            told = json.load(answer)
    except HTTPError as error:
        return _refused(error, as_json=arguments.json)
    except (URLError, OSError, HTTPException, ValueError) as error:
        reason = getattr(error, "reason", error)
        return cannot(f"{arguments.url}: no daemon answers there: {reason}; name it with --url", as_json=arguments.json)
    if arguments.json:
        say(json.dumps(told, indent=2))
    else:
        show(told)
    return OK


def _refused(error: HTTPError, *, as_json: bool) -> int:
    try:
        reasons = list(json.load(error)["errors"])
    except (ValueError, KeyError, TypeError):
        reasons = [f"the daemon answered {error.code} {error.reason}"]
    say(json.dumps({"errors": reasons}, indent=2) if as_json else "\n".join(map(str, reasons)))
    return FINDINGS
