"""What a rule makes a model of: one iteration's updates, and what is worked out of them once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
import numpy.typing as npt

from bift_ros.pofl.codec import Int16Array, Int32Array
from bift_ros.pofl.columns import Blocking
from bift_ros.pofl.distances import distances_of, gram_matrix
from bift_ros.pofl.krum import multi_krum_selection
from bift_ros.pofl.robust import Weighting, robust_weighting


@dataclass(frozen=True)
class Round:
    """One iteration's updates in canonical order, and the numbers that rules share."""

    global_model: Int32Array
    """int32[d]: what the updates were trained from."""
    rows: Sequence[Int16Array]
    """n updates, int16[d] each; ties between updates go to the earlier one."""
    sample_counts: Sequence[int]
    """n claimed sample counts."""
    byzantine: int
    """f, the number of updates assumed hostile."""
    shift: int
    """The model's exponent less the updates'."""
    blocking: Blocking = field(default_factory=Blocking)

    @cached_property
    def gram(self) -> npt.NDArray[np.int64]:
        """Inner products int64[n, n], computed once where a rule or the rewards ask."""
        return gram_matrix(self.rows, self.blocking)

    @cached_property
    def distances(self) -> npt.NDArray[np.int64]:
        """Squared distances int64[n, n]."""
        return distances_of(self.gram)

    @cached_property
    def multi_krum(self) -> list[int]:
        """The indices of multi-Krum's n − f updates."""
        return multi_krum_selection(self.distances, self.byzantine)

    @cached_property
    def weighting(self) -> Weighting:
        """What `robust` makes of the updates."""
        return robust_weighting(self.gram, self.byzantine)

    def selected(self, indices: Sequence[int]) -> list[Int16Array]:
        """Some of the updates."""
        return [self.rows[i] for i in indices]
