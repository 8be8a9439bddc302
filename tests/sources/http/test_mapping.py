"""Labels and tags of the configuration put into jobs."""

from __future__ import annotations

import re

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.model import Job, JobState
from qobs.sources.mapping import FIELDS, apply_labels


def job(**fields):
    return Job(provider="ibm", source="s", account="a", id="1", state=JobState.QUEUED, **fields)


def patterns(**texts):
    return {name: re.compile(text) for name, text in texts.items()}


def test_a_label_fills_what_the_provider_left_open():
    """Most providers know no team."""
    assert apply_labels(job(), {"team": "chemistry"}, {}).team == "chemistry"


def test_the_providers_own_word_beats_a_label():
    """A label is the source's default; the job itself knows better."""
    assert apply_labels(job(priority="high"), {"priority": "low"}, {}).priority == "high"


def test_a_tag_beats_both():
    """Who tags a job means this job."""
    tagged = job(priority="high", tags=("prio:urgent",))
    assert apply_labels(tagged, {"priority": "low"}, patterns(priority=r"prio:(?P<priority>\w+)")).priority == "urgent"


@pytest.mark.parametrize(
    ("pattern", "value"),
    [
        (r"exp:(?P<experiment>[\w-]+)", "h2-vqe"),
        (r"exp:(?P<name>[\w-]+)", "h2-vqe"),
        (r"exp:([\w-]+)", "h2-vqe"),
        (r"exp:[\w-]+", "exp:h2-vqe"),
        (r"(?P<kind>exp):(?P<experiment>[\w-]+)", "h2-vqe"),
        (r"none:(?P<experiment>\w+)", None),
        (r"exp:(?P<experiment>x?)", None),
    ],
)
def test_the_named_group_is_the_value(pattern, value):
    """Operators write patterns in every style; an empty value is none."""
    assert apply_labels(job(tags=("other", "exp:h2-vqe", "exp:late")), {}, patterns(experiment=pattern)).experiment == (
        value if value != "" else None
    )


def test_an_optional_group_that_is_absent_is_no_value():
    """A pattern with an alternative must not put None, or the word None, into a field."""
    assert apply_labels(job(tags=("a",)), {"team": "x"}, patterns(team=r"a(?P<team>b)?")).team == "x"


def test_nothing_to_do_gives_the_same_job():
    """Thousands of jobs a second pass here: no copy without need."""
    one = job(tags=("x",))
    assert apply_labels(one, {"site": "berlin"}, patterns(experiment="y")) is one


def test_every_field_that_can_be_filled_is_a_text_field_of_a_job():
    """A name in the table that the schema lacks would crash on the first job."""
    for name in FIELDS:
        assert getattr(apply_labels(job(), {name: "v"}, {}), name) == "v"


@given(
    st.dictionaries(st.sampled_from([*sorted(FIELDS), "state", "id", "site"]), st.text(max_size=9), max_size=5),
    st.lists(st.text(max_size=20), max_size=5),
)
@settings(max_examples=80, derandomize=True, deadline=None)
def test_laws_of_labels_and_tags(labels, tags):
    """Identity and state never change, a second application changes nothing, values are bounded."""
    one = job(tags=tuple(tags), team="given")
    rules = patterns(experiment=r"(?P<experiment>.+)", team=r"t=(?P<team>.*)")
    done = apply_labels(one, labels, rules)
    assert (done.key, done.state, done.tags) == (one.key, one.state, one.tags)
    assert apply_labels(done, labels, rules) == done
    assert len(done.experiment or "") <= 200


def test_a_monstrous_tag_takes_no_monstrous_time():
    """Tags are the provider's text: a pattern is tried on a bounded part of each."""
    assert apply_labels(job(tags=("a" * 100_000 + "!",)), {}, patterns(experiment=r"(?P<experiment>a+)$")).experiment is not None
