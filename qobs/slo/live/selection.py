"""Which series an indicator of an objective selects."""

from __future__ import annotations

import re
from collections.abc import Callable

from qobs.model import Series
from qobs.slo.objective import NativeSource

Test = Callable[[str], object]


class Selection:
    """A native source, ready to be asked series by series.

    A label matches where its value is one of those given, or matches the one ``~regex`` as a whole.
    """

    def __init__(self, source: NativeSource) -> None:
        """Compile what is to be compiled.

        Raises:
            ValueError: A regex cannot be compiled.
        """
        self.sli = source.sli
        self._tests = tuple((label, _test(label, allowed)) for label, allowed in sorted(source.where.items()))

    def matches(self, series: Series) -> bool:
        """Whether events of the series are counted. A label that a series does not have is as if it were empty."""
        return series.sli == self.sli and all(test(getattr(series, label, "")) for label, test in self._tests)


def matches(source: NativeSource, series: Series) -> bool:
    """Whether ``source`` counts a series; for many questions keep a :class:`Selection`.

    Example:
        >>> ibm = NativeSource(sli="job_success", where={"backend": ("~ibm_.*",)})
        >>> [matches(ibm, Series("job_success", "p", "s", backend)) for backend in ("ibm_fez", "old_ibm_fez")]
        [True, False]
    """
    return Selection(source).matches(series)


def _test(label: str, allowed: tuple[str, ...]) -> Test:
    if len(allowed) == 1 and allowed[0].startswith("~"):
        try:
            return re.compile(allowed[0][1:]).fullmatch
        except re.error as error:
            raise ValueError(f"`where` must hold regular expressions, but {label}={allowed[0]!r}: {error}.") from error
    return frozenset(allowed).__contains__
