"""The operator's labels and tag patterns put into jobs: who runs what, in the site's own words."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping

import msgspec

from qobs.model import LABEL_FIELDS, Job

FIELDS = frozenset(LABEL_FIELDS)
"""Fields of a job that labels and tags may fill: all are text."""
VALUE_CHARACTERS = 200
"""Longest value taken from a tag."""
_TAG_CHARACTERS = 1000


def apply_labels(job: Job, labels: Mapping[str, str], tag_patterns: Mapping[str, re.Pattern[str]]) -> Job:
    r"""``job`` with the fields that labels and tags fill.

    A field's value is, in this order: the first tag that its pattern matches; what the provider gave; the label.

    Args:
        job: Its ``tags`` are searched in order.
        labels: Field to value, for every job of the source. Keys that are no field of :data:`FIELDS` are left alone.
        tag_patterns: Field to pattern. The value is the group named like the field, else the only named group, else the
            first group, else the whole match; an empty value is no match.

    Example:
        >>> from qobs.model import JobState
        >>> job = Job(provider="p", source="s", account="a", id="1", state=JobState.QUEUED, tags=("x", "exp:h2"))
        >>> done = apply_labels(job, {"team": "chemistry"}, {"experiment": re.compile(r"exp:(?P<experiment>[\w-]+)")})
        >>> done.team, done.experiment
        ('chemistry', 'h2')
    """
    changed = dict(_changes(job, labels, tag_patterns))
    return msgspec.structs.replace(job, **changed) if changed else job


def _changes(job: Job, labels: Mapping[str, str], tag_patterns: Mapping[str, re.Pattern[str]]) -> Iterator[tuple[str, str]]:
    for name, value in labels.items():
        if name in FIELDS and value and getattr(job, name) is None:
            yield name, value
    for name, pattern in tag_patterns.items():
        if name in FIELDS and (found := _from_tags(name, pattern, job.tags)):
            yield name, found


def _from_tags(name: str, pattern: re.Pattern[str], tags: tuple[str, ...]) -> str | None:
    for tag in tags:
        match = pattern.search(tag[:_TAG_CHARACTERS])
        if match and (value := _value(name, match)):
            return value[:VALUE_CHARACTERS]
    return None


def _value(name: str, match: re.Match[str]) -> str | None:
    named = match.groupdict()
    if name in named:
        return named[name]
    if len(named) == 1:
        return next(iter(named.values()))
    return match[1] if match.re.groups else match[0]
