"""Which texts are PromQL, as the real Prometheus says where it is installed."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from qobs.slo.openslo.promql import fault

PROMTOOL = shutil.which("promtool")

RIGHT = (
    "up",
    "1 + 2 * -3",
    "sum(rate(jobs_total[5m]))",
    'sum by (backend) (rate(jobs_total{outcome=~"bad|lost",source!="x"}[5m])) / on (backend) group_left sum(jobs)',
    "sum(rate(x[5m])) without (a, b)",
    "histogram_quantile(0.9, sum(rate(x_bucket[5m])) by (le))",
    "max_over_time(rate(x[5m])[1h:30s])",
    "max_over_time(x[1h:])",
    "x offset 5m",
    "x offset -5m",
    "x @ 1700000000",
    "x @ end()",
    "a and on (b) c unless d or e",
    "a > bool 1",
    '{__name__=~"job:.*"}',
    "time()",
    "vector(1)",
    "1e3 > bool 0x1F",
    "x{a='b',}",
    "-x ^ 2",
    "(x)",
    "count_values('v', x)",
    "sum(rate(x[1h30m])) # a comment",
    "x{a=`raw`}",
    "absent(up{job='x'})",
    "x == Inf or x != NaN",
)
WRONG = (
    "",
    "sum(rate(x[5m])",
    "x{a=b}",
    "x{a~'b'}",
    "x[5]y",
    "x +",
    "* x",
    "x y",
    "sum by rate(x[5m])",
    "x{a='b}",
    "x[5q]",
    "x offset",
    "x)",
    "x @ y",
    "a && b",
    "x[5m",
    "by (a)",
    "f(,)",
)


@pytest.mark.parametrize("query", RIGHT)
def test_a_right_query_is_read(query: str) -> None:
    """A right query that is refused stops a whole catalogue."""
    assert fault(query) is None


@pytest.mark.parametrize("query", WRONG)
def test_a_wrong_query_is_told(query: str) -> None:
    """A wrong query that passes becomes a rule file that Prometheus refuses as a whole."""
    assert fault(query)


@pytest.mark.skipif(PROMTOOL is None, reason="promtool is not installed")
def test_prometheus_agrees_on_every_query(tmp_path: Path) -> None:
    """These lists are only worth something if the real parser draws the same line."""
    assert PROMTOOL is not None
    verdicts = {}
    for index, query in enumerate((*RIGHT, *WRONG)):
        path = tmp_path / f"{index}.yaml"
        path.write_text(yaml.safe_dump({"groups": [{"name": "g", "rules": [{"record": "r", "expr": query}]}]}))
        verdicts[query] = (
            subprocess.run([PROMTOOL, "check", "rules", str(path)], capture_output=True, check=False).returncode == 0
        )
    assert verdicts == {query: query in RIGHT for query in (*RIGHT, *WRONG)}
