"""``qobs simulate`` and ``qobs verify``: what a circuit should answer, and whether measured counts are that."""

from __future__ import annotations

import argparse
import json
import logging
import math
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from qobs.cli.output import FINDINGS, OK, cannot, report, say, table

if TYPE_CHECKING:
    from qobs.model import Calibration
    from qobs.reference.circuit import Circuit
    from qobs.reference.predict import Prediction, Reference
    from qobs.reference.verdict import Judged

KINDS = ("openqasm2", "openqasm3", "braket", "ionq", "qpy")
ORDERS = ("clbits_right", "clbits_left", "qubits_left", "qubits_right")
LEAST = 1e-9
"""Outcomes below this probability are not told."""

SHOWN = 20
"""Rows of a table for people."""

_DIGITS = 12
_MOST_SHOTS = 10_000_000


def add(commands: Any) -> None:
    """Put both commands on the command line."""
    _simulate(commands)
    _verify(commands)


def _simulate(commands: Any) -> None:
    parser = _command(
        commands,
        "simulate",
        "ideal and noisy reference distribution of a circuit of any width",
        "qobs simulate bell.qasm --calibration props_torino.json --json",
    )
    parser.add_argument("--shots", type=int, metavar="N", help="also draw N shots from the noisy (else the ideal) distribution")
    parser.set_defaults(command=_run_simulate)


def _verify(commands: Any) -> None:
    parser = _command(
        commands,
        "verify",
        "the verdict on measured counts: consistent, worse, inconclusive or unverified",
        "qobs verify bell.qasm --counts counts.json --calibration props_torino.json",
    )
    parser.add_argument("--counts", required=True, metavar="FILE", help="JSON object of counts by outcome, bits or hex")
    parser.add_argument(
        "--order", choices=ORDERS, default=ORDERS[0], help="what the places of a key stand for (default: clbits_right, as Qiskit)"
    )
    parser.add_argument("--shots", type=int, metavar="N", help="the counts file holds probabilities of N shots")
    parser.add_argument(
        "--margin", type=float, default=0.0, metavar="M", help="chi-square distance that counts as the same (default: 0)"
    )
    parser.add_argument("--strict", action="store_true", help="exit 1 unless the verdict is consistent")
    parser.set_defaults(command=_run_verify)


def _command(commands: Any, name: str, summary: str, example: str) -> argparse.ArgumentParser:
    parser: argparse.ArgumentParser = commands.add_parser(
        name, help=summary, description=summary[0].upper() + summary[1:] + ".", epilog=f"Example: {example}"
    )
    parser.add_argument("circuit", metavar="CIRCUIT", help="OpenQASM 2 or 3, IonQ JSON or QPY")
    parser.add_argument("--kind", choices=KINDS, help="of the circuit; recognised where not said")
    parser.add_argument("--calibration", metavar="FILE", help="calibration in force: IBM, IonQ or qobs' own; recognised")
    parser.add_argument("--seed", type=int, default=0, metavar="N", help="of everything that is sampled (default: 0)")
    parser.add_argument(
        "--max-qubits", type=int, default=24, metavar="N", help="qubits held in one state at most (default: 24; 2^24 is 256 MiB)"
    )
    parser.add_argument("--json", action="store_true", help="print JSON")
    return parser


# ------------------------------------------------------------------------------------------------- running


def _run_simulate(arguments: argparse.Namespace) -> int:
    if arguments.shots is not None and not 1 <= arguments.shots <= _MOST_SHOTS:
        return cannot(f"--shots must be from 1 to {_MOST_SHOTS}, but --shots {arguments.shots}", as_json=arguments.json)
    return _guarded(arguments, _simulated)


def _simulated(arguments: argparse.Namespace) -> int:
    from qobs.reference.predict import drawn, predict

    circuit, calibration = _circuit(arguments), _calibration(arguments)
    prediction = _at(arguments.circuit, "circuit", lambda: predict(circuit, calibration, effort=_effort(arguments)))
    shots = drawn(prediction, arguments.shots, seed=arguments.seed) if arguments.shots else None
    counts = None if shots is None else {_key(outcome, circuit.clbits): count for outcome, count in shots.items()}
    if arguments.json:
        say(json.dumps(_simulation_json(prediction, circuit, calibration, counts), indent=2))
    else:
        _show_simulation(prediction, circuit, counts)
    return OK if prediction.unverified is None else FINDINGS


def _run_verify(arguments: argparse.Namespace) -> int:
    if not 0 <= arguments.margin < math.inf:
        return cannot(f"--margin must be 0 or more and finite, but --margin {arguments.margin:g}", as_json=arguments.json)
    return _guarded(arguments, _verified)


def _verified(arguments: argparse.Namespace) -> int:
    from qobs.reference.predict_verify import verify
    from qobs.reference.verdict import Verdict

    circuit, calibration = _circuit(arguments), _calibration(arguments)
    counts = _counts(arguments, circuit)
    judged = _at(
        arguments.circuit,
        "circuit",
        lambda: verify(circuit, counts, calibration, margin=arguments.margin, effort=_effort(arguments)),
    )
    if arguments.json:
        say(json.dumps(judged_json(judged), indent=2))
    else:
        _show_verdict(judged)
    bad = judged.verdict is not Verdict.CONSISTENT if arguments.strict else judged.verdict is Verdict.WORSE
    return FINDINGS if bad else OK


def _guarded(arguments: argparse.Namespace, run: Any) -> int:
    """Run, and tell what is wrong with the files in the documented forms."""
    from qobs.errors import ConfigError

    if arguments.seed < 0 or not 1 <= arguments.max_qubits <= 28:
        return cannot(
            f"--seed must be 0 or more and --max-qubits from 1 to 28, but they are {arguments.seed} and {arguments.max_qubits}",
            as_json=arguments.json,
        )
    # What a library logs when it refuses is part of the answer's reason already.
    logging.getLogger("qiskit_aer").setLevel(logging.CRITICAL)
    try:
        return int(run(arguments))
    except ConfigError as error:
        return report(error.findings, as_json=arguments.json)
    except OSError as error:
        return cannot(f"{error.filename}: {error.strerror}" if error.filename else str(error), as_json=arguments.json)


def _at(file: str, what: str, work: Any) -> Any:
    """The result of ``work``; a circuit's or count's error becomes a finding in ``file``.

    Raises:
        ConfigError: with that finding.
    """
    from qobs.errors import CircuitError, ConfigError, Finding

    try:
        return work()
    except CircuitError as error:
        path = "" if error.column is None else f"column {error.column}"
        finding = Finding(file=file, path=path, found=error.found, hint=error.allowed, code=f"{what}.invalid", line=error.line)
        raise ConfigError((finding,)) from None


# ------------------------------------------------------------------------------------------------- reading


def _effort(arguments: argparse.Namespace) -> Any:
    from qobs.reference.predict import Effort

    return Effort(max_qubits=arguments.max_qubits, seed=arguments.seed)


def _circuit(arguments: argparse.Namespace) -> Circuit:
    from qobs.cli.calibration_files import read_bounded
    from qobs.reference.limits import DEFAULT_LIMITS
    from qobs.reference.parse import parse

    body = read_bounded(Path(arguments.circuit), DEFAULT_LIMITS.source_bytes)
    found: Circuit = _at(arguments.circuit, "circuit", lambda: parse(body, kind=arguments.kind))
    return found


def _calibration(arguments: argparse.Namespace) -> Calibration | None:
    from qobs.cli.calibration_files import read_calibration

    return None if arguments.calibration is None else read_calibration(Path(arguments.calibration))


def _counts(arguments: argparse.Namespace, circuit: Circuit) -> dict[int, int]:
    """Counts by outcome index.

    Raises:
        ConfigError: the file is no JSON object of counts, or they do not fit the circuit.
    """
    from qobs.cli.calibration_files import read_bounded
    from qobs.reference.counts import Order, read_counts

    given = _object(arguments.counts, read_bounded(Path(arguments.counts)))
    order = Order(arguments.order)
    found: dict[int, int] = _at(
        arguments.counts, "counts", lambda: read_counts(given, circuit, order=order, shots=arguments.shots)
    )
    return found


def _object(file: str, body: bytes) -> Mapping[str, Any]:
    """The counts of a file: the object at its top, or what it has under ``counts``."""
    from qobs.errors import CircuitError

    def pairs(found: list[tuple[str, Any]]) -> dict[str, Any]:
        document = dict(found)
        if len(document) != len(found):
            raise CircuitError("a key twice in one object", "each outcome once")
        return document

    def read() -> Mapping[str, Any]:
        try:
            document = json.loads(body.decode("utf-8-sig"), object_pairs_hook=pairs)
        except (ValueError, RecursionError) as error:
            raise CircuitError(f"no JSON: {str(error)[:200]}", 'an object such as {"00": 510, "11": 514}') from None
        if isinstance(document, dict) and isinstance(document.get("counts"), dict):
            document = document["counts"]
        if not isinstance(document, dict):
            raise CircuitError(f"a JSON {type(document).__name__}", 'an object such as {"00": 510, "11": 514}')
        return document

    found: Mapping[str, Any] = _at(file, "counts", read)
    return found


# -------------------------------------------------------------------------------------------------- telling


def judged_json(judged: Judged) -> dict[str, object]:
    """A verdict in the documented form; figures that do not exist are null."""
    distance = judged.distance
    return {
        "verdict": str(judged.verdict),
        "reason": judged.reason,
        "method": judged.method,
        "shots": judged.shots,
        "p_value": judged.p_value,
        "distance": None if distance is None else {"tvd": distance.tvd, "floor": distance.floor, "excess": distance.excess},
        "effect": judged.effect,
        "margin": judged.margin,
        "xeb": judged.xeb,
        "xeb_expected": judged.xeb_expected,
        "hellinger_fidelity": judged.hellinger_fidelity,
        "degraded": list(judged.degraded),
    }


def _simulation_json(
    prediction: Prediction, circuit: Circuit, calibration: Calibration | None, counts: dict[str, int] | None
) -> dict[str, object]:
    esp = prediction.esp
    told: dict[str, object] = {
        "method": prediction.method,
        "qubits": prediction.qubits,
        "ideal": _distribution(prediction.ideal, prediction, circuit),
        "noisy": _distribution(prediction.noisy, prediction, circuit),
        "ideal_method": None if prediction.ideal is None else prediction.ideal.method,
        "measured_clbits": list(prediction.clbits),
        "success_probability": None if esp is None else {"gates": esp.gates, "readout": esp.readout, "total": esp.total},
        "fidelity": prediction.fidelity,
        "degraded": list(prediction.degraded),
        "unverified": prediction.unverified,
        "calibration": None
        if calibration is None
        else {"backend": calibration.backend, "calibrated_at": calibration.calibrated_at.isoformat()},
    }
    if prediction.parts:
        told["marginals"] = [
            {
                "clbits": list(part.clbits),
                "method": part.method,
                "ideal": _distribution(part.ideal, part, circuit, bits=len(part.clbits)),
                "noisy": _distribution(part.noisy, part, circuit, bits=len(part.clbits)),
            }
            for part in prediction.parts
        ]
    return told if counts is None else {**told, "counts": counts}


def _distribution(
    reference: Reference | None, prediction: Prediction, circuit: Circuit, *, bits: int | None = None
) -> dict[str, float] | None:
    """Probabilities by key over all classical bits; ``bits`` given: over the prediction's own bits only."""
    if reference is None:
        return None
    likely = [(cell, float(share)) for cell, share in enumerate(reference.probabilities) if share >= LEAST]
    cells = [cell for cell, _ in likely]
    outcomes = prediction.outcomes(reference, cells) if bits is None else cells
    width = circuit.clbits if bits is None else bits
    return {_key(outcome, width): round(share, _DIGITS) for outcome, (_, share) in zip(outcomes, likely, strict=True)}


def _key(outcome: int, clbits: int) -> str:
    """Bits of all classical bits, bit 0 rightmost.

    Example:
        >>> _key(0b101, 4)
        '0101'
    """
    return f"{outcome:0{clbits}b}"


def _show_simulation(prediction: Prediction, circuit: Circuit, counts: dict[str, int] | None) -> None:
    say(f"method {prediction.method}; {prediction.qubits} qubits at once, {len(prediction.clbits)} measured bits")
    if prediction.esp is not None:
        say(f"estimated success probability {prediction.esp.total:.4g}, with waiting {prediction.fidelity:.4g}")
    ideal = _distribution(prediction.ideal, prediction, circuit) or {}
    noisy = _distribution(prediction.noisy, prediction, circuit) or {}
    leading = sorted({*ideal, *noisy}, key=lambda key: (-noisy.get(key, 0.0), -ideal.get(key, 0.0), key))
    if leading:
        rows = [(key, *(_share(found, key) for found in (ideal, noisy)), _count(counts, key)) for key in leading[:SHOWN]]
        table(("OUTCOME", "IDEAL", "NOISY", "SHOTS"), rows)
    if len(leading) > SHOWN:
        say(f"and {len(leading) - SHOWN} outcomes more; --json prints them all")
    for part in prediction.parts:
        say(f"bits {', '.join(map(str, part.clbits))}: {part.method}, {part.qubits} qubits at once")
    for flaw in prediction.degraded:
        say(f"note: {flaw}")
    if prediction.unverified is not None:
        say(f"no distribution: {prediction.unverified}")


def _share(found: Mapping[str, float], key: str) -> str:
    return f"{found.get(key, 0.0):.6f}" if found else "-"


def _count(counts: dict[str, int] | None, key: str) -> str:
    return "-" if counts is None else str(counts.get(key, 0))


def _show_verdict(judged: Judged) -> None:
    say(f"{judged.verdict}: {judged.reason}")
    say(f"method {judged.method}; {judged.shots} shots; margin {judged.margin:g}")
    if judged.p_value is not None:
        say(f"p-value {judged.p_value:.3g}")
    if judged.distance is not None:
        tvd, floor, excess = judged.distance
        say(f"total variation distance {tvd:.4f}, of which shots alone make {floor:.4f}: excess {excess:.4f}")
    if judged.xeb is not None and judged.xeb_expected is not None:
        say(f"linear cross-entropy {judged.xeb:.4f}, expected {judged.xeb_expected:.4f}")
    for flaw in judged.degraded:
        say(f"note: {flaw}")
