"""Objectives that are evaluated while they happen: from buckets, kept up to date, in event time."""

from qobs.slo.live.live import Live
from qobs.slo.live.reader import BucketReader, LiveEvaluation
from qobs.slo.live.selection import matches

__all__ = ["BucketReader", "Live", "LiveEvaluation", "matches"]
