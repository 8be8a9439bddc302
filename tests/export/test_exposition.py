"""What a scrape shows of a snapshot, in both formats."""

from __future__ import annotations

import gzip
import shutil
import subprocess
from collections.abc import Callable
from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from qobs.export.exposition import Exposition, Rendered
from qobs.export.metrics import METRICS, STATE_ROWS
from qobs.export.negotiation import Format, negotiate
from qobs.export.snapshot import Exemplar, ProcessState, Snapshot
from qobs.export.stock import StockMetrics
from qobs.export.table import Kind, Metric
from qobs.lab.clock import LabClock

OPENMETRICS = "application/openmetrics-text; version=1.0.0"
Samples = dict[tuple[str, tuple[tuple[str, str], ...]], float]


def render(exposition: Exposition, snapshot: Snapshot, accept: str = "") -> Rendered:
    assert exposition.refresh(snapshot)
    rendered = exposition.rendered(accept)
    assert rendered is not None
    return rendered


def text_of(exposition: Exposition, snapshot: Snapshot, accept: str = "") -> str:
    return render(exposition, snapshot, accept).plain.decode()


def samples_of(text: str) -> Samples:
    return {(s.name, tuple(sorted(s.labels.items()))): s.value for family in parse_text(text) for s in family.samples}


def test_text_is_golden(exposition: Exposition, snapshot: Snapshot, golden: Callable[[str, bytes], None]) -> None:
    """Any change of a name, a label, a value or the order is seen by a person before a user's dashboard sees it."""
    golden("metrics.prom", render(exposition, snapshot).plain)


def test_openmetrics_is_golden(exposition: Exposition, snapshot: Snapshot, golden: Callable[[str, bytes], None]) -> None:
    """The same for the format that Prometheus really asks for."""
    golden("metrics.om", render(exposition, snapshot, OPENMETRICS).plain)


def test_every_row_of_the_table_is_in_the_golden_scrape(exposition: Exposition, snapshot: Snapshot) -> None:
    """A row that no test feeds could show anything."""
    text = text_of(exposition, snapshot)
    later = {"qobs_exporter_failures_total", "qobs_exporter_render_duration_seconds", "qobs_exporter_body_bytes"}
    assert not {metric.name for metric in METRICS if f"# TYPE {metric.name} " not in text} - later


def test_both_formats_parse_and_agree(exposition: Exposition, snapshot: Snapshot) -> None:
    """A scraper must read the same numbers whichever format it asks for."""
    plain = text_of(exposition, snapshot)
    openmetrics = exposition.rendered(OPENMETRICS)
    assert openmetrics is not None
    text = openmetrics.plain.decode()
    assert text.endswith("# EOF\n")
    same = {(s.name, tuple(sorted(s.labels.items()))): s.value for f in parse_openmetrics(text) for s in f.samples}
    assert same == samples_of(plain)
    assert len(same) > 300


def test_qobs_series_is_the_number_of_lines(snapshot: Snapshot) -> None:
    """Users size their Prometheus by this number."""
    exposition = Exposition(LabClock(snapshot.now), stock=StockMetrics(), min_interval_seconds=0.0)
    for accept in ("", OPENMETRICS):
        rendered = render(exposition, snapshot, accept)
        lines = [line for line in rendered.plain.decode().splitlines() if not line.startswith("#")]
        assert f"qobs_series {len(lines)}" in lines
        assert rendered.series == len(lines) == exposition.series


def test_exemplars_are_in_openmetrics_only(exposition: Exposition, snapshot: Snapshot) -> None:
    """The text format has no exemplars: a scraper would refuse the whole answer."""
    assert "trace_id" not in text_of(exposition, snapshot)
    text = text_of(exposition, snapshot, OPENMETRICS)
    families = {family.name: family for family in parse_openmetrics(text)}
    bucket = next(s for s in families["qobs_job_queue_duration_seconds"].samples if s.labels.get("le") == "300.0")
    assert bucket.exemplar.labels == {"trace_id": "4bf92f3577b34da6a3ce929d0e0e4736"}
    assert bucket.exemplar.value == 212.0
    assert sum(s.exemplar is not None for f in families.values() for s in f.samples) == 2


def test_an_exemplar_that_is_too_long_is_left_out(exposition: Exposition, snapshot: Snapshot) -> None:
    """OpenMetrics allows 128 characters; one more and Prometheus would refuse the scrape."""
    long = {("ibm", "research", "ibm_fez", "provider"): Exemplar("a" * 121, 1.0)}
    snapshot = msgspec.structs.replace(snapshot, exemplars={"qobs_jobs_failed_total": long})
    assert "trace_id" not in text_of(exposition, snapshot, OPENMETRICS)


def test_nothing_is_created(snapshot: Snapshot) -> None:
    """``_created`` would add a series to every counter and every histogram."""
    exposition = Exposition(LabClock(snapshot.now), stock=StockMetrics(), min_interval_seconds=0.0)
    for accept in ("", OPENMETRICS):
        assert "_created" not in text_of(exposition, snapshot, accept)


def test_failures_are_zero_before_they_happen(exposition: Exposition, snapshot: Snapshot) -> None:
    """rate() does not see a counter's first step when the series begins with it."""
    found = samples_of(text_of(exposition, snapshot))
    where = (("provider", "ionq"), ("source", "trap"), ("stream", "status"))
    for reason in ("timeout", "auth", "bad_payload"):
        assert found["qobs_poll_errors_total", tuple(sorted((*where, ("reason", reason))))] == 0
    place = (("backend", "qpu.aria-1"), ("provider", "ionq"))
    assert found["qobs_jobs_failed_total", (*place, ("reason", "hardware"), ("source", "trap"))] == 0
    assert found["qobs_jobs_submitted_total", (*place, ("source", "trap"))] == 0


def test_histogram_buckets_add_up(exposition: Exposition, snapshot: Snapshot) -> None:
    """Stored buckets hold each job once; the format wants every bucket to hold all that is below it."""
    found = samples_of(text_of(exposition, snapshot))
    name, where = "qobs_job_queue_duration_seconds", (("backend", "ibm_fez"),)
    tail = (("provider", "ibm"), ("source", "research"))
    by_le = {
        le: found[f"{name}_bucket", (*where, ("le", le), *tail)] for le in ("1.0", "10.0", "60.0", "300.0", "604800.0", "+Inf")
    }
    assert by_le == {"1.0": 0, "10.0": 20, "60.0": 20, "300.0": 37, "604800.0": 37, "+Inf": 38}
    assert found[f"{name}_count", (*where, *tail)] == 38
    assert found[f"{name}_sum", (*where, *tail)] == 702345.5


def test_R6_windows_of_a_silent_source_are_absent(exposition: Exposition, snapshot: Snapshot) -> None:  # noqa: N802
    """A source that is not heard is neither 100 % good nor 0 %: nothing is known."""
    text = text_of(exposition, snapshot)
    assert 'qobs_sli_window_events{sli="job_success",provider="ibm"' in text
    assert 'qobs_sli_window_events{sli="job_success",provider="ionq"' not in text
    assert 'qobs_sli_events_total{sli="job_success",provider="ionq"' in text


def test_old_state_and_queue_are_not_shown_as_the_present(exposition: Exposition, snapshot: Snapshot) -> None:
    """A queue length of an hour ago sends jobs to the wrong device; that the device exists stays known."""
    text = text_of(exposition, snapshot)
    later = msgspec.structs.replace(snapshot, now=snapshot.now + timedelta(minutes=10))
    assert 'qobs_backend_queue_jobs{provider="ibm",source="research",backend="ibm_fez"} 17' in text
    assert "qobs_backend_queue_jobs{" not in text_of(exposition, later)
    assert 'qobs_backend_info{provider="ibm",source="research",backend="ibm_fez"' in text_of(exposition, later)


def test_a_backend_that_is_no_longer_listed_disappears(exposition: Exposition, snapshot: Snapshot) -> None:
    """A retired device would otherwise stay on every dashboard for ever."""
    text = text_of(exposition, snapshot)
    assert 'qobs_backend_info{provider="ibm",source="research",backend="ibm_retired"' not in text
    assert 'qobs_backend_qubits{provider="ionq",source="trap",backend="qpu.aria-1"} 25' in text


def test_a_state_set_has_all_its_states(exposition: Exposition, snapshot: Snapshot) -> None:
    """A query for state="offline" must find a 0, not nothing."""
    lines = [
        line for line in text_of(exposition, snapshot).splitlines() if line.startswith("qobs_backend_state{") and "fez" in line
    ]
    assert len(lines) == 6
    assert [line for line in lines if line.endswith(" 1")] == [
        'qobs_backend_state{provider="ibm",source="research",backend="ibm_fez",state="online"} 1'
    ]


def test_a_faulty_gate_has_no_error(exposition: Exposition, snapshot: Snapshot) -> None:
    """The provider's sentinel of exactly 1 is no measurement."""
    text = text_of(exposition, snapshot)
    assert 'gate="cz",qubits="0_1"} 0.0029' in text
    assert 'qubits="1_2"' not in text


def test_staleness_grows_before_the_first_success(exposition: Exposition, snapshot: Snapshot) -> None:
    """A source that never worked must alert too."""
    text = text_of(exposition, snapshot)
    assert 'qobs_data_staleness_seconds{provider="ionq",source="trap",stream="status"} 3600.0' in text
    assert 'qobs_provider_up{provider="ionq",source="trap"} 0' in text
    assert 'qobs_poll_last_success_timestamp_seconds{provider="ionq",source="trap",stream="status"}' not in text


def test_gzip_holds_the_same_bytes(exposition: Exposition, snapshot: Snapshot) -> None:
    """A packed scrape is the plain one."""
    rendered = render(exposition, snapshot, OPENMETRICS)
    assert gzip.decompress(rendered.packed) == rendered.plain


def test_equal_snapshots_give_equal_bytes(snapshot: Snapshot) -> None:
    """Order must not depend on dictionaries or on what was shown before."""
    shuffled = msgspec.structs.replace(snapshot, backends=snapshot.backends[::-1], shards=snapshot.shards[::-1])
    first, second = (
        render(Exposition(LabClock(snapshot.now), min_interval_seconds=0.0), each).plain for each in (snapshot, shuffled)
    )
    assert first == second


def test_renders_are_at_least_a_second_apart(snapshot: Snapshot) -> None:
    """A flood of snapshots must not turn into a flood of renders."""
    clock = LabClock(snapshot.now)
    exposition = Exposition(clock)
    assert exposition.rendered() is None
    assert exposition.refresh(snapshot)
    assert not exposition.refresh(snapshot)
    clock.advance(timedelta(seconds=1))
    assert exposition.refresh(snapshot)


def test_a_row_that_fails_takes_nothing_else_with_it(snapshot: Snapshot, caplog: pytest.LogCaptureFixture) -> None:
    """A bug in one family must not blind the user to all others."""

    def broken(_: Snapshot) -> list[tuple[tuple[str, ...], float]]:
        raise ZeroDivisionError

    rows = (Metric("qobs_broken", "Never there.", Kind.GAUGE, (), broken), *STATE_ROWS)
    exposition = Exposition(LabClock(snapshot.now), rows=rows, min_interval_seconds=0.0)
    render(exposition, snapshot)
    text = text_of(exposition, snapshot)
    assert "qobs_tasks 9" in text
    assert 'qobs_exporter_failures_total{family="qobs_broken"} 2' in text
    assert [record.message for record in caplog.records].count("family failed to render and is left out: family=qobs_broken") == 1


def test_an_empty_daemon_still_has_a_scrape() -> None:
    """The first scrape after an installation must not be an error."""
    now = datetime(2026, 1, 1, tzinfo=UTC)
    snapshot = Snapshot(now=now, process=ProcessState(version="1", revision="", python="3.11", started_at=now))
    assert "qobs_build_info" in text_of(Exposition(LabClock(now)), snapshot)


def test_promtool_finds_nothing_to_complain(snapshot: Snapshot) -> None:
    """Names and types keep the conventions that Prometheus users expect."""
    promtool = shutil.which("promtool")
    if promtool is None:
        pytest.skip("NO PROMTOOL: install Debian's package `prometheus` to run this test")
    body = render(Exposition(LabClock(snapshot.now), stock=StockMetrics()), snapshot).plain
    done = subprocess.run([promtool, "check", "metrics"], input=body, capture_output=True, check=False)
    assert (done.returncode, done.stdout, done.stderr) == (0, b"", b"")


@pytest.mark.parametrize(
    ("accept", "form"),
    [
        ("", Format.TEXT),
        ("*/*", Format.TEXT),
        ("text/plain", Format.TEXT),
        ("text/html,application/xhtml+xml,*/*;q=0.8", Format.TEXT),
        ("application/openmetrics-text", Format.OPENMETRICS),
        ("application/openmetrics-text; version=1.0.0", Format.OPENMETRICS),
        ("application/openmetrics-text; version=2.0.0", Format.OPENMETRICS),
        ("application/openmetrics-text; version=0.0.1", Format.TEXT),
        ("application/openmetrics-text; q=0", Format.TEXT),
        ("application/openmetrics-text; q=0.3, text/plain; q=0.9", Format.TEXT),
        ("application/openmetrics-text; q=nonsense", Format.TEXT),
        ("application/vnd.google.protobuf; proto=io.prometheus.client.MetricFamily; encoding=delimited", Format.TEXT),
        (
            "application/openmetrics-text;version=1.0.0,application/openmetrics-text;version=0.0.1;q=0.75,"
            "text/plain;version=0.0.4;q=0.5,*/*;q=0.1",
            Format.OPENMETRICS,
        ),
        (
            "application/openmetrics-text;version=1.0.0;escaping=allow-utf-8;q=0.6,"
            "text/plain;version=1.0.0;escaping=allow-utf-8;q=0.5,*/*;q=0.1",
            Format.OPENMETRICS,
        ),
        (";;,=,q=;;version", Format.TEXT),
    ],
)
def test_content_negotiation(accept: str, form: Format) -> None:
    """Prometheus 2.42, Prometheus 3, curl, a browser and nonsense: each gets a format that it reads, never an error."""
    assert negotiate(accept) is form
