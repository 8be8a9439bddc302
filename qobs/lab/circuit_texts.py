"""Circuits of the emulated processors in the languages that clouds take: OpenQASM 3 and 2, IonQ's JSON of both gatesets."""

from __future__ import annotations

from math import pi

from qobs.lab.circuits import LabCircuit


def openqasm3(circuit: LabCircuit, physical: tuple[int, ...]) -> str:
    """The basis form on physical qubits, as IBM's processors take it; ``physical[q]`` is where qubit q lies."""
    lines = ["OPENQASM 3.0;", 'include "stdgates.inc";', *(f"bit[{size}] {name};" for name, size in circuit.registers)]
    for name, qubits, angle in circuit.basis():
        lines.append(f"{name}{f'({angle!r})' if name == 'rz' else ''} {', '.join(f'${physical[qubit]}' for qubit in qubits)};")
    lines += [f"{bit} = measure ${physical[qubit]};" for bit, qubit in zip(_bits(circuit), circuit.measured, strict=True)]
    return "\n".join(lines) + "\n"


def openqasm2(circuit: LabCircuit) -> str:
    """As submitted, on numbered qubits."""
    lines = ["OPENQASM 2.0;", 'include "qelib1.inc";', f"qreg q[{circuit.qubits}];"]
    lines += [f"creg {name}[{size}];" for name, size in circuit.registers]
    for name, qubits, angle in circuit.gates:
        rotated = f"({angle!r})" if name in ("rx", "ry", "rz") else ""
        lines.append(f"{name}{rotated} {','.join(f'q[{qubit}]' for qubit in qubits)};")
    lines += [f"measure q[{qubit}] -> {bit};" for bit, qubit in zip(_bits(circuit), circuit.measured, strict=True)]
    return "\n".join(lines) + "\n"


def _bits(circuit: LabCircuit) -> list[str]:
    return [f"{name}[{place}]" for name, size in circuit.registers for place in range(size)]


def ionq_qis(circuit: LabCircuit) -> dict[str, object]:
    """As submitted, in IonQ's JSON with angles in radians; every qubit is measured."""
    gates: list[dict[str, object]] = []
    for name, qubits, angle in circuit.gates:
        gate: dict[str, object] = {"gate": {"cx": "cnot", "cz": "z"}.get(name, name), "target": qubits[-1]}
        if name in ("cx", "cz"):
            gate["control"] = qubits[0]
        gates.append(gate | ({"rotation": angle} if name in ("rx", "ry", "rz") else {}))
    return {"qubits": circuit.qubits, "gateset": "qis", "circuit": gates}


def ionq_native(circuit: LabCircuit) -> dict[str, object]:
    """Compiled to IonQ's native gates, phases and angles in turns. Rotations about z only move later phases.

    Source:
        sx is gpi2(0) and x is gpi(0); cz is zz(1/4) with rz(-pi/2) on both.
    """
    frame = dict.fromkeys(range(circuit.qubits), 0.0)
    gates: list[dict[str, object]] = []
    for name, qubits, angle in circuit.basis():
        if name == "rz":
            frame[qubits[0]] += angle
        elif name == "cz":
            gates.append({"gate": "zz", "targets": list(qubits), "angle": 0.25})
            for qubit in qubits:
                frame[qubit] -= pi / 2
        else:
            phase = round(-frame[qubits[0]] / (2 * pi) % 1.0, 12)
            gates.append({"gate": "gpi2" if name == "sx" else "gpi", "target": qubits[0], "phase": phase})
    return {"qubits": circuit.qubits, "gateset": "native", "circuit": gates}
