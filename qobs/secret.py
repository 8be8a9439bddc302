"""A value that does not print: every way to show it gives ``***``, and only :meth:`Secret.reveal` gives it away."""

from __future__ import annotations

from typing import Any, NoReturn


class Secret:
    """A credential. ``repr``, ``str``, ``format`` and JSON give ``***``; pickling and copying to text are refused.

    Example:
        >>> key = Secret("hunter2")
        >>> f"{key} {key!r} {key.reveal()}"
        '*** Secret(***) hunter2'
    """

    __slots__ = ("_value",)

    def __init__(self, value: str) -> None:
        """Wrap ``value``; an empty secret is a configuration error of the caller."""
        self._value = value

    def reveal(self) -> str:
        """The value itself: call it at the edge of the request, keep it in no variable."""
        return self._value

    def __repr__(self) -> str:
        """Never the value."""
        return "Secret(***)"

    def __str__(self) -> str:
        """Never the value."""
        return "***"

    def __format__(self, spec: str) -> str:
        """Never the value, whatever the format."""
        return "***"

    def __eq__(self, other: object) -> bool:
        """Equal to another secret of the same value; never to a plain string."""
        return isinstance(other, Secret) and other._value == self._value

    def __hash__(self) -> int:
        """Hash of the value, for caches keyed by credential."""
        return hash(("qobs.Secret", self._value))

    def __reduce__(self) -> NoReturn:
        """Refuse to be pickled or deep-copied into something that could be stored.

        Raises:
            TypeError: always.
        """
        raise TypeError("a Secret cannot be pickled")

    def __bool__(self) -> bool:
        """True when there is a value."""
        return bool(self._value)

    def __iter__(self) -> Any:
        """Refuse to be taken apart.

        Raises:
            TypeError: always.
        """
        raise TypeError("a Secret cannot be iterated")
