"""Logs: one event a line, whatever is in it; nothing repeated without end; states when they change."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qobs.logs import MAX_VALUE_CHARS, Changes, JsonLines, Logfmt, RateLimit, setup


@pytest.fixture
def lines() -> Iterator[io.StringIO]:
    """The stream that a set-up log writes to; the process' logging is as before afterwards."""
    stream = io.StringIO()
    yield stream
    root = logging.getLogger()
    for handler in [handler for handler in root.handlers if handler.get_name() == "qobs"]:
        root.removeHandler(handler)
    logging.getLogger("qobs").setLevel(logging.NOTSET)


def record(event: str = "poll finished", **fields: object) -> logging.LogRecord:
    made = logging.makeLogRecord({"name": "qobs.poller", "levelno": logging.INFO, "levelname": "INFO", "msg": event, **fields})
    made.created = 0.25
    return made


def test_a_line_of_logfmt_reads_as_written() -> None:
    """The default is for people with grep."""
    line = Logfmt().format(record(source="ibm-research", pages=3, ok=True, reason=None, ratio=0.5, message_="a b"))
    assert line == (
        'time=1970-01-01T00:00:00.250Z level=info logger=qobs.poller event="poll finished"'
        ' source=ibm-research pages=3 ok=true reason=null ratio=0.5 message_="a b"'
    )


def test_a_line_of_json_holds_the_same_fields() -> None:
    """The other format is for machines; numbers stay numbers."""
    assert json.loads(JsonLines().format(record(source="ibm", pages=3))) == {
        "time": "1970-01-01T00:00:00.250Z",
        "level": "info",
        "logger": "qobs.poller",
        "event": "poll finished",
        "source": "ibm",
        "pages": 3,
    }


@settings(max_examples=150, derandomize=True, deadline=None, database=None)
@given(event=st.text(max_size=40), value=st.text(max_size=80))
def test_one_event_is_one_line_of_ascii(event: str, value: str) -> None:
    """A provider's text must not forge lines or steer the operator's terminal."""
    for formatter in (Logfmt(), JsonLines()):
        line = formatter.format(record(event, value=value))
        assert line.isascii()
        assert line.isprintable()
    assert json.loads(JsonLines().format(record(event, value=value)))["value"] == value


def test_a_field_cannot_take_the_place_of_time_level_or_event() -> None:
    """Who searches for an event must find the event."""
    fields = json.loads(JsonLines().format(record(event="poll finished", time="later", logger="other")))
    assert (fields["event"], fields["field_time"], fields["field_logger"]) == ("poll finished", "later", "other")


def test_a_long_value_is_cut() -> None:
    """Log volume is bounded."""
    value = json.loads(JsonLines().format(record(body="x" * 100_000)))["body"]
    assert len(value) < MAX_VALUE_CHARS + 40
    assert value.endswith("(100000 characters)")


def test_an_unexpected_error_keeps_its_traceback_on_its_line(lines: io.StringIO) -> None:
    """A bug is loud, and still one event."""
    setup(stream=lines)
    try:
        raise RuntimeError("a bug")
    except RuntimeError:
        logging.getLogger("qobs.daemon").exception("task died", extra={"task": "poller"})
    assert len(lines.getvalue().splitlines()) == 1
    assert "exception=RuntimeError" in lines.getvalue()
    assert "test_logs.py" in lines.getvalue()


class Cleaner(logging.Filter):
    """Redacts as a filter of the secrets does: in fields, and in the text of an exception, which it takes away."""

    def filter(self, record: logging.LogRecord) -> bool:
        vars(record).update({name: "***" for name, value in vars(record).items() if value == "hunter2"})
        if record.exc_info:
            record.exc_text, record.exc_info = (
                logging.Formatter().formatException(record.exc_info).replace("hunter2", "***"),
                None,
            )
        return True


@pytest.mark.parametrize("style", ["logfmt", "json"])
def test_what_a_filter_removes_is_written_nowhere(lines: io.StringIO, style: str) -> None:
    """The redaction of secrets works on fields and on tracebacks."""
    setup(stream=lines, style=style, filters=[Cleaner()])
    try:
        raise RuntimeError("token hunter2")
    except RuntimeError:
        logging.getLogger("qobs.x").exception("refused", extra={"token": "hunter2"})
    assert "hunter2" not in lines.getvalue()
    assert "token ***" in lines.getvalue()


def test_setting_up_twice_writes_once_and_levels_hold(lines: io.StringIO) -> None:
    """A reload must not double the log, and `info` must not print what is for debugging."""
    setup(stream=io.StringIO())
    setup(stream=lines, level="info")
    logging.getLogger("qobs.a").debug("hidden")
    logging.getLogger("qobs.a").info("shown")
    logging.getLogger("aiohttp.access").info("hidden")
    logging.getLogger("aiohttp.server").warning("shown too")
    assert [line.split("event=")[1] for line in lines.getvalue().splitlines()] == ["shown", '"shown too"']


def test_repeated_events_are_held_back_and_counted() -> None:
    """A provider that fails a thousand times a minute must not fill the disk, and the number is not lost."""
    now = [0.0]
    limit = RateLimit(burst=2, window_seconds=60, monotonic=lambda: now[0])
    assert [limit.filter(record("refused", source="ibm")) for _ in range(5)] == [True, True, False, False, False]
    assert limit.filter(record("refused", source="ionq"))
    assert limit.filter(record("something else", source="ibm"))
    now[0] = 60.0
    later = record("refused", source="ibm")
    assert limit.filter(later)
    assert vars(later)["suppressed"] == 3
    now[0] = 120.0
    last = record("refused", source="ibm")
    assert limit.filter(last)
    assert "suppressed" not in vars(last)


def test_the_limiter_remembers_a_bounded_number_of_kinds() -> None:
    """Its own memory is bounded too."""
    limit = RateLimit(burst=1, max_kinds=10, monotonic=lambda: 0.0)
    for number in range(100):
        assert limit.filter(record(f"event {number}"))
    assert not limit.filter(record("event 99"))
    assert limit.filter(record("event 0"))


def test_a_state_is_logged_when_it_changes(lines: io.StringIO) -> None:
    """An outage of a night is two lines, not a thousand."""
    setup(stream=lines)
    changes = Changes(logging.getLogger("qobs.poller"))
    for ok in (True, False, False, False, True, True):
        changes.note("ibm", ok, "source recovered" if ok else "source fails", {"reason": None if ok else "timeout"})
    changes.note("ionq", False, "source fails")
    words = [(line.split()[1], line.split("event=")[1]) for line in lines.getvalue().splitlines()]
    assert words == [
        ("level=warning", '"source fails" subject=ibm reason=timeout'),
        ("level=info", '"source recovered" subject=ibm reason=null'),
        ("level=warning", '"source fails" subject=ionq'),
    ]
