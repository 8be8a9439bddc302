"""``qobs simulate`` and ``qobs verify``, as a user types them."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
from pathlib import Path

import pytest

from qobs.cli import main

FIXTURES = Path(__file__).parents[1] / "fixtures"
BELL = 'OPENQASM 3.0; include "stdgates.inc"; bit[2] c; h $0; cx $0, $1; c[0] = measure $0; c[1] = measure $1;'
CROSSED = """\
OPENQASM 2.0;
include "qelib1.inc";
qreg q[3]; creg low[2]; creg high[3];
x q[0]; ry(1.1) q[2];
measure q[0] -> high[2];
measure q[2] -> low[1];
"""
NORMALIZED = {
    "provider": "ibm",
    "backend": "two",
    "calibrated_at": "2026-01-01T00:00:00Z",
    "qubits": [
        {"qubit": 0, "t1_seconds": [1e-4], "t2_seconds": [1e-4], "prob_meas0_prep1": [0.1], "prob_meas1_prep0": [0.02]},
        {"qubit": 1, "t1_seconds": [1e-4], "t2_seconds": [1e-4], "prob_meas0_prep1": [0.0], "prob_meas1_prep0": [0.0]},
    ],
    "gates": [
        {"gate": "h", "qubits": [0], "error": [0.0], "duration_seconds": [0.0]},
        {"gate": "cx", "qubits": [0, 1], "error": [0.0], "duration_seconds": [0.0]},
    ],
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A Bell pair, a circuit that shows the order of bits, counts of the pair, and calibrations of several kinds."""
    (tmp_path / "bell.qasm").write_text(BELL)
    (tmp_path / "crossed.qasm").write_text(CROSSED)
    (tmp_path / "counts.json").write_text('{"00": 510, "11": 514}')
    (tmp_path / "normalized.json").write_text(json.dumps(NORMALIZED))
    lagos = gzip.decompress((FIXTURES / "ibm" / "snapshots" / "props_lagos.json.gz").read_bytes())
    (tmp_path / "props_lagos.json").write_bytes(lagos)
    export = FIXTURES / "calibration_csv" / "ibm_torino_calibrations_2025-07-01T20_15_50Z.csv.gz"
    (tmp_path / export.stem).write_bytes(gzip.decompress(export.read_bytes()))
    (tmp_path / "export.csv").write_bytes(gzip.decompress(export.read_bytes()))
    ionq = {
        "date": "2026-01-01T00:00:00Z",
        "fidelity": {"spam": {"median": 0.99}, "1q": {"median": 0.999}, "2q": {"median": 0.98}},
    }
    (tmp_path / "ionq.json").write_text(json.dumps(ionq))
    return tmp_path


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


def told(capsys) -> dict:
    return json.loads(capsys.readouterr().out)


def typed(*arguments: object) -> subprocess.CompletedProcess[str]:
    """The command in a process of its own, as a shell starts it."""
    words = [sys.executable, "-m", "qobs", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


# ---------------------------------------------------------------------------------------------- simulate


def test_simulate_prints_the_documented_form(folder, capsys):
    """Scripts read these keys."""
    assert run("simulate", folder / "bell.qasm", "--json") == 0
    found = told(capsys)
    assert (found["method"], found["qubits"], found["noisy"]) == ("state vector", 2, None)
    assert found["ideal"] == {"00": pytest.approx(0.5, abs=1e-6), "11": pytest.approx(0.5, abs=1e-6)}


def test_simulate_adds_noise_where_a_calibration_is_given(folder, capsys):
    """Readout errors of both directions, closed form: only qubit 0 is misread."""
    assert run("simulate", folder / "bell.qasm", "--calibration", folder / "normalized.json", "--json") == 0
    found = told(capsys)
    assert found["noisy"] == pytest.approx({"00": 0.49, "01": 0.01, "10": 0.05, "11": 0.45}, abs=1e-6)
    assert found["method"] == "density matrix, exact"
    assert found["success_probability"]["total"] == pytest.approx(0.94)
    assert found["calibration"] == {"backend": "two", "calibrated_at": "2026-01-01T00:00:00+00:00"}


def test_bits_stand_where_the_registers_say(folder, capsys):
    """Bit 0 is rightmost over all registers; a bit that nothing is measured into is 0."""
    assert run("simulate", folder / "crossed.qasm", "--json") == 0
    found = told(capsys)
    assert found["ideal"] == {"10000": pytest.approx(0.726798, abs=1e-5), "10010": pytest.approx(0.273202, abs=1e-5)}
    assert found["measured_clbits"] == [1, 4]


def test_shots_are_drawn_from_the_noisy_distribution(folder, capsys):
    """The same seed, the same counts; and they add up."""
    arguments = ("simulate", folder / "crossed.qasm", "--shots", 1000, "--seed", 3, "--json")
    assert run(*arguments) == 0
    first = told(capsys)["counts"]
    assert run(*arguments) == 0
    assert told(capsys)["counts"] == first
    assert (sum(first.values()), set(first)) == (1000, {"10000", "10010"})


def test_simulate_shows_people_a_table(folder, capsys):
    """Method, outcomes and what is missing, without JSON."""
    assert run("simulate", folder / "bell.qasm", "--calibration", folder / "props_lagos.json", "--shots", 100) == 0
    out = capsys.readouterr().out
    assert "method density matrix, exact; 2 qubits at once" in out
    assert "OUTCOME  IDEAL     NOISY" in out
    assert "note: gate_unknown of h on 0" in out


@pytest.mark.parametrize(
    ("name", "backend"),
    [
        ("normalized.json", "two"),
        ("props_lagos.json", "ibm_lagos"),
        ("ibm_torino_calibrations_2025-07-01T20_15_50Z.csv", "ibm_torino"),
        ("ionq.json", "ionq"),
    ],
)
def test_the_kind_of_a_calibration_is_recognised(folder, capsys, name, backend):
    """A user has the provider's own file, and no wish to convert it."""
    assert run("simulate", folder / "bell.qasm", "--calibration", folder / name, "--json") == 0
    found = told(capsys)
    assert found["calibration"]["backend"] == backend
    assert found["noisy"] is not None


# ------------------------------------------------------------------------------------------------ verify


def test_verify_prints_the_documented_form(folder, capsys):
    """Scripts read these keys; a consistent result is exit code 0."""
    assert run("verify", folder / "bell.qasm", "--counts", folder / "counts.json", "--json") == 0
    found = told(capsys)
    assert (found["verdict"], found["method"], found["shots"]) == ("consistent", "state vector", 1024)
    assert found["p_value"] > 0.05
    assert set(found["distance"]) == {"tvd", "floor", "excess"}
    assert isinstance(found["reason"], str)


@pytest.mark.parametrize(
    ("counts", "verdict", "code"),
    [
        ({"0x0": 255, "0x3": 257}, "consistent", 0),
        ({"00": 400, "11": 400, "01": 112, "10": 112}, "worse", 1),
        ({"00": 1, "11": 1}, "inconclusive", 0),
        ({}, "unverified", 0),
        ({"00": 0}, "unverified", 0),
        ({"counts": {"00": 510, "11": 514}}, "consistent", 0),
    ],
)
def test_each_verdict_has_its_exit_code(folder, capsys, counts, verdict, code):
    """A pipeline stops at worse, and with --strict at anything but consistent."""
    (folder / "measured.json").write_text(json.dumps(counts))
    assert run("verify", folder / "bell.qasm", "--counts", folder / "measured.json", "--json") == code
    assert told(capsys)["verdict"] == verdict
    strict = run("verify", folder / "bell.qasm", "--counts", folder / "measured.json", "--strict")
    assert strict == (0 if verdict == "consistent" else 1)
    assert capsys.readouterr().out.startswith(f"{verdict}: ")


def test_counts_are_compared_under_the_noise_of_the_calibration(folder, capsys):
    """What is worse than an ideal computer may be just what the device promised."""
    (folder / "measured.json").write_text('{"00": 4900, "01": 100, "10": 500, "11": 4500}')
    base = ("verify", folder / "bell.qasm", "--counts", folder / "measured.json", "--json")
    assert run(*base) == 1
    capsys.readouterr()
    assert run(*base, "--calibration", folder / "normalized.json") == 0
    assert told(capsys)["verdict"] == "consistent"


def test_a_margin_tolerates_a_known_distance(folder, capsys):
    """An operator who knows a device's usual distance does not want every result called worse."""
    (folder / "measured.json").write_text('{"00": 5300, "01": 120, "10": 480, "11": 4100}')
    base = ("verify", folder / "bell.qasm", "--counts", folder / "measured.json", "--calibration", folder / "normalized.json")
    assert run(*base, "--json") == 1
    capsys.readouterr()
    assert run(*base, "--margin", 0.05, "--json") == 0
    found = told(capsys)
    assert (found["verdict"], found["margin"]) == ("consistent", 0.05)


@pytest.mark.parametrize(
    ("order", "key"), [("clbits_right", "10 010"), ("clbits_left", "01001"), ("qubits_left", "11"), ("qubits_right", "5")]
)
def test_other_orders_of_bits_are_read_when_said(folder, capsys, order, key):
    """Clouds write bits left to right, right to left, by qubit or as a number; the wrong reading must not pass for noise."""
    # Bits 1 and 4 of five, of qubits 2 and 0: no order leaves the key unchanged.
    (folder / "one.qasm").write_text(
        'OPENQASM 2.0; include "qelib1.inc"; qreg q[3]; creg low[3]; creg high[2]; '
        "x q[0]; x q[2]; measure q[0] -> high[1]; measure q[2] -> low[1];"
    )
    (folder / "measured.json").write_text(json.dumps({key: 1000}))
    assert run("verify", folder / "one.qasm", "--counts", folder / "measured.json", "--order", order, "--json") == 0, key
    assert told(capsys)["verdict"] == "consistent"


# --------------------------------------------------------------------------------------------- bad input

HOSTILE = {
    "deep": "OPENQASM 3.0; qubit q; rx(" + "(" * 5_000 + "1" + ")" * 5_000 + ") q;",
    "loop": "OPENQASM 3.0; qubit q; for int i in [0:1000000000] { x q; }",
    "wide": "OPENQASM 3.0; qubit[100000] q; bit c; c = measure q[0];",
    "unknown": 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; frobnicate q[0]; measure q[0] -> c[0];',
    "truncated": 'OPENQASM 3.0; include "stdgates.inc"; qubit[2] q; cx q[0], ',
    "empty": "",
    "binary": "QISKIT\x0c\x00\x00",
    "silent": 'OPENQASM 2.0; include "qelib1.inc"; qreg q[1]; creg c[1]; h q[0];',
}


@pytest.mark.parametrize("name", sorted(HOSTILE))
def test_hostile_circuits_get_a_bounded_answer(folder, capsys, name):
    """Whatever is handed in: an error that says where and what, in the documented form, and exit code 2."""
    (folder / "bad.qasm").write_text(HOSTILE[name])
    assert run("simulate", folder / "bad.qasm", "--json") == 2
    (error,) = told(capsys)["errors"]
    assert error["file"] == str(folder / "bad.qasm")
    assert error["code"] == "circuit.invalid"
    assert error["value"]
    assert error["hint"]
    assert len(json.dumps(error)) < 2_000


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ('{"000": 5}', "3 bits, not 2"),
        ('{"0x7": 5}', "more than 2 bits"),
        ('{"02": 5}', "is no key"),
        ('{"00": -1}', "the count"),
        ('{"00": 0.5, "11": 0.5}', "not whole"),
        ('{"00": "many"}', "the count"),
        ('{"00": 5, "00": 6}', "a key twice"),
        ("[1, 2]", "a JSON list"),
        ("{", "no JSON"),
        ("[" * 100_000, "no JSON"),
        ('{"00": 1e400}', "the count"),
    ],
)
def test_counts_that_do_not_fit_are_told(folder, capsys, body, why):
    """A verdict on counts of another circuit would be worth less than none."""
    (folder / "measured.json").write_text(body)
    assert run("verify", folder / "bell.qasm", "--counts", folder / "measured.json", "--json") == 2
    (error,) = told(capsys)["errors"]
    assert error["file"] == str(folder / "measured.json")
    assert why in error["value"], error


def test_counts_on_an_unmeasured_bit_do_not_fit(folder, capsys):
    """They were measured with another circuit, or are read in the wrong order."""
    (folder / "measured.json").write_text('{"11111": 10}')
    assert run("verify", folder / "crossed.qasm", "--counts", folder / "measured.json", "--json") == 2
    (error,) = told(capsys)["errors"]
    assert "the circuit measures nothing into that bit" in error["hint"]


@pytest.mark.parametrize(
    ("name", "body", "why"),
    [
        ("other.json", '{"quality_metric_set": 1}', "JSON with the keys 'quality_metric_set'"),
        ("text.txt", "T1: fine", "no calibration file"),
        ("broken.json", "{", "no JSON"),
        ("list.json", "[1, 2]", "a JSON list at the top"),
        ("naive.json", json.dumps({**NORMALIZED, "calibrated_at": "2026-01-01T00:00:00"}), "without a zone"),
        ("typed.json", json.dumps({**NORMALIZED, "qubits": 3}), "cannot be read"),
        ("ibm.json", '{"last_update_date": "yesterday"}', "cannot be read"),
        ("ionq.json", '{"fidelity": {"spam": 3}, "date": 0}', "cannot be read"),
    ],
)
def test_other_calibrations_are_refused_by_name(folder, capsys, name, body, why):
    """The answer lists what is recognised, so that the next try succeeds."""
    (folder / name).write_text(body)
    assert run("simulate", folder / "bell.qasm", "--calibration", folder / name, "--json") == 2
    (error,) = told(capsys)["errors"]
    assert why in error["value"], error
    assert error["code"] == "calibration.invalid"


def test_a_renamed_export_says_what_its_name_was_for(folder, capsys):
    """The file alone does not tell its backend or its time."""
    assert run("simulate", folder / "bell.qasm", "--calibration", folder / "export.csv", "--json") == 2
    assert "keep its name" in told(capsys)["errors"][0]["value"]


@pytest.mark.parametrize(
    "arguments",
    [
        ("simulate", "absent.qasm"),
        ("simulate", "bell.qasm", "--calibration", "absent.json"),
        ("verify", "bell.qasm", "--counts", "absent.json"),
        ("simulate", "bell.qasm", "--shots", "0"),
        ("simulate", "bell.qasm", "--shots", "-5"),
        ("simulate", "bell.qasm", "--seed", "-1"),
        ("simulate", "bell.qasm", "--max-qubits", "99"),
        ("verify", "bell.qasm", "--counts", "counts.json", "--margin", "-1"),
        ("verify", "bell.qasm", "--counts", "counts.json", "--margin", "nan"),
    ],
)
def test_what_cannot_run_is_exit_code_two(folder, capsys, monkeypatch, arguments):
    """In JSON as on the terminal, with the file or the option named."""
    monkeypatch.chdir(folder)
    assert run(*arguments, "--json") == 2
    (error,) = told(capsys)["errors"]
    assert "absent" in error["value"] or "--" in error["value"]
    assert run(*arguments) == 2
    assert capsys.readouterr().err


def wide(layers: int) -> str:
    """Forty qubits, all measured, with neighbours coupled again and again."""
    turned = "".join(f"ry(0.{place + 1}) q[{place}]; " for place in range(40))
    pairs = "".join(f"cz q[{place}], q[{place + 1}]; " for place in (*range(0, 39, 2), *range(1, 39, 2)))
    return f'OPENQASM 2.0; include "qelib1.inc"; qreg q[40]; creg c[40]; {(turned + pairs) * layers}{turned}measure q -> c;'


def test_a_circuit_beyond_all_methods_is_unverified_with_the_reason(folder, capsys):
    """Forty bits of one deep circuit: the answer is a reason, not an allocation."""
    (folder / "wide.qasm").write_text(wide(30))
    (folder / "measured.json").write_text(json.dumps({"0" * 40: 100}))
    assert run("verify", folder / "wide.qasm", "--counts", folder / "measured.json", "--json") == 0
    assert told(capsys)["verdict"] == "unverified"
    assert run("simulate", folder / "wide.qasm", "--json") == 1
    found = told(capsys)
    assert (found["ideal"], found["noisy"]) == (None, None)
    assert "40 measured bits" in found["unverified"]


def test_a_shallow_wide_circuit_is_told_in_groups_of_bits(folder, capsys):
    """Its whole distribution cannot be written; those of neighbours can."""
    (folder / "wide.qasm").write_text(wide(1))
    assert run("simulate", folder / "wide.qasm", "--json") == 0
    found = told(capsys)
    assert (found["ideal"], found["unverified"], len(found["marginals"])) == (None, None, 7)
    assert found["marginals"][0]["clbits"] == [0, 1, 2, 3, 4, 5]
    assert sum(found["marginals"][0]["ideal"].values()) == pytest.approx(1.0, abs=1e-6)
    assert all(len(key) == 6 for key in found["marginals"][0]["ideal"])
    assert run("simulate", folder / "wide.qasm") == 0
    assert "bits 0, 1, 2, 3, 4, 5: state vector" in capsys.readouterr().out


def test_the_commands_work_as_typed(folder):
    """In a process of its own: what a shell sees, standard output, standard error and exit code."""
    done = typed("verify", folder / "bell.qasm", "--counts", folder / "counts.json", "--json")
    assert (done.returncode, done.stderr) == (0, "")
    assert json.loads(done.stdout)["verdict"] == "consistent"
    (folder / "bad.qasm").write_text(HOSTILE["loop"])
    done = typed("simulate", folder / "bad.qasm")
    assert (done.returncode, done.stdout) == (2, "")
    assert "bad.qasm" in done.stderr
    assert "Traceback" not in done.stderr


def test_help_imports_neither_jax_nor_numpy():
    """The manual must answer at once, on every machine."""
    code = "import sys; from qobs.cli import main\ntry: main(['simulate', '--help'])\nexcept SystemExit: pass\n"
    code += "print(sorted({'jax', 'numpy', 'scipy', 'stim', 'qiskit', 'openqasm3'} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert done.stdout.splitlines()[-1] == "[]"
    assert "Example: qobs simulate" in done.stdout
