"""The project around the code: starts fast, installs by hash, packages what it needs, builds a careful image, says the truth."""

from __future__ import annotations

import importlib.util
import json
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import qobs

ROOT = Path(__file__).parents[1]
DOCKERFILE = (ROOT / "Dockerfile").read_text()
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())


def python(*arguments: str, timeout: float = 60) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, *arguments], capture_output=True, text=True, timeout=timeout, cwd=ROOT, check=False)


# ------------------------------------------------------------------------------------------------------- start


def test_help_imports_nothing_heavy() -> None:
    """`qobs --help` must answer at once, and a daemon without the simulator must stay small."""
    done = python("-X", "importtime", "-m", "qobs", "--help")
    assert done.returncode == 0, done.stderr
    assert "usage: qobs" in done.stdout
    modules = {
        line.rsplit("|", 1)[1].strip().split(".")[0] for line in done.stderr.splitlines() if line.startswith("import time:")
    }
    assert "argparse" in modules
    assert modules.isdisjoint(
        {"jax", "jaxlib", "sqlite_utils", "sqlite3", "aiohttp", "asyncio", "yaml", "msgspec", "prometheus_client"}
    )


def test_the_whole_daemon_never_imports_jax_or_the_lab() -> None:
    """The simulator's packages are an extra; emulated clouds are for the demo."""
    code = "import sys, json, qobs.daemon, qobs.cli, qobs.sources.registry; print(json.dumps(sorted(sys.modules)))"
    done = python("-c", code)
    assert done.returncode == 0, done.stderr
    loaded = set(json.loads(done.stdout))
    assert loaded.isdisjoint({"jax", "jaxlib", "opentelemetry"})
    assert not [name for name in loaded if name.startswith("qobs.lab")]


@pytest.mark.parametrize("command", ["demo", "run", "check", "store"])
def test_every_command_explains_itself_with_an_example(command: str) -> None:
    """The manual is `--help`."""
    done = python("-m", "qobs", command, "--help")
    assert done.returncode == 0, done.stderr
    assert command == "store" or "Example: qobs" in done.stdout


# ----------------------------------------------------------------------------------------------------- packages


@pytest.mark.parametrize("name", ["build", "dev", "lock", "run"])
def test_every_package_is_pinned_and_hashed(name: str) -> None:
    """An install must give the same bytes everywhere, or nothing."""
    text = (ROOT / "requirements" / f"{name}.txt").read_text().replace("\\\n", " ")
    lines = [line for line in text.splitlines() if line and not line.lstrip().startswith("#")]
    assert lines
    for line in lines:
        assert re.match(r"^[a-z0-9][a-z0-9.-]*==[^ ]+ ", line), line
        assert "--hash=sha256:" in line, line
    assert not re.search(r"https?://|--index-url|--find-links|file:|(?:^|\s)/\w", text)


def required(requirements: list[str]) -> set[str]:
    return {re.split(r"[<>=!~;\[ ]", requirement)[0].lower() for requirement in requirements}


def locked(name: str) -> dict[str, set[str]]:
    found: dict[str, set[str]] = {}
    for package, version in re.findall(
        r"^([a-z0-9.-]+)==([^ ;\\]+)", (ROOT / "requirements" / f"{name}.txt").read_text(), re.MULTILINE
    ):
        found.setdefault(package, set()).add(version)
    return found


def test_the_locks_hold_what_the_project_asks_for() -> None:
    """A dependency that is declared and not locked would fail on the first machine that installs by hash."""
    project, groups = PROJECT["project"], PROJECT["dependency-groups"]
    run, dev = locked("run"), locked("dev")
    assert required(project["dependencies"]) <= run.keys()
    assert required([entry for entry in groups["dev"] if isinstance(entry, str)]) | required(groups["build"]) <= dev.keys()
    assert {package: dev[package] for package in run} == run, "development and production must run the same versions"
    assert required(PROJECT["build-system"]["requires"]) <= locked("build").keys()


def test_the_daemon_needs_no_extra() -> None:
    """OpenTelemetry is for those who ask for it; what verdicts on results are computed with comes along."""
    assert {"jax", "numpy", "scipy", "stim"} <= locked("run").keys()
    assert not {"qiskit", "qiskit-aer", "opentelemetry-sdk"} & locked("run").keys()
    assert required(PROJECT["project"]["optional-dependencies"]["otlp"]) == {"opentelemetry-sdk", "opentelemetry-exporter-otlp"}


def test_versions_are_declared_for_every_supported_python() -> None:
    """3.11 to 3.14."""
    classifiers = PROJECT["project"]["classifiers"]
    assert PROJECT["project"]["requires-python"] == ">=3.11"
    assert [f"Programming Language :: Python :: 3.{minor}" in classifiers for minor in (11, 12, 13, 14)] == [True] * 4


def test_the_wheel_holds_code_types_and_data(tmp_path: Path) -> None:
    """What is missing from the wheel is missing for everybody who did not clone the repository."""
    copy = tmp_path / "src"
    copy.mkdir()
    tracked = ["pyproject.toml", "README.md", "LICENSE", "NOTICE"]
    for name in tracked:
        (copy / name).write_bytes((ROOT / name).read_bytes())
    (copy / "qobs").symlink_to(ROOT / "qobs")
    code = (
        "import setuptools.build_meta as b, sys, warnings; warnings.simplefilter('ignore'); "
        "print('WHEEL=' + b.build_wheel(sys.argv[1]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code, str(tmp_path)], capture_output=True, text=True, timeout=300, cwd=copy, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    import zipfile

    with zipfile.ZipFile(tmp_path / done.stdout.split("WHEEL=")[1].strip()) as wheel:
        names = set(wheel.namelist())
    package = ROOT / "qobs"
    wanted = [path for path in package.rglob("*") if path.is_file() and "__pycache__" not in path.parts]
    missing = [path.relative_to(ROOT).as_posix() for path in wanted if path.relative_to(ROOT).as_posix() not in names]
    assert missing == []
    assert "qobs/py.typed" in names
    assert any(name.endswith("entry_points.txt") for name in names)
    assert {name.rsplit("/", 1)[-1] for name in names} >= {"LICENSE", "NOTICE"}


# --------------------------------------------------------------------------------------------------------- image


def instructions() -> list[tuple[str, str]]:
    lines = re.sub(r"\\\n", " ", re.sub(r"^#.*\n", "", DOCKERFILE, flags=re.MULTILINE)).splitlines()
    return [(word, rest) for word, _, rest in (line.strip().partition(" ") for line in lines if line.strip())]


def final_stage() -> list[tuple[str, str]]:
    steps = instructions()
    last = max(index for index, (word, _) in enumerate(steps) if word == "FROM")
    return steps[last:]


def test_the_image_runs_as_a_numeric_user_that_is_not_root() -> None:
    """Kubernetes can only prove `runAsNonRoot` for a number."""
    users = [rest for word, rest in final_stage() if word == "USER"]
    assert users
    assert re.fullmatch(r"[1-9][0-9]{3,}:[1-9][0-9]{3,}", users[-1])


def test_the_image_is_built_in_stages_and_installs_by_hash() -> None:
    """No compiler, no source build and no package without its hash reaches the last stage."""
    assert [word for word, _ in instructions()].count("FROM") == 2
    assert [word for word, _ in final_stage() if word == "RUN"] == []
    installs = [step for step in re.findall(r"pip install[^&]*", DOCKERFILE) if "/dist/" not in step]
    assert installs
    assert all("--require-hashes" in step and "--only-binary :all:" in step for step in installs)
    assert not re.search(r"gcc|build-essential|apt-get", DOCKERFILE)


def test_the_image_names_its_base_and_no_latest() -> None:
    """`latest` is another image every week."""
    bases = re.findall(r"(?:^FROM|BASE=)\s*([a-z][^\s]*)", DOCKERFILE, re.MULTILINE)
    assert bases
    assert all(":" in base and not base.endswith(":latest") for base in bases)


def test_the_image_is_checked_writable_in_one_place_and_stops_in_order() -> None:
    """It runs with a read-only root file system; its health is asked of /livez without a shell or curl."""
    steps = dict(final_stage())
    assert steps["VOLUME"] == "/var/lib/qobs"
    assert "/livez" in steps["HEALTHCHECK"]
    assert '["python"' in steps["HEALTHCHECK"]
    assert steps["ENTRYPOINT"] == '["qobs"]'
    assert steps["STOPSIGNAL"] == "SIGTERM"
    assert "sqlite:///var/lib/qobs/" in steps["ENV"]


def test_what_the_image_copies_is_let_through_by_dockerignore() -> None:
    """An allow-list keeps secrets and histories out; it must not keep the program out."""
    allowed = {line[1:].rstrip("/") for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    sources = [word for step, rest in instructions() if step == "COPY" and "--from" not in rest for word in rest.split()[:-1]]
    assert sources
    assert [source for source in sources if source.rstrip("/") not in allowed] == []
    assert all((ROOT / source).exists() for source in sources)


# --------------------------------------------------------------------------------------------------------- words


def test_the_changelog_knows_this_version() -> None:
    """Whoever upgrades reads what changes."""
    assert re.search(rf"^## \[{re.escape(qobs.__version__)}\]", (ROOT / "CHANGELOG.md").read_text(), re.MULTILINE)


def test_the_readme_lists_every_metric() -> None:
    """The table of metrics is drawn from the one in code."""
    if importlib.util.find_spec("qobs.export.metrics") is None:
        pytest.skip("the metrics table is not there yet")
    from qobs.export import metrics

    block = (ROOT / "README.md").read_text().split("<!-- metrics:begin -->\n")[1].split("<!-- metrics:end -->")[0]
    assert block.strip() == metrics.markdown_table().strip()


def test_the_example_configuration_is_valid(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """The file that people start from must load, with every secret where it says."""
    from qobs.config import load
    from qobs.sources.registry import SOURCES

    path = tmp_path / "qobs.yaml"
    text = (ROOT / "deploy" / "qobs.yaml").read_text()
    for secret in set(re.findall(r"file: (/\S+?)[},\s]", text)):
        file = tmp_path / Path(secret).name
        file.write_text("x")
        text = text.replace(secret, str(file))
    path.write_text(text)
    environ = dict.fromkeys(re.findall(r"env: (\w+)", text), "x")
    config = load(path, SOURCES, environ=environ)
    assert {source.type for source in config.sources} == set(SOURCES)
    assert config.warnings == ()


def test_links_between_documents_lead_somewhere() -> None:
    """A dead link is a question that nobody answers."""
    dead = []
    for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]:
        for target in re.findall(r"\]\(([^)#\s]+)(?:#[^)]*)?\)", document.read_text()):
            if "://" not in target and not (document.parent / target).exists():
                dead.append(f"{document.name}: {target}")
    assert dead == []


def test_files_named_in_the_documents_exist() -> None:
    """Whoever adds a provider follows these names."""
    gone = [
        f"{document.name}: {name}"
        for document in [*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")]
        for name in re.findall(r"`((?:qobs|tests|benchmarks|requirements|deploy)/[\w./*-]*)", document.read_text())
        if not list(ROOT.glob(name.rstrip("/").removesuffix("/.")))
    ]
    assert gone == []


def test_every_make_target_of_the_documents_exists() -> None:
    """Two commands are promised; they and the others must be there."""
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text(), re.MULTILINE))
    for document in ("README.md", "CONTRIBUTING.md", "docs/performance.md"):
        for target in re.findall(r"`make ([a-z]+)", (ROOT / document).read_text()):
            assert target in targets, f"{document}: make {target}"
