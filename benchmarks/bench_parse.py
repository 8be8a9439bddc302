"""CPU milliseconds per circuit of parsing OpenQASM; Qiskit's compiled reader of OpenQASM 2 is the peer, in the same process.

Machine-written circuits of one- and two-qubit gates, a third of them with an angle of their own, every qubit measured. Both read
the same text; qobs also reads it as OpenQASM 3, which Qiskit's peer cannot. Rounds alternate, and the best of each counts, for a
busy machine makes all of them larger.

    python benchmarks/bench_parse.py --gates 36 440 500 944 1496 --rounds 20
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from random import Random

from qiskit import qasm2

from qobs.reference.hashing import content_hash, structure_hash
from qobs.reference.parse import parse

WIDTHS = {36: 5, 440: 12, 944: 8, 1496: 100}
CALLS = 5


def gates(count: int, width: int) -> list[str]:
    """Statements that both versions share."""
    draw = Random(1)
    lines = []
    for _ in range(count):
        qubit = draw.randrange(width - 1)
        kinds = (f"cx q[{qubit}],q[{qubit + 1}];", f"rz({draw.uniform(-3, 3)!r}) q[{qubit}];", f"sx q[{qubit}];")
        lines.append(draw.choice(kinds))
    return lines


def version_2(count: int, width: int) -> str:
    """OpenQASM 2."""
    measures = [f"measure q[{qubit}] -> c[{qubit}];" for qubit in range(width)]
    head = ["OPENQASM 2.0;", 'include "qelib1.inc";', f"qreg q[{width}];", f"creg c[{width}];"]
    return "\n".join([*head, *gates(count, width), *measures])


def version_3(count: int, width: int) -> str:
    """OpenQASM 3."""
    measures = [f"c[{qubit}] = measure q[{qubit}];" for qubit in range(width)]
    head = ["OPENQASM 3.0;", 'include "stdgates.inc";', f"bit[{width}] c;", f"qubit[{width}] q;"]
    return "\n".join([*head, *gates(count, width), *measures])


def best(works: list[Callable[[], object]], rounds: int) -> list[float]:
    """CPU milliseconds per call of each, the best of alternating rounds."""
    found = [float("inf")] * len(works)
    for _ in range(rounds):
        for place, work in enumerate(works):
            began = time.process_time()
            for _ in range(CALLS):
                work()
            found[place] = min(found[place], (time.process_time() - began) / CALLS * 1e3)
    return found


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description="CPU milliseconds per circuit of parsing OpenQASM.")
    parser.add_argument("--gates", type=int, nargs="+", default=[36, 440, 500, 944, 1496], help="gates of each circuit")
    parser.add_argument("--rounds", type=int, default=20, help="rounds, of which the best counts (default: 20)")
    asked = parser.parse_args()
    print(f"{'CPU ms':>20} {'qasm 2':>9} {'qasm 3':>9} {'hashes':>9} {'qiskit.qasm2':>13} {'ratio':>7}")
    for count in asked.gates:
        width = WIDTHS.get(count, 12)
        two, three = version_2(count, width), version_3(count, width)
        circuit = parse(two)
        if len(circuit.operations) != count + width or parse(three).operations != circuit.operations:
            raise SystemExit(f"{count} gates: the circuit was not read as it was written")
        ours, also, hashes, peer = best(
            [
                lambda text=two: parse(text),
                lambda text=three: parse(text),
                lambda text=two, read=circuit: (content_hash(text), structure_hash(read)),
                lambda text=two: qasm2.loads(text, custom_instructions=qasm2.LEGACY_CUSTOM_INSTRUCTIONS),
            ],
            asked.rounds,
        )
        print(f"{count:>6} on {width:>3} qubits {ours:>9.2f} {also:>9.2f} {hashes:>9.2f} {peer:>13.2f} {peer / ours:>6.1f}x")


if __name__ == "__main__":
    main()
