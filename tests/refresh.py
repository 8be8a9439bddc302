"""Write the tables of the documentation again from the code: ``python -m tests.refresh``. The tests only compare."""

from __future__ import annotations

from pathlib import Path

ROOT = Path(__file__).parents[1]


def replace_block(document: Path, name: str, text: str) -> None:
    """Put ``text`` between the markers of ``name``."""
    begin, end = f"<!-- {name}:begin -->\n", f"<!-- {name}:end -->"
    before, rest = document.read_text().split(begin)
    document.write_text(before + begin + text.strip() + "\n" + end + rest.split(end, 1)[1])


def main() -> None:
    """Refresh all of them."""
    from qobs.config import markdown_table
    from qobs.export import metrics
    from qobs.sources.registry import SOURCES

    replace_block(ROOT / "README.md", "metrics", metrics.markdown_table())
    replace_block(ROOT / "docs" / "configuration.md", "keys", markdown_table(SOURCES))


if __name__ == "__main__":
    main()
