"""Reads a workspace with Microsoft's own client, unmodified, and prints what it saw as one line of JSON.

Run in an environment that holds ``requirements.txt``:
``python client.py BASE_URL API_KEY TOKEN SUBSCRIPTION GROUP WORKSPACE JOB_ID``.
"""

from __future__ import annotations

import json
import sys
from datetime import UTC, datetime, timedelta
from typing import Any

from azure.core.credentials import AccessToken, AzureKeyCredential
from azure.core.exceptions import ClientAuthenticationError, ResourceNotFoundError
from azure.quantum import Workspace
from azure.quantum._client import WorkspaceClient

TODAY = datetime(2026, 3, 2, tzinfo=UTC)


def word(value: Any) -> str:
    """The wire's word of an enumeration, whether or not the client knows it."""
    return str(getattr(value, "value", value))


def job_row(details: Any) -> dict[str, Any]:
    """What the client understood of one job."""
    return {
        "status": word(details.status),
        "target": details.target,
        "provider": details.provider_id,
        "name": details.name,
        "created": details.creation_time.isoformat(),
        "began": details.begin_execution_time.isoformat() if details.begin_execution_time else None,
        "ended": details.end_execution_time.isoformat() if details.end_execution_time else None,
        "error": details.error_data.code if details.error_data else None,
        "cost": details.cost_estimate.estimated_total if details.cost_estimate else None,
        "shots": details.input_params["shots"],
    }


def low_level(url: str, key: str, place: list[str], job_id: str) -> dict[str, Any]:
    """The generated client, with an access key."""
    services = WorkspaceClient(endpoint=url, credential=AzureKeyCredential(key)).services
    return {
        "jobs": {details.id: job_row(details) for details in services.jobs.list(*place)},
        "job": job_row(services.jobs.get(*place, job_id)),
        "providers": {
            target.id: [provider.id, word(target.current_availability), target.average_queue_time]
            for provider in services.providers.list(*place)
            for target in provider.targets
        },
        "quotas": [[q.dimension, word(q.scope), q.provider_id, q.utilization, q.limit] for q in services.quotas.list(*place)],
        "sessions": {
            session.id: [word(session.status), session.end_execution_time is None] for session in services.sessions.listv2(*place)
        },
    }


def errors(url: str, place: list[str]) -> dict[str, Any]:
    """How the client reports a wrong key, and a job that there is not."""
    seen = {}
    try:
        list(WorkspaceClient(endpoint=url, credential=AzureKeyCredential("wrong")).services.quotas.list(*place))
    except ClientAuthenticationError as error:
        seen["wrong_key"] = error.status_code
    return seen


def bearer(url: str, place: list[str], token: str) -> int:
    """The generated client with a bearer token (it insists on https unless told otherwise): how many quotas it reads."""

    class Given:
        def get_token(self, *scopes: str, **options: Any) -> AccessToken:
            return AccessToken(token, int((datetime.now(UTC) + timedelta(hours=1)).timestamp()))

    client = WorkspaceClient(endpoint=url, credential=Given())
    return len(list(client.services.quotas.list(*place, enforce_https=False)))


def public(url: str, key: str, place: list[str], job_id: str) -> dict[str, Any]:
    """The class that users have in their programs."""
    workspace = Workspace(
        subscription_id=place[0],
        resource_group=place[1],
        name=place[2],
        location="eastus",
        credential=AzureKeyCredential(key),
        _quantum_endpoint=url,
        _from_connection_string=True,
        _mgmt_client=object(),
    )
    job = workspace.get_job(job_id)
    try:
        workspace.get_job("00000000-0000-0000-0000-00000000dead")
        missing = "found"
    except ResourceNotFoundError as error:
        missing = error.error.code if error.error else "without a code"
    return {
        "listed": len(workspace.list_jobs()),
        "newest": [job.id for job in workspace.list_jobs_paginated(orderby_property="CreationTime", is_asc=False)],
        "failed": sorted(job.id for job in workspace.list_jobs(status=["Failed"], provider=["ionq", "rigetti"])),
        "named": sorted(job.id for job in workspace.list_jobs(name_match="vqe", target=["ionq.simulator"])),
        # Both bounds in one call come out of client 3.13.0 without the "and" between them: one at a time.
        "today": len(workspace.list_jobs(created_after=TODAY)),
        "until_tomorrow": len(workspace.list_jobs(created_before=TODAY + timedelta(days=1))),
        "tomorrow": len(workspace.list_jobs(created_after=TODAY + timedelta(days=1))),
        "finished": job.has_completed(),
        "status": word(job.details.status),
        "missing": missing,
        "targets": sorted(target.name for target in workspace.get_targets()),
        "quotas": len(workspace.get_quotas()),
        "sessions": {session.id: session.details.name for session in workspace.list_sessions()},
        "session_jobs": {session.id: len(workspace.list_session_jobs(session.id)) for session in workspace.list_sessions()},
        "items": len(workspace.list_top_level_items()),
    }


def main(url: str, key: str, token: str, *place_and_job: str) -> None:
    """Print the answer."""
    *place, job_id = place_and_job
    answer = {
        "low": low_level(url, key, place, job_id),
        "public": public(url, key, place, job_id),
        "errors": errors(url, place),
        "bearer": bearer(url, place, token),
    }
    print(json.dumps(answer))


if __name__ == "__main__":
    main(*sys.argv[1:])
