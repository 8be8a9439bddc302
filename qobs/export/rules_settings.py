"""What a site may choose about generated files, read from its configuration: checked, and told with its key where it is wrong."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from typing import Protocol, TypeVar
from zoneinfo import ZoneInfo

from qobs.errors import ConfigError, Finding
from qobs.export.alertmanager import intervals
from qobs.export.rules_unit import Settings, WorkingHours

Word = TypeVar("Word", bound=str)

SECTION = "generate"
"""Key of the configuration that holds these."""


class Hours(Protocol):
    """When tickets notify, as :class:`qobs.export.rules_unit.WorkingHours` describes it."""

    @property
    def start(self) -> str:
        """HH:MM."""

    @property
    def end(self) -> str:
        """HH:MM, up to 24:00."""

    @property
    def weekdays(self) -> str:
        """A day, or ``first:last``."""

    @property
    def location(self) -> str:
        """An IANA time zone."""


class Choices(Protocol):
    """The configuration's section: whatever has these fields. None: the default of :class:`Settings`."""

    @property
    def owner(self) -> str | None:
        """Label ``owner`` of alerts whose document names none."""

    @property
    def runbook_base(self) -> str | None:
        """Path or URL before a runbook's name."""

    @property
    def dashboard_base(self) -> str | None:
        """Path or URL before a dashboard's uid."""

    @property
    def alertmanager_url(self) -> str | None:
        """Where silences are made; None: no link."""

    @property
    def qobs_url(self) -> str | None:
        """Where qobs' own pages are; None: no link."""

    @property
    def scrape_interval_seconds(self) -> float | None:
        """Above 0."""

    @property
    def queue_stall_seconds(self) -> float | None:
        """Age of the oldest queued job that raises ``QobsQueueStalled``; above 0."""

    @property
    def design_effect(self) -> float | None:
        """How many jobs of a batch count as one in the evidence, at least 1."""

    @property
    def severities(self) -> Mapping[str, str]:
        """The site's words for page, ticket and info; those that are not named keep theirs."""

    @property
    def working_hours(self) -> Hours | None:
        """When tickets notify; None: always."""


def settings_of(chosen: Choices, file: str = "") -> Settings:
    """Settings with what was chosen.

    Raises:
        ConfigError: All that cannot be used, with its key.
    """
    default = Settings()
    if found := tuple(Finding(file, f"{SECTION}.{key}", value, hint) for key, value, hint in _wrong(chosen, default)):
        raise ConfigError(found)
    hours = chosen.working_hours
    return Settings(
        severities=_words(chosen.severities, default.severities),
        owner=_or(chosen.owner, default.owner),
        runbook_base=_or(chosen.runbook_base, default.runbook_base),
        dashboard_base=_or(chosen.dashboard_base, default.dashboard_base),
        alertmanager_url=_or(chosen.alertmanager_url, default.alertmanager_url),
        qobs_url=_or(chosen.qobs_url, default.qobs_url),
        scrape_interval=_span(chosen.scrape_interval_seconds, default.scrape_interval),
        working_hours=None if hours is None else _hours(hours),
        design_effect=default.design_effect if chosen.design_effect is None else Decimal(str(chosen.design_effect)),
        queue_stall=_span(chosen.queue_stall_seconds, default.queue_stall),
    )


def _wrong(chosen: Choices, default: Settings) -> Iterator[tuple[str, str, str]]:
    """(key, what was found, what is allowed)."""
    known = [severity.value for severity in default.severities]
    for name in chosen.severities:
        if name not in known:
            yield f"severities.{name}", name, f"must be one of {', '.join(known)}"
    words = list(_words(chosen.severities, default.severities).values())
    if len(set(words)) < len(words) or not all(words):
        yield "severities", ", ".join(words), "must be three different words: a page mutes tickets by them"
    for key, value, least in (
        ("scrape_interval", chosen.scrape_interval_seconds, 1),
        ("queue_stall", chosen.queue_stall_seconds, 1),
        ("design_effect", chosen.design_effect, 1),
    ):
        if value is not None and not least <= value < float("inf"):
            yield key, f"{value:g}", f"must be at least {least}"
    if chosen.working_hours is not None:
        yield from _wrong_hours(_hours(chosen.working_hours))


def _wrong_hours(hours: WorkingHours) -> Iterator[tuple[str, str, str]]:
    try:
        spans = intervals(hours)
    except ValueError:
        shown = f"{hours.start} to {hours.end}, {hours.weekdays}"
        yield "working_hours", shown, "times must be HH:MM, and weekdays a day or a range such as monday:friday"
        return
    if not spans:
        yield "working_hours", f"{hours.start} to {hours.end}", "must be some time of the day"
    try:
        ZoneInfo(hours.location)
    except (ValueError, OSError, KeyError):
        yield "working_hours.location", hours.location, "must be an IANA time zone such as Europe/Paris"


def _hours(hours: Hours) -> WorkingHours:
    return WorkingHours(start=hours.start, end=hours.end, weekdays=hours.weekdays, location=hours.location)


def _words(chosen: Mapping[str, str], default: Mapping[Word, str]) -> dict[Word, str]:
    return {severity: chosen.get(str(severity), word) for severity, word in default.items()}


def _or(chosen: str | None, default: str) -> str:
    return default if chosen is None else chosen


def _span(seconds: float | None, default: timedelta) -> timedelta:
    return default if seconds is None else timedelta(seconds=seconds)
