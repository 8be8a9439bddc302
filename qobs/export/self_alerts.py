"""Alerts on failure modes and on qobs itself, as one table: what fires, what it says, and the inputs that prove it.

Each row is guarded by freshness: what qobs has not read lately is not alerted on, its silence is (``QobsPollStale``).
"""

from __future__ import annotations

from collections.abc import Iterator

from qobs.export.anomaly_alerts import anomaly_alerts
from qobs.export.promql import duration
from qobs.export.rows_slo import SCOPE_LABELS
from qobs.export.rules_unit import Settings
from qobs.export.self_alert import PLACE, SelfAlert, failed_share, fresh, newborn
from qobs.export.verification_alerts import verification_alerts
from qobs.slo.objective import Severity

_SOURCE = {"provider": "ibm", "source": "research"}
_BACKEND = {**_SOURCE, "backend": "ibm_fez"}
MAINTENANCE = "QobsMaintenance"


def alerts(settings: Settings) -> tuple[SelfAlert, ...]:
    """The table."""
    return (
        _maintenance(),
        *_queue_and_calibration(settings),
        *_access(),
        *_telemetry(),
        *_contract(),
        *anomaly_alerts(),
        *verification_alerts(),
        *_itself(),
    )


def _maintenance() -> SelfAlert:
    """Fires for each place of each exclusion, with its labels: what is in scope is muted by it. Its service is the scope's."""
    by = ", ".join(("exclusion", "scope", *SCOPE_LABELS))
    series = 'qobs_exclusion_active{exclusion="fridge",scope="provider+backend",provider="ibm",backend="ibm_fez"}'
    return SelfAlert(
        name=MAINTENANCE,
        mode="self",
        severity=Severity.INFO,
        expression=f'label_replace(\n  max by ({by}) (qobs_exclusion_active) == 1,\n  "service", "qobs", "service", ""\n)',
        summary="The exclusion {exclusion} is in force (scope: {scope})",
        description="Its events spend no error budget, and alerts in its scope are muted until it ends.",
        dashboard="qobs-slo",
        fires=((series, "1x200"),),
        labels={"exclusion": "fridge", "scope": "provider+backend"},
        silent_labels={"provider": "ibm", "backend": "ibm_fez", "service": "qobs"},
        quiet=(((series, "1x60 _x140"),),),
    )


def _queue_and_calibration(settings: Settings) -> Iterator[SelfAlert]:
    stall = int(settings.queue_stall.total_seconds())
    fine = ('qobs_data_staleness_seconds{provider="ibm",source="research",stream="jobs"}', "30x600")
    queued = 'qobs_oldest_queued_job_timestamp_seconds{provider="ibm",source="research",backend="ibm_fez"}'
    yield SelfAlert(
        name="QobsQueueStalled",
        mode="F1",
        severity=Severity.TICKET,
        expression=f"time() - max by ({PLACE}) ({queued.split('{')[0]}) > {stall}\n{fresh('jobs', 600)}",
        wait="15m",
        form="humanizeDuration",
        summary="The queue of {backend} at {source} stalls: the oldest job has waited {value}",
        description="The oldest queued job is older than "
        + duration(settings.queue_stall)
        + ". Prioritise it, or move to another"
        " backend.",
        dashboard="qobs-backend",
        fires=((queued, "0x600"), fine),
        at=f"{stall // 60 + 60}m",
        labels=_BACKEND,
        shown=_spoken(stall + 3600),
        quiet=(
            ((queued, f"{(stall // 60 + 60) * 60 - stall + 60}x600"), fine),
            ((queued, "0x600"), (fine[0], "3600x600")),
        ),
    )
    seen = ('qobs_data_staleness_seconds{provider="ibm",source="research",stream="calibrations"}', "300x1600")
    limit = (
        'qobs_sli_threshold_seconds{sli="calibration_freshness",provider="ibm",source="research",backend="ibm_fez"}',
        "3600x1600",
    )
    last = 'qobs_backend_calibration_timestamp_seconds{provider="ibm",source="research",backend="ibm_fez"}'
    away = 'qobs_backend_state{provider="ibm",source="research",backend="ibm_fez",state="maintenance"}'
    yield SelfAlert(
        name="QobsCalibrationStale",
        mode="F2",
        severity=Severity.TICKET,
        expression=f"time() - max by ({PLACE}) (qobs_backend_calibration_timestamp_seconds)\n"
        f'> on ({PLACE})\nmax by ({PLACE}) (qobs_sli_threshold_seconds{{sli="calibration_freshness"}})\n'
        f"{fresh('calibrations', 3600)}\n"
        f'unless on ({PLACE})\nmax by ({PLACE}) (qobs_backend_state{{state=~"maintenance|retired"}}) == 1',
        wait="30m",
        form="humanizeDuration",
        summary="The calibration of {backend} at {source} is {value} old",
        description="The last calibration is older than the limit for its freshness. Recalibrate or wait, then run again.",
        dashboard="qobs-backend",
        fires=((last, "0x1600"), seen, limit, (away, "0x1600")),
        at="3h",
        labels=_BACKEND,
        shown="3h 0m 0s",
        quiet=(
            ((last, "7260x1600"), seen, limit),
            ((last, "0x1600"), seen, limit, (away, "1x1600")),
            ((last, "0x1600"), (seen[0], "7200x1600"), limit),
        ),
    )
    for name, state, words in (("Offline", "offline", "is offline"), ("Maintenance", "maintenance", "is in maintenance")):
        series = f'qobs_backend_state{{provider="ibm",source="research",backend="ibm_fez",state="{state}"}}'
        yield SelfAlert(
            name=f"QobsBackend{name}",
            mode="F1",
            severity=Severity.INFO,
            expression=f'max by ({PLACE}) (qobs_backend_state{{state="{state}"}}) == 1',
            wait="10m" if state == "offline" else "",
            summary=f"{{backend}} at {{source}} {words}",
            description="So the provider says. Alerts on this backend are muted meanwhile.",
            dashboard="qobs-backend",
            fires=((series, "1x200"),),
            labels=_BACKEND,
            quiet=(((series, "0x200"),), ((series, "1x60 _x100"),)),
        )


def _access() -> Iterator[SelfAlert]:
    up = 'qobs_provider_up{provider="ibm",source="%s"}'
    yield SelfAlert(
        name="QobsProviderDown",
        mode="F5",
        severity=Severity.PAGE,
        expression="max by (provider) (qobs_provider_up) == 0",
        wait="10m",
        summary="No poll of any source at {provider} works",
        description="All streams of all sources of this provider have failed in their last poll. Look at the reasons of the"
        " failures and at the provider's own status page.",
        fires=((up % "research", "0x200"), (up % "second", "0x200")),
        labels={"provider": "ibm"},
        quiet=(((up % "research", "0x200"), (up % "second", "1x200")), ((up % "research", "1x114 0x90"),)),
    )
    errors = 'qobs_poll_errors_total{provider="ibm",source="research",stream="jobs",reason="%s"}'
    yield SelfAlert(
        name="QobsAuthFailing",
        mode="F3",
        severity=Severity.PAGE,
        expression='sum by (provider, source) (increase(qobs_poll_errors_total{reason=~"auth|forbidden"}[15m])) > 2',
        summary="{source} at {provider} refuses our credentials",
        description="{value} polls of the last 15 minutes were refused. Rotate the credential, then try it with `qobs check`.",
        fires=((errors % "auth", "0+1x200"),),
        labels=_SOURCE,
        shown="15",
        quiet=(((errors % "auth", "0x110 1x90"),), ((errors % "timeout", "0+1x200"),)),
    )
    expiry = 'qobs_provider_credential_expiry_timestamp_seconds{provider="ibm",source="research"}'
    yield SelfAlert(
        name="QobsCredentialExpiring",
        mode="F3",
        severity=Severity.TICKET,
        expression="min by (provider, source) (qobs_provider_credential_expiry_timestamp_seconds) - time() < 7 * 86400",
        form="humanizeDuration",
        summary="The credential of {source} at {provider} expires in {value}",
        description="Rotate it before it ends: qobs reads the new one from the same file without a restart.",
        fires=((expiry, f"{3 * 86400 + 7200}x200"),),
        labels=_SOURCE,
        shown="3d 0h 0m 0s",
        quiet=(((expiry, f"{8 * 86400 + 7200}x200"),),),
    )
    polls = 'qobs_poll_total{provider="ibm",source="research",stream="jobs"}'
    for name, reasons, one, words in (
        ("QobsNetworkErrors", "connect|dns|timeout|tls", "timeout", "fail on the network"),
        ("QobsProviderErrors", "rate_limited|server_error", "server_error", "are answered with an error of the provider"),
    ):
        yield SelfAlert(
            name=name,
            mode="F5",
            severity=Severity.TICKET,
            expression=failed_share(reasons),
            wait="10m",
            form="humanizePercentage",
            summary=f"{{value}} of the polls of {{source}} at {{provider}} {words}",
            description="Measured over 30 minutes. qobs tries again with growing pauses; check the way there, or another region.",
            fires=((polls, "0+2x200"), (errors % one, "0+1x200")),
            labels=_SOURCE,
            shown="50%",
            quiet=(
                ((polls, "0+20x200"), (errors % one, "0+1x200")),
                ((polls, "0+0.1x200"), (errors % one, "0+0.1x200")),
                ((polls, "0+2x200"), (errors % "auth", "0+1x200")),
            ),
        )


def _telemetry() -> Iterator[SelfAlert]:
    stale = 'qobs_data_staleness_seconds{provider="ibm",source="research",stream="%s"}'
    yield SelfAlert(
        name="QobsPollStale",
        mode="F6",
        severity=Severity.TICKET,
        expression='max by (provider, source, stream) (qobs_data_staleness_seconds{stream=~"jobs|status"}) > 600\n'
        'or\nmax by (provider, source, stream) (qobs_data_staleness_seconds{stream!~"jobs|status"}) > 1800',
        wait="2m",
        form="humanizeDuration",
        summary="Nothing new of the {stream} of {source} at {provider} for {value}",
        description="No poll of this stream has worked for so long. What depends on it is shown as no data, and alerts on its"
        " backends are muted: they would speak of the past.",
        fires=((stale % "jobs", "0+60x200"),),
        labels={**_SOURCE, "stream": "jobs"},
        shown="2h 0m 0s",
        quiet=(((stale % "jobs", "590x200"),), ((stale % "calibrations", "1700x200"),)),
    )


def _contract() -> Iterator[SelfAlert]:
    words = 'qobs_unmapped_values_total{provider="ibm",source="research",field="status"}'
    yield SelfAlert(
        name="QobsUnmappedValues",
        mode="F8",
        severity=Severity.TICKET,
        expression=newborn("qobs_unmapped_values_total", "provider, source, field"),
        summary="{provider} uses words in {field} that qobs does not know",
        description="Seen in the answers of {source} within a day. They count as unknown, never as good: the provider may have"
        " changed its API.",
        fires=((words, "_x100 2x100"),),
        labels={**_SOURCE, "field": "status"},
        quiet=(((words, "0x200"),),),
    )
    aside = 'qobs_jobs_quarantined_total{provider="ibm",source="research",stream="jobs"}'
    yield SelfAlert(
        name="QobsRecordsQuarantined",
        mode="F8",
        severity=Severity.TICKET,
        expression=newborn("qobs_jobs_quarantined_total", "provider, source, stream"),
        summary="Records of {source} at {provider} cannot be read ({stream})",
        description="Within a day. They are kept aside and counted nowhere else: the provider may have changed its API.",
        fires=((aside, "0x60 1x100"),),
        labels={**_SOURCE, "stream": "jobs"},
        quiet=(((aside, "0x200"),),),
    )
    errors = 'qobs_poll_errors_total{provider="ibm",source="research",stream="jobs",reason="bad_payload"}'
    yield SelfAlert(
        name="QobsBadPayload",
        mode="F8",
        severity=Severity.TICKET,
        expression='sum by (provider, source) (increase(qobs_poll_errors_total{reason="bad_payload"}[1h])) > 2',
        summary="Answers of {provider} to {source} are not what its API promises",
        description="{value} polls of the last hour were given up for it; nothing of them was applied.",
        fires=((errors, "0+1x200"),),
        labels=_SOURCE,
        shown="60",
        quiet=(((errors, "0x100 1x100"),),),
    )


def _itself() -> Iterator[SelfAlert]:
    build = 'qobs_build_info{version="0.1.0",revision="",python="3.11"}'
    yield SelfAlert(
        name="QobsDown",
        mode="F6",
        severity=Severity.PAGE,
        expression="absent(qobs_build_info)",
        wait="5m",
        summary="qobs is gone: no scrape of it works",
        description="Nothing is known about any job, backend or objective until it is back.",
        fires=((build, "1x60 _x200"),),
        quiet=(((build, "1x200"),),),
    )
    reload = "qobs_config_last_reload_successful"
    yield SelfAlert(
        name="QobsConfigReloadFailed",
        mode="self",
        severity=Severity.TICKET,
        expression=f"min({reload}) == 0",
        wait="5m",
        summary="qobs refused its new configuration and runs with the old one",
        description="`qobs check` names every mistake with file, line and key.",
        fires=((reload, "0x200"),),
        quiet=(((reload, "1x200"),),),
    )
    dropped = 'qobs_series_dropped_total{family="qobs_gate_error_ratio"}'
    yield SelfAlert(
        name="QobsSeriesDropped",
        mode="self",
        severity=Severity.TICKET,
        expression=newborn("qobs_series_dropped_total", "family", "1h"),
        wait="10m",
        summary="{family} does not fit into the series budget and is left out",
        description="Raise `limits.max_series`, or show full detail for fewer backends.",
        fires=((dropped, "_x100 50+50x100"),),
        labels={"family": "qobs_gate_error_ratio"},
        quiet=(((dropped, "50x200"),),),
    )
    failures = 'qobs_exporter_failures_total{family="qobs_jobs"}'
    yield SelfAlert(
        name="QobsExporterFailing",
        mode="self",
        severity=Severity.TICKET,
        expression=newborn("qobs_exporter_failures_total", "family", "1h"),
        wait="10m",
        summary="{family} could not be rendered and is left out",
        description="A bug in qobs: its log has the place. All other metrics are shown.",
        fires=((failures, "_x100 1+1x100"),),
        labels={"family": "qobs_jobs"},
        quiet=(((failures, "1x200"),),),
    )
    writes = "qobs_store_write_failures_total"
    yield SelfAlert(
        name="QobsStoreWriteFailures",
        mode="self",
        severity=Severity.PAGE,
        expression=f"sum(increase({writes}[15m])) > 0",
        wait="5m",
        summary="The store of qobs cannot be written",
        description="About {value} transactions of the last 15 minutes failed; nothing of them was kept, and polling waits. Look"
        " at the disk's space and rights.",
        fires=((writes, "0+1x200"),),
        shown="15",
        quiet=(((writes, "3x200"),), ((writes, "0x130 1x90"),)),
    )


def _spoken(seconds: int) -> str:
    """Whole seconds as Prometheus' ``humanizeDuration`` says them."""
    minutes, second = divmod(seconds, 60)
    hours, minute = divmod(minutes, 60)
    days, hour = divmod(hours, 24)
    if days:
        return f"{days}d {hour}h {minute}m {second}s"
    return f"{hour}h {minute}m {second}s" if hours else f"{minute}m {second}s"
