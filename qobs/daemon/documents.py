"""OpenSLO documents on disk: those that the configuration names, or the catalogue that comes with qobs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from qobs.config import Config
from qobs.errors import ConfigError, Finding
from qobs.slo.openslo import Loaded, load_objectives

SUFFIXES = (".yaml", ".yml", ".json")
CATALOGUE = Path(__file__).parents[1] / "catalogue"
"""The default objectives."""


def slo_paths(config: Config) -> tuple[Path, ...]:
    """Files and folders of the objectives in force."""
    return (CATALOGUE,) if config.slo is None else config.slo


def documents(paths: Sequence[Path]) -> list[tuple[str, str]]:
    """File names and texts; a folder stands for its documents, sorted by name.

    Raises:
        OSError: a file cannot be read, or there is none.
    """
    files: list[Path] = []
    for path in paths:
        files += sorted(each for each in path.rglob("*") if each.suffix in SUFFIXES) if path.is_dir() else [path]
    if paths and not files:
        raise FileNotFoundError(2, "no OpenSLO document (.yaml, .yml, .json) in", ", ".join(map(str, paths)))
    return [(str(path), path.read_text(encoding="utf-8", errors="replace")) for path in files]


def load_configured(config: Config) -> Loaded:
    """The objectives that the configuration names.

    Raises:
        ConfigError: a document cannot be read or is not usable; all findings at once.
    """
    try:
        read = documents(slo_paths(config))
    except OSError as error:
        found = f"{error.filename}: {error.strerror}" if error.filename else str(error)
        finding = Finding(config.file, "slo", found, "name readable OpenSLO files or folders", "config.unreadable")
        raise ConfigError((finding,)) from None
    return load_objectives(read) if read else Loaded(objectives=(), warnings=(), objects=())
