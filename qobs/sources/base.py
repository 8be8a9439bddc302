"""The contract of a source: two steps, fetch (touches the network) and normalize (pure).

A source is one module in ``sources/quantum`` (or ``orchestrators``, ``ops``), one line in :mod:`qobs.sources.registry`
and one fixture folder ``tests/fixtures/<type>/``. The engine around it owns timing, retries, success, logging and
isolation: a source never measures itself, never sleeps, never logs, never catches what it cannot mend.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

from qobs.model import Ask, Batch, Job, Raw, Stream
from qobs.result import Execution
from qobs.secret import Secret


@dataclass(frozen=True, slots=True)
class Answer:
    """One complete HTTP answer: the body is inflated, within limits, and arrived whole."""

    status: int
    headers: Mapping[str, str]
    """Names in lower case."""
    body: bytes
    url: str
    """Scheme, host and path of the request; the query is left out because it may hold secrets."""


class Http(Protocol):
    """The only way a source reaches the network: deadlines, retries, limits and the host guard live behind it."""

    async def get(
        self,
        url: str,
        *,
        endpoint: str,
        headers: Mapping[str, str] | None = None,
        params: Sequence[tuple[str, str]] = (),
        accept: frozenset[int] = frozenset({200}),
    ) -> Answer:
        """GET with retries. ``endpoint`` is the route's template, a bounded label (``/jobs/{id}``), never the URL.

        Raises:
            Unreachable, Refused, Unavailable, BadPayload: any status outside ``accept``, mapped by status; 404 is
                ``Refused`` with reason ``not_found`` unless accepted.
        """
        ...

    async def post_form(
        self,
        url: str,
        *,
        endpoint: str,
        form: Mapping[str, str],
        headers: Mapping[str, str] | None = None,
        accept: frozenset[int] = frozenset({200}),
    ) -> Answer:
        """POST a form, never retried on its own: token exchanges only. Raises as :meth:`get`."""
        ...


class Source(Protocol):
    """One account of one provider."""

    @property
    def provider(self) -> str:
        """The ``provider`` label, e.g. ``ibm``."""
        ...

    @property
    def account(self) -> str:
        """Identity of the account within the provider: part of every job's key."""
        ...

    @property
    def streams(self) -> frozenset[Stream]:
        """The streams this provider has; the engine schedules exactly these."""
        ...

    def fetch(self, http: Http, ask: Ask) -> AsyncIterator[Raw]:
        """Yield untouched answers, oldest or newest first, the last page of a listing with ``last=True``.

        Raises:
            SourceError: the provider could not be read; pages already yielded stand, the watermark does not move.
        """
        ...

    def normalize(self, raw: Raw) -> Batch:
        """Translate one answer into records: pure, total over states, never raises for one bad record.

        Raises:
            BadPayload: the answer as a whole is not what the contract says (HTML, empty, wrong top-level type).
        """
        ...


@runtime_checkable
class ResultSource(Protocol):
    """A source that can also tell what a finished job ran and measured: asked for chosen jobs, never for all."""

    async def fetch_result(self, http: Http, job: Job) -> Raw:
        """The untouched answers about one finished job: its circuits and its counts, as companions of one another.

        Raises:
            SourceError: the provider could not be read; ``not_found`` where it keeps neither.
        """
        ...

    def execution(self, raw: Raw, job: Job) -> Execution:
        """Circuits and counts in the provider's own words: pure; ``missing`` says why there are none.

        Raises:
            BadPayload: the answer is not what the contract says.
        """
        ...


@dataclass(frozen=True, slots=True)
class Settings:
    """What configuration hands to a source's factory.

    ``credentials`` maps a key of ``SourceType.credentials`` to a reader, so that a rotated secret is seen on the next
    call. ``options`` are the source's own keys, already checked against ``SourceType.options``.
    """

    name: str
    type: str
    credentials: Mapping[str, Callable[[], Secret]] = field(default_factory=dict)
    options: Mapping[str, Any] = field(default_factory=dict)
    labels: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Option:
    """One configuration key of a source type: drives validation, the JSON Schema and the docs."""

    name: str
    help: str
    kind: type = str
    required: bool = False
    default: Any = None
    choices: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class SourceType:
    """One registration carries everything about a source type.

    ``hosts`` are the provider's own hosts (exact, or ``*.suffix``) that requests may go to beside an explicitly
    configured ``url``. ``credentials`` are sets of credential keys of which exactly one must be given in full.
    """

    type: str
    title: str
    build: Callable[[Settings], Source]
    hosts: tuple[str, ...]
    options: tuple[Option, ...] = ()
    credentials: tuple[frozenset[str], ...] = ()
    poll_seconds: Mapping[Stream, float] = field(default_factory=dict)
    consistency_seconds: float = 0.0
    """The provider's documented lag between a change and its listing; the overlap is at least twice this."""
    retried: frozenset[int] = frozenset()
    """Statuses of a GET that may pass by themselves at this provider, beside those that may at any."""
