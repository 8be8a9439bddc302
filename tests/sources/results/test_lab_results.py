"""Results through the real HTTP client from the emulated clouds: what was drawn there is what arrives, and no more is asked."""

from __future__ import annotations

import json
import random
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from qiskit import QuantumCircuit
from qiskit.quantum_info import Statevector

from qobs.errors import BadPayload, Refused, SourceError, Unavailable
from qobs.lab import azure, azure_blobs, ibm, ibm_wire, ionq, ionq_wire
from qobs.lab.circuit_texts import ionq_native, ionq_qis, openqasm2, openqasm3
from qobs.lab.circuits import circuit_of, everywhere
from qobs.lab.clock import LabClock
from qobs.lab.faults import Faults, edited, login_page, status, truncated
from qobs.lab.ibm_devices import devices
from qobs.lab.serve import serve
from qobs.lab.world import Cloud, LabJob, Trouble
from qobs.model import Job, JobState, Reason
from qobs.reference.circuit import Circuit
from qobs.reference.counts import Order, read_counts
from qobs.reference.parse import parse
from qobs.result import Execution, Program
from qobs.secret import Secret
from qobs.sources.base import ResultSource, Settings
from qobs.sources.guard import Guard
from qobs.sources.http import Edge, HttpClient
from qobs.sources.registry import SOURCES

BEGINS = datetime(2026, 9, 14, tzinfo=UTC)
NOW = BEGINS + timedelta(hours=2)
LABS: Mapping[str, Any] = {"ibm": ibm, "ionq": ionq, "azure": azure}


class Jumping(LabClock):
    """Sleepers wake at once, with the time moved on."""

    async def sleep(self, seconds: float) -> None:
        """Move on by ``seconds``."""
        self.advance(timedelta(seconds=max(0.0, seconds)))


@dataclass
class Bench:
    """A source of results at work on its emulated cloud."""

    kind: str
    cloud: Cloud
    faults: Faults
    source: Any
    client: HttpClient

    def plan(self, job_id: str = "", **changes: Any) -> LabJob:
        """A planned job that has completed."""
        model = next(job for job in self.cloud.jobs(NOW) if job.outcome is JobState.COMPLETED and job.ended_at < NOW)
        return self.cloud.add(replace(model, id=job_id or "d0000000000000000000", **changes))

    async def execution(self, plan: LabJob) -> Execution:
        """What the source makes of the job."""
        raw = await self.source.fetch_result(self.client, job_of(self.kind, plan))
        return self.source.execution(raw, job_of(self.kind, plan))


def job_of(kind: str, plan: LabJob) -> Job:
    """The record of a planned job as the store would hold it."""
    return Job(
        provider=kind,
        source="lab",
        account="a",
        id=plan.id,
        state=JobState.COMPLETED,
        backend=plan.backend,
        started_at=plan.started_at,
        ended_at=plan.ended_at,
    )


def settings_of(kind: str, url: str) -> Settings:
    """A source that reads the emulated cloud."""
    options: dict[str, Mapping[str, str]] = {
        "ibm": {"instance": ibm.INSTANCE, "url": f"{url}/api/v1", "iam_url": url},
        "ionq": {"url": url},
        "azure": {
            "subscription_id": azure.SUBSCRIPTION_ID,
            "resource_group": azure.RESOURCE_GROUP,
            "workspace": azure.WORKSPACE,
            "location": "eastus",
            "url": url,
        },
    }
    key = LABS[kind].API_KEY
    return Settings(name="lab", type=kind, credentials={"api_key": lambda: Secret(key)}, options=options[kind])


@pytest.fixture
def open_bench() -> Callable[..., AbstractAsyncContextManager[Bench]]:
    """Serves two hours of a cloud and a source on it."""

    @asynccontextmanager
    async def opened(kind: str, **options: Any) -> AsyncIterator[Bench]:
        cloud, faults = LABS[kind].default_cloud(5, BEGINS), Faults()
        cloud.jobs(NOW)
        cloud.generate = False
        async with serve(faults.install(LABS[kind].application(cloud, LabClock(NOW), **options))) as url:
            source = SOURCES[kind].build(settings_of(kind, url))
            guard = Guard(SOURCES[kind].hosts, urls=[url])
            async with HttpClient(Edge(clock=Jumping(NOW), rng=random.Random(1), guard=guard)) as client:
                yield Bench(kind, cloud, faults, source, client)

    return opened


Open = Callable[..., AbstractAsyncContextManager[Bench]]


def outcomes_of(program: Program) -> tuple[Circuit, dict[int, int]]:
    """The circuit, and its counts by outcome index."""
    circuit = parse(program.circuit, kind=program.kind)
    given = program.counts or program.probabilities
    return circuit, read_counts(given, circuit, order=Order(program.order), shots=program.shots)


def ideal(circuit: Circuit) -> list[float]:
    """Probabilities of a circuit without noise, worked out by qiskit."""
    run, held = QuantumCircuit(circuit.width), {}
    for operation in circuit.operations:
        if operation.name == "measure":
            held[operation.clbits[0]] = operation.qubits[0]
        else:
            getattr(run, operation.name)(*operation.params, *operation.qubits)
    found = [0.0] * (1 << circuit.clbits)
    for basis, weight in enumerate(Statevector(run).probabilities()):
        found[sum((basis >> qubit & 1) << bit for bit, qubit in held.items())] += weight
    return found


def distance(counts: Mapping[int, int], probabilities: list[float]) -> float:
    """Total variation distance."""
    shots = sum(counts.values())
    return sum(abs(counts.get(place, 0) / shots - chance) for place, chance in enumerate(probabilities)) / 2


FAMILIES = ("ghz-benchmark", "vqe-h2", "qaoa-maxcut", "kernel-svm")
TARGETS = {"ibm": "ibm_kingston", "ionq": "qpu.forte-1", "azure": "quantinuum.qpu.h2-2", "azure-ionq": "ionq.qpu.forte-1"}


@pytest.mark.parametrize("team", ["chemistry", "optimisation"])
@pytest.mark.parametrize("family", FAMILIES)
async def test_ibm_tells_the_circuit_and_the_counts_that_were_drawn(open_bench: Open, family: str, team: str) -> None:
    """Both encodings, one and two registers, through real HTTP: a bit lost on the way would be a wrong verdict."""
    async with open_bench("ibm") as bench:
        plan = bench.plan(experiment=family, team=team, backend="ibm_kingston", qubits=3, gates_2q=2, shots=500, circuits=2)
        execution = await bench.execution(plan)
        device = devices(bench.cloud)["ibm_kingston"]
        assert isinstance(bench.source, ResultSource)
        assert [program.index for program in execution.programs] == [0, 1]
        for program in execution.programs:
            circuit = circuit_of(plan, program.index)
            drawn = ibm_wire.samples(plan, device, bench.cloud, program.index)
            assert program.circuit == openqasm3(circuit, device.place(plan.id, 3)).encode()
            assert outcomes_of(program)[1] == Counter(drawn)
            assert all(len(key.split()) == len(circuit.registers) for key in program.counts)
            assert program.shots == 500


@pytest.mark.parametrize("circuits", [1, 3])
async def test_ionq_tells_the_circuit_and_the_probabilities_that_were_drawn(open_bench: Open, circuits: int) -> None:
    """Single circuits and children of a multi-circuit job alike, in order."""
    async with open_bench("ionq") as bench:
        plan = bench.plan(experiment="vqe-h2", backend="qpu.forte-1", qubits=3, shots=700, circuits=circuits)
        execution = await bench.execution(plan)
        backend = bench.cloud.backend("qpu.forte-1")
        assert backend is not None
        parts = list(ionq_wire.children(plan)) or [plan]
        assert [program.index for program in execution.programs] == list(range(circuits))
        for program, part in zip(execution.programs, parts, strict=True):
            assert json.loads(program.circuit) == ionq_native(everywhere(circuit_of(part)))
            assert outcomes_of(program)[1] == {
                int(key): count for key, count in ionq_wire.counts(part, backend, bench.cloud).items()
            }


@pytest.mark.parametrize("target", ["ionq.qpu.forte-1", "quantinuum.qpu.h2-2"])
@pytest.mark.parametrize("family", ["vqe-h2", "qaoa-maxcut"])
async def test_azure_tells_the_circuit_and_the_results_that_were_drawn(open_bench: Open, target: str, family: str) -> None:
    """Both providers behind a workspace, by signed links."""
    async with open_bench("azure") as bench:
        plan = bench.plan(experiment=family, backend=target, qubits=4, shots=600)
        (program,) = (await bench.execution(plan)).programs
        circuit = azure_blobs.circuit(plan)
        if target.startswith("ionq"):
            assert json.loads(program.circuit) == ionq_qis(circuit)
        else:
            assert program.circuit == openqasm2(circuit).encode()
        assert outcomes_of(program)[1] == Counter(azure_blobs.measured(plan, bench.cloud))


@pytest.mark.parametrize("name", TARGETS)
async def test_counts_fit_their_circuit_in_the_right_order_of_bits_only(open_bench: Open, name: str) -> None:
    """The whole way from the provider's bytes to outcome indices, against qiskit: turned around, the same counts do not fit."""
    kind = name.partition("-")[0]
    async with open_bench(kind) as bench:
        plan = bench.plan(experiment="vqe-h2", backend=TARGETS[name], qubits=3, gates_2q=2, shots=4000)
        (program,) = (await bench.execution(plan)).programs
    circuit, counts = outcomes_of(program)
    expected = ideal(circuit)
    turned = {int(f"{outcome:03b}"[::-1], 2): count for outcome, count in counts.items()}
    assert distance(counts, expected) < 0.08
    assert distance(turned, expected) > 0.15


# ------------------------------------------------------------------------------------------------ what is not asked


async def test_results_of_a_private_job_are_never_asked_for(open_bench: Open) -> None:
    """They are deleted by being read: a monitor would destroy what its user waits for."""
    async with open_bench("ibm") as bench:
        execution = await bench.execution(bench.plan(private=True, gates_2q=1))
        assert "private" in execution.missing
        assert bench.faults.count("/api/v1/jobs/*/results") == 0
        assert bench.faults.count("/api/v1/jobs/*") == 1


async def test_results_of_an_estimator_job_are_never_asked_for(open_bench: Open) -> None:
    """Megabytes of parameters for nothing, at every estimator job of an account."""
    async with open_bench("ibm") as bench:
        execution = await bench.execution(bench.plan(gates_2q=3))
        assert execution.missing == "estimator jobs have no counts"
        assert bench.faults.count("/api/v1/jobs/*") == 1


@pytest.mark.parametrize(
    ("target", "reason"),
    [("rigetti.qpu.cepheus-1-36q", "qir.v1"), ("pasqal.qpu.fresnel", "pasqal.pulser.v1")],
)
async def test_blobs_that_nobody_reads_are_not_downloaded(open_bench: Open, target: str, reason: str) -> None:
    """The format stands in the job: what cannot be read costs no transfer."""
    async with open_bench("azure") as bench:
        assert reason in (await bench.execution(bench.plan(backend=target))).missing
        assert bench.faults.count("/job-*") == 0


@pytest.mark.parametrize(
    ("options", "backend", "reason"), [({"shape": "2026-05"}, "qpu.forte-1", "no circuit"), ({}, "simulator", "a simulation")]
)
async def test_an_ionq_job_without_a_circuit_is_missing(
    open_bench: Open, options: dict[str, str], backend: str, reason: str
) -> None:
    """The older form of the API gives no circuit back, and the simulator has no noise of its own to be compared with."""
    async with open_bench("ionq", **options) as bench:
        assert reason in (await bench.execution(bench.plan(backend=backend))).missing
        assert len(bench.faults.requests) == 1


@pytest.mark.parametrize("kind", LABS)
async def test_a_job_that_failed_has_nothing_to_verify(open_bench: Open, kind: str) -> None:
    """Its results are the text of an error."""
    async with open_bench(kind) as bench:
        plan = bench.plan(outcome=JobState.FAILED, failure=("9999", "no"), gates_2q=1)
        assert (await bench.execution(plan)).missing == "the job did not complete"


@pytest.mark.parametrize("kind", LABS)
async def test_a_job_that_the_provider_forgot_is_not_found(open_bench: Open, kind: str) -> None:
    """Not found ends the asking; any other error would have it asked for ever."""
    async with open_bench(kind) as bench:
        plan = bench.plan()
        bench.cloud.remove(plan.id)
        with pytest.raises(Refused) as caught:
            await bench.execution(plan)
        assert caught.value.reason is Reason.NOT_FOUND


# ---------------------------------------------------------------------------------------------- links and their secrets

BLOBS = "/job-*/*"


async def test_an_expired_link_is_a_refusal_without_the_signature(open_bench: Open, caplog: pytest.LogCaptureFixture) -> None:
    """A signature in a message opens the job's storage to everybody who reads the log."""
    async with open_bench("azure") as bench:
        plan = bench.plan(backend="quantinuum.qpu.h2-2")
        text = "\ufeff<?xml version='1.0'?><Error><Code>AuthenticationFailed</Code><Message>sig=T0PSECRET0 bad</Message></Error>"
        bench.faults.add(status(403, text.encode()), path=BLOBS)
        with pytest.raises(Refused) as caught:
            await bench.execution(plan)
    assert caught.value.reason is Reason.AUTH
    assert_no_signature(str(caught.value) + repr(caught.value) + caplog.text, plan)


async def test_a_storage_that_is_ill_is_told_without_the_signature(open_bench: Open, caplog: pytest.LogCaptureFixture) -> None:
    """Retries and their last error are logged: the link must not be."""
    async with open_bench("azure") as bench:
        plan = bench.plan(backend="quantinuum.qpu.h2-2")
        bench.faults.add(status(503), path=BLOBS, times=None)
        with pytest.raises(Unavailable) as caught:
            await bench.execution(plan)
    assert_no_signature(str(caught.value) + caplog.text, plan)


def assert_no_signature(text: str, plan: LabJob) -> None:
    """Neither the lab's signature nor the one of the faked answer is in ``text``."""
    from qobs.lab.azure_wire import signature

    assert "T0PSECRET0" not in text
    assert signature(plan.id)[:12] not in text


async def test_a_blob_that_is_gone_is_missing(open_bench: Open) -> None:
    """Containers are cleaned up after some time."""
    async with open_bench("azure") as bench:
        bench.faults.add(status(404, b"<Error><Code>BlobNotFound</Code></Error>"), path="/job-*/rawOutputData")
        assert "no longer keeps" in (await bench.execution(bench.plan(backend="quantinuum.qpu.h2-2"))).missing


async def test_the_key_of_the_workspace_does_not_go_to_the_storage(open_bench: Open) -> None:
    """The link alone is the right; our key would be a gift to whoever answers there."""
    seen: list[Mapping[str, str]] = []

    async def remember(met: Any) -> Any:
        seen.append(met.request.headers.copy())
        return await met.handler(met.request)

    async with open_bench("azure") as bench:
        bench.faults.add(remember, path=BLOBS, times=None)
        await bench.execution(bench.plan(backend="quantinuum.qpu.h2-2"))
    assert len(seen) == 2
    assert not any(name.lower() in ("authorization", "x-ms-quantum-api-key") for headers in seen for name in headers)


async def test_a_link_into_another_network_is_not_followed(open_bench: Open) -> None:
    """An answer must not choose which host the daemon asks."""
    async with open_bench("azure") as bench:

        def lead_away(job: dict[str, Any]) -> None:
            job["inputDataUri"] = "https://169.254.169.254/metadata?sig=T0PSECRET0"

        bench.faults.add(edited(lead_away), path="*/jobs/*")
        with pytest.raises(BadPayload) as caught:
            await bench.execution(bench.plan(backend="quantinuum.qpu.h2-2"))
        assert "T0PSECRET0" not in str(caught.value)
        assert bench.faults.count(BLOBS) == 0


async def test_a_job_with_bare_links_is_missing(open_bench: Open) -> None:
    """Some answers carry links without a signature: there is nothing to ask with."""
    async with open_bench("azure") as bench:

        def bare(job: dict[str, Any]) -> None:
            for name in ("inputDataUri", "outputDataUri"):
                job[name] = job[name].partition("?")[0]

        bench.faults.add(edited(bare), path="*/jobs/*")
        assert "no signed links" in (await bench.execution(bench.plan(backend="quantinuum.qpu.h2-2"))).missing


# --------------------------------------------------------------------------------------------------- spoilt answers

RESULT_PATHS = {"ibm": "/api/v1/jobs/*/results", "ionq": "/v0.4/jobs/*/results/*", "azure": "/job-*/rawOutputData"}


@pytest.mark.parametrize("spoil", [truncated(), login_page()], ids=["truncated", "html"])
@pytest.mark.parametrize("kind", LABS)
async def test_a_spoilt_answer_is_a_bad_payload(open_bench: Open, kind: str, spoil: Any) -> None:
    """A login page or half a body must not become a verdict."""
    async with open_bench(kind) as bench:
        plan = bench.plan(backend=TARGETS[kind], qubits=3, gates_2q=2)
        bench.faults.add(spoil, path=RESULT_PATHS[kind])
        with pytest.raises(SourceError) as caught:
            await bench.execution(plan)
        assert isinstance(caught.value, BadPayload)
        assert (await bench.execution(plan)).programs


# --------------------------------------------------------------------------------------------------------- troubles


@pytest.mark.parametrize("name", TARGETS)
async def test_trouble_since_a_time_shows_in_later_jobs_alone(open_bench: Open, name: str) -> None:
    """A game day makes results worse on purpose: the jobs before it must stay as they were."""
    kind, target = name.partition("-")[0], TARGETS[name]
    async with open_bench(kind) as bench:
        early, late = (
            bench.plan(
                f"d{hour}",
                experiment="vqe-h2",
                backend=target,
                qubits=3,
                gates_2q=2,
                shots=4000,
                started_at=BEGINS + at,
                ended_at=BEGINS + 2 * at,
            )
            for hour, at in ((1, timedelta(minutes=10)), (2, timedelta(minutes=50)))
        )
        before = [await bench.execution(plan) for plan in (early, late)]
        bench.cloud.troubles.append(Trouble(backend=target, since=BEGINS + timedelta(minutes=30), noise_factor=20.0))
        after = [await bench.execution(plan) for plan in (early, late)]
    assert before[0] == after[0]
    (clean,), (noisy,) = before[1].programs, after[1].programs
    circuit, counts = outcomes_of(clean)
    expected = ideal(circuit)
    assert distance(outcomes_of(noisy)[1], expected) > 2 * distance(counts, expected)
