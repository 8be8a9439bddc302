"""All source types. Adding one is a module that exposes ``SOURCE_TYPE`` and a line here."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from qobs.sources.base import SourceType
from qobs.sources.quantum import azure, ibm, ionq

SOURCES: Mapping[str, SourceType] = MappingProxyType(
    {entry.type: entry for entry in (azure.SOURCE_TYPE, ibm.SOURCE_TYPE, ionq.SOURCE_TYPE)}
)
"""Source types by the ``type`` of a configured source."""
