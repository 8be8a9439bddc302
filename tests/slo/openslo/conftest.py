"""Documents that several tests load."""

from __future__ import annotations

import pytest

SLO = """\
apiVersion: openslo/v1
kind: SLO
metadata:
  name: jobs
  annotations: {annotations}
spec:
  service: cloud
  indicator:
    metadata: {{name: success}}
    spec:
      ratioMetric:
        counter: true
        good: {{metricSource: {{type: qobs, spec: {{sli: job_success, events: good}}}}}}
        total: {{metricSource: {{type: qobs, spec: {{sli: job_success, events: all}}}}}}
  timeWindow: [{window}]
  budgetingMethod: Occurrences
  objectives:
    - {{target: {target}}}
"""

POLICY = """\
  alertPolicies:
    - kind: AlertPolicy
      metadata: {name: burns}
      spec:
        alertWhenBreaching: true
        conditions:
          - kind: AlertCondition
            metadata: {name: fast}
            spec:
              severity: critical
              condition: {kind: burnrate, op: gt, threshold: 10, lookbackWindow: 1h}
        notificationTargets:
          - kind: AlertNotificationTarget
            metadata: {name: on-call}
            spec: {target: pager}
"""


class Documents:
    """Makes right documents, each different in what its test is about."""

    policy = POLICY

    def slo(
        self,
        *,
        target: str = "0.99",
        period: str = "30d",
        window: str = "",
        annotations: str = "{}",
        policies: str = "",
        edits: tuple[tuple[str, str], ...] = (),
    ) -> str:
        """An SLO on native job success; ``edits`` replace text that must be there."""
        text = SLO.format(target=target, window=window or f"{{duration: {period}, isRolling: true}}", annotations=annotations)
        text += policies
        for old, new in edits:
            assert old in text, old
            text = text.replace(old, new)
        return text


@pytest.fixture
def documents() -> Documents:
    """A maker of documents."""
    return Documents()
