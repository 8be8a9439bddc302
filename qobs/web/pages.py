"""The page at ``/``: what is watched, how it is, and where everything else is. No script, no image, one style."""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from html import escape

STYLE = """
:root { color-scheme: light dark; --line: #8886; --good: #176b2c; --bad: #a11212; }
@media (prefers-color-scheme: dark) { :root { --good: #6fd58a; --bad: #ff8f8f; } }
body { font: 1rem/1.5 system-ui, sans-serif; max-width: 62rem; margin: 2rem auto; padding: 0 1rem; }
table { border-collapse: collapse; width: 100%; margin-bottom: 2rem; }
caption { text-align: left; font-weight: 600; font-size: 1.15rem; padding: .5rem 0; }
th, td { text-align: left; padding: .35rem .75rem .35rem 0; border-bottom: 1px solid var(--line); }
td.number, th.number { text-align: right; font-variant-numeric: tabular-nums; }
.good { color: var(--good); } .bad { color: var(--bad); font-weight: 600; }
nav ul { list-style: none; padding: 0; display: flex; flex-wrap: wrap; gap: 1.25rem; }
.scroll { overflow-x: auto; }
"""
STYLE_HASH = "sha256-" + b64encode(sha256(STYLE.encode()).digest()).decode()
"""What the Content-Security-Policy allows: this style and nothing else."""

LINKS = (
    ("/metrics", "Metrics"),
    ("/readyz", "Readiness"),
    ("/livez", "Liveness"),
)


@dataclass(frozen=True, slots=True)
class SourceRow:
    """One stream of one source; ``healthy`` None: not polled yet."""

    source: str
    provider: str
    stream: str
    healthy: bool | None
    last_success_at: datetime | None
    note: str = ""


@dataclass(frozen=True, slots=True)
class BackendRow:
    """One backend as its provider last published it; None: not told."""

    source: str
    provider: str
    backend: str
    state: str
    queue_jobs: int | None = None
    calibrated_at: datetime | None = None
    own_queued: int = 0
    own_running: int = 0


@dataclass(frozen=True, slots=True)
class IndicatorRow:
    """Events of one indicator of one source in the last day; ``low`` and ``high`` bound the good ratio (95 %)."""

    indicator: str
    source: str
    good: int
    total: int
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class SloRow:
    """One objective. Ratios are None where they do not exist; ``low`` and ``high`` bound the budget left (95 %)."""

    slo: str
    service: str
    target: float
    state: str
    events: float
    burn_1h: float | None = None
    burn_6h: float | None = None
    burn_3d: float | None = None
    remaining: float | None = None
    low: float | None = None
    high: float | None = None
    exhausted_in_seconds: float | None = None
    firing: Sequence[str] = ()


@dataclass(frozen=True, slots=True)
class Overview:
    """All that the page shows."""

    version: str
    now: datetime
    sources: Sequence[SourceRow] = ()
    backends: Sequence[BackendRow] = ()
    indicators: Sequence[IndicatorRow] = ()
    slos: Sequence[SloRow] = ()
    maintenance: Sequence[str] = ()
    """Maintenance windows that hold now, in words."""


def landing(overview: Overview) -> str:
    """The whole page; every text from outside is escaped."""
    links = "".join(f'<li><a href="{path}">{title}</a></li>' for path, title in LINKS)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        '<meta name="viewport" content="width=device-width, initial-scale=1"><title>qobs</title>'
        f"<style>{STYLE}</style></head><body><header><h1>qobs</h1>"
        f"<p>Observability for quantum computing. Version {escape(overview.version)}, {_at(overview.now)}.</p></header>"
        f'<nav aria-label="Endpoints"><ul>{links}</ul></nav><main>'
        f"{_maintenance(overview.maintenance)}"
        f"{_table('Objectives', _SLO_HEADS, [_slo(row) for row in overview.slos], 'No objective is in force.')}"
        f"{_table('Sources', _SOURCE_HEADS, [_source(row) for row in overview.sources], 'No source is configured.')}"
        f"{_table('Indicators, last day', _INDICATOR_HEADS, [_indicator(row) for row in overview.indicators], 'No event yet.')}"
        f"{_table('Backends', _BACKEND_HEADS, [_backend(row) for row in overview.backends], 'No backend is known yet.')}"
        "</main></body></html>\n"
    )


_SOURCE_HEADS = ("Source", "Provider", "Stream", "Last poll", "Last success", "Note")
_INDICATOR_HEADS = ("Indicator", "Source", "Good", "Events", "Good ratio", "95 % interval")
_BURNS = ("Burn 1 h", "6 h", "3 d")
_SLO_HEADS = ("Objective", "Service", "Target", "State", "Budget left", "95 % interval", *_BURNS, "Events", "Alerts")
_BACKEND_HEADS = ("Backend", "Provider", "Source", "State", "Queue", "Ours queued", "Ours running", "Calibrated")
_COUNTS = ("Good", "Events", "Queue", "Ours queued", "Ours running")
_NUMBERS = frozenset({*_COUNTS, *_BURNS, "Good ratio", "95 % interval", "Target", "Budget left"})
_STATES = {
    "ok": "ok",
    "no_traffic": "no traffic",
    "no_data": "no data",
    "insufficient_data": "too few events to tell",
    "excluded": "maintenance",
}


def _table(caption: str, heads: Sequence[str], rows: Sequence[str], empty: str) -> str:
    if not rows:
        return f"<h2>{caption}</h2><p>{empty}</p>"
    head = "".join(f'<th scope="col"{_number(name)}>{name}</th>' for name in heads)
    return (
        f'<div class="scroll"><table><caption>{caption}</caption>'
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
    )


def _number(head: str) -> str:
    return ' class="number"' if head in _NUMBERS else ""


def _indicator(row: IndicatorRow) -> str:
    ratio = f"{row.good / row.total:.2%}" if row.total else "no events"
    return (
        f'<tr><th scope="row">{escape(row.indicator)}</th><td>{escape(row.source)}</td><td class="number">{row.good}</td>'
        f'<td class="number">{row.total}</td><td class="number">{ratio}</td>'
        f'<td class="number">{row.low:.1%} to {row.high:.1%}</td></tr>'
    )


def _slo(row: SloRow) -> str:
    """Only what is known to be good is green: a state other than ok is neither good nor bad."""
    spent = row.remaining is not None and row.remaining <= 0
    look = "bad" if row.firing or spent else "good" if row.state == "ok" else ""
    interval = "" if row.low is None or row.high is None else f"{row.low:.0%} to {row.high:.0%}"
    left = "" if row.remaining is None else f"{row.remaining:.1%}"
    hours = "" if row.exhausted_in_seconds is None or spent else f", {_in_words(row.exhausted_in_seconds)} at this pace"
    numbers = (left + hours, interval, *map(_burn, (row.burn_1h, row.burn_6h, row.burn_3d)), f"{row.events:g}")
    cells = "".join(f'<td class="number">{number}</td>' for number in numbers)
    firing = f'<td class="bad">{escape(", ".join(row.firing))}</td>' if row.firing else "<td>none</td>"
    return (
        f'<tr><th scope="row">{escape(row.slo)}</th><td>{escape(row.service)}</td><td class="number">{row.target:.4g}</td>'
        f'<td class="{look}">{escape(_STATES.get(row.state, row.state))}</td>{cells}{firing}</tr>'
    )


def _burn(rate: float | None) -> str:
    return "" if rate is None else f"{rate:.2f}"


def _in_words(seconds: float) -> str:
    """A duration for people, in the unit that keeps it short.

    Example:
        >>> _in_words(5400), _in_words(400_000)
        ('1.5 h', '4.6 d')
    """
    return f"{seconds / 3600:.1f} h" if seconds < 172_800 else f"{seconds / 86_400:.1f} d"


def _maintenance(windows: Sequence[str]) -> str:
    if not windows:
        return ""
    return f"<h2>Maintenance now</h2><ul>{''.join(f'<li>{escape(each)}</li>' for each in windows)}</ul>"


def _source(row: SourceRow) -> str:
    word, look = {True: ("works", "good"), False: ("fails", "bad"), None: ("not yet", "")}[row.healthy]
    return (
        f'<tr><th scope="row">{escape(row.source)}</th><td>{escape(row.provider)}</td><td>{escape(row.stream)}</td>'
        f'<td class="{look}">{word}</td><td>{_at(row.last_success_at)}</td><td>{escape(row.note)}</td></tr>'
    )


def _backend(row: BackendRow) -> str:
    queue = "" if row.queue_jobs is None else str(row.queue_jobs)
    return (
        f'<tr><th scope="row">{escape(row.backend)}</th><td>{escape(row.provider)}</td><td>{escape(row.source)}</td>'
        f'<td>{escape(row.state)}</td><td class="number">{queue}</td><td class="number">{row.own_queued}</td>'
        f'<td class="number">{row.own_running}</td><td>{_at(row.calibrated_at)}</td></tr>'
    )


def _at(at: datetime | None) -> str:
    """A UTC time to the second; empty where it is not known."""
    if at is None:
        return ""
    return f'<time datetime="{at.isoformat(timespec="seconds")}">{at:%Y-%m-%d %H:%M:%S} UTC</time>'
