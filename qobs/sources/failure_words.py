"""The providers' failure codes and the words that tell a failure's class: the tables behind :mod:`qobs.sources.failure`.

Sources: IBM's error-code registry, the ``failure.code`` enumeration of IonQ's API v0.4, and ``errorData.code`` values
recorded from Azure Quantum workspaces.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from types import MappingProxyType

from qobs.model import FailureClass

_USER, _SDK, _AUTH, _NETWORK = FailureClass.USER, FailureClass.SDK, FailureClass.AUTH, FailureClass.NETWORK
_QUEUE, _PROVIDER, _HARDWARE = FailureClass.QUEUE, FailureClass.PROVIDER, FailureClass.HARDWARE

_IBM: Mapping[str, FailureClass] = MappingProxyType(
    {
        "1000": _USER,
        "1002": _USER,
        "1003": _SDK,
        "1004": _PROVIDER,
        "1007": _USER,
        "1200": _AUTH,
        "1201": _AUTH,
        "1202": _QUEUE,
        "1305": _USER,
    }
)
IBM_RANGES: Mapping[str, FailureClass] = MappingProxyType(
    {"1": _USER, "5": _SDK, "6": _SDK, "7": _PROVIDER, "8": _PROVIDER, "9": _PROVIDER}
)
"""By the first of four digits: 1XXX user and API, 5XXX-9XXX compile, runtime and internal classes."""

_IONQ: Mapping[str, FailureClass] = MappingProxyType(
    {
        "invalidinput": _USER,
        "compilationerror": _SDK,
        "contractexpirederror": _AUTH,
        "debiasingerror": _PROVIDER,
        "internalerror": _PROVIDER,
        "notenoughqubits": _USER,
        "optimizationerror": _SDK,
        "preflighterror": _USER,
        "quantumcircuitcomplexityerror": _USER,
        "quantumcomputererror": _HARDWARE,
        "quotaexhaustederror": _QUEUE,
        "simulationerror": _PROVIDER,
        "simulationtimeout": _PROVIDER,
        "systemcancel": _PROVIDER,
        "toolongpredictedexecutiontime": _USER,
        "toomanycontrols": _USER,
        "toomanygates": _USER,
        "toomanyshots": _USER,
        "unknownbillingerror": _PROVIDER,
        "unsupportedgate": _USER,
    }
)

_AZURE: Mapping[str, FailureClass] = MappingProxyType(
    {
        "invalidinputdata": _USER,
        "invalidinputerror": _USER,
        "invalidjobdefinition": _USER,
        "propertynotspecified": _USER,
        "cannottranslateinputdata": _SDK,
        "cannottranslateoutputdata": _PROVIDER,
        "insufficientresources": _QUEUE,
        "quotaexceeded": _QUEUE,
        "authorizationfailed": _AUTH,
        "quantinuum1001": _USER,
    }
)
"""``RuntimeError`` and other wide codes are left to the message."""

TABLES: Mapping[str, Mapping[str, FailureClass]] = MappingProxyType({"ibm": _IBM, "ionq": _IONQ, "azure": _AZURE})
"""Codes by provider, in lower case with letters and digits only."""


def _rules(*rules: tuple[FailureClass, tuple[str, ...]]) -> tuple[tuple[re.Pattern[str], FailureClass], ...]:
    return tuple((re.compile("|".join(words)), kind) for kind, words in rules)


CODE_WORDS = _rules(
    (_AUTH, ("unauthori[sz]ed", "forbidden", "authenticat", "authori[sz]ation", "credential", "accessdenied", "permission")),
    (_QUEUE, ("quota", "ratelimit", "throttl", "toomanyrequests", "insufficientcapacity", "queuefull", "queuetimeout")),
    (_SDK, ("compil", "transpil", "translat", "optimi[sz]ation", "parse", "syntax", "serialization")),
    (_HARDWARE, ("quantumcomputer", "hardware", "qpu", "calibration", "device(?:error|failure|fault)")),
    (_NETWORK, ("network", "connection", "dns", "gateway")),
    (
        _USER,
        (
            "invalid",
            "notenoughqubits",
            "toomany",
            "toolong",
            "unsupported",
            "validation",
            "badrequest",
            "notspecified",
            "preflight",
        ),
    ),
    (_PROVIDER, ("internal", "system", "service", "server", "simulation", "unavailable", "backend")),
)
"""Searched in a code (lower case, letters and digits only), in this order."""

MESSAGE_WORDS = _rules(
    (
        _AUTH,
        (
            r"\bunauthori[sz]ed\b",
            r"\bauthenticat",
            r"access denied|permission denied|\bforbidden\b",
            r"\bapi key\b|\bcredentials?\b",
            r"(?:token|contract) (?:has )?expired",
        ),
    ),
    (
        _QUEUE,
        (
            r"\bquota\b",
            r"rate.?limit|too many requests|throttl",
            r"queue (?:is )?full|job limit",
            r"exceeds? .{0,40}(?:allocation|usage limit|credits)",
            r"insufficient (?:credits|funds|hqc)",
        ),
    ),
    (_USER, (r"max(?:imum)? execution time|time limit of|ran (?:too long|longer)",)),
    (
        _SDK,
        (
            r"transpil|\bcompil(?:e|er|ation|ing)\b|decompos",
            r"\bqir\b.{0,60}(?:invalid|fail|error)",
            r"serializ|syntax error|pars(?:e|ing) error",
            r"version mismatch|unsupported (?:qasm|qir|sdk|client) version",
            r"module not found|no module named",
        ),
    ),
    (
        _HARDWARE,
        (
            r"\bcalibrat|\bhardware\b|quantum computer error|machine (?:error|fault)",
            r"\bqpu\b.{0,40}(?:fault|error|fail|offline)",
            r"\bfridge\b|cryostat|\blaser\b|ion loss|control electronics",
        ),
    ),
    (
        _NETWORK,
        (
            r"connection (?:reset|refused|aborted|timed out|error)|broken pipe",
            r"\bdns\b|name resolution|\bnetwork\b",
            r"bad gateway|gateway time-?out|\bssl\b|\btls\b|\bcertificate\b",
        ),
    ),
    (
        _USER,
        (
            r"\binvalid\b|\bmalformed\b|not (?:a )?(?:supported|valid|allowed)|\bunsupported\b|must (?:be|have|not)",
            r"too (?:many (?:shots|gates|qubits|circuits|parameters|controls)|large)|out of (?:range|bounds)|not enough qubits",
            r"exceeds? (?:the )?(?:max|number|limit)|requires? (?:at least|fewer|more)",
            r"missing (?:required|parameter|input)|not specified|instruction .{0,60} not|basis gates",
            r"division by zero|\b(?:name|type|value|key|index|attribute)error\b|\btraceback\b",
        ),
    ),
    (
        _PROVIDER,
        (
            r"internal (?:server )?(?:error|failure)|server error|unexpected error|system cancel",
            r"(?:service|temporarily) unavailable|\bmaintenance\b|backend (?:is )?(?:down|offline|unavailable)",
            r"out of memory|\boom\b|timed? ?out",
        ),
    ),
)
"""Searched in a message (lower case), in this order: the first rule that matches decides."""
