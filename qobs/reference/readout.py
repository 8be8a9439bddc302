"""What a measurement tells instead of the truth: an asymmetric bit flip on each measured bit.

Source:
    The confusion matrix is stochastic by columns, ``A[told, true]``; one 2x2 pass for each measured bit, O(k 2^k) in all.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray


class ReadoutError(NamedTuple):
    """Probabilities that a measurement tells the other value, given the state that was prepared.

    ``symmetric``: the provider tells one figure, which stands for both directions.
    """

    one_given_zero: float
    zero_given_one: float
    symmetric: bool = False

    @property
    def error(self) -> float:
        """The mean of both directions: the assignment error of an evenly prepared qubit."""
        return (self.one_given_zero + self.zero_given_one) / 2

    def matrix(self) -> NDArray[np.float64]:
        """``A[told, true]``, shape (2, 2): columns sum to one.

        Example:
            >>> ReadoutError(0.1, 0.3).matrix().tolist()
            [[0.9, 0.3], [0.1, 0.7]]
        """
        import numpy as np

        one, zero = self.one_given_zero, self.zero_given_one
        return np.array([[1 - one, zero], [one, 1 - zero]])
