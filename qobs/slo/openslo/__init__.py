"""OpenSLO documents in, objectives out.

What is honoured, which annotations choose among readings, and every error's code are in docs/openslo.md.
"""

from qobs.slo.openslo.checks import rate_findings
from qobs.slo.openslo.load import Loaded, Object, load_objectives
from qobs.slo.openslo.profile import default_pairs, derived_factor
from qobs.slo.openslo.sources import NATIVE_LABELS, NATIVE_SLIS

__all__ = [
    "NATIVE_LABELS",
    "NATIVE_SLIS",
    "Loaded",
    "Object",
    "default_pairs",
    "derived_factor",
    "load_objectives",
    "rate_findings",
]
