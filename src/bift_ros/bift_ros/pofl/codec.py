"""The fixed-point codec: between a model's floats and the integers that consensus adds.

A value ``v`` at exponent ``e`` is stored as the integer nearest to ``v * 2**e``.

- The global model is int32 at ``2**-20`` by default: it spans ±2048 with steps of about 1e-6.
- An update is int16 at ``2**-14`` by default: it spans ±2 with steps of about 6e-5.

One update step is 64 model steps, so the mean of up to 64 updates keeps all it has.

Rounding here is half to even (IEEE 754's default); values outside the range saturate. Both happen
on the vehicle that trained, in IEEE double precision, before anything is hashed: what consensus
sees are integers.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property

import numpy as np
import numpy.typing as npt

UPDATE_EXPONENT = 14
"""Default scale of an update: one step is 2**-14."""

MODEL_EXPONENT = 20
"""Default scale of a global model: one step is 2**-20."""

MAX_EXPONENT = 30
"""The finest scale that a file or a task may name."""

Int16Array = npt.NDArray[np.int16]
Int32Array = npt.NDArray[np.int32]
FloatArray = npt.NDArray[np.floating]


class NonFiniteError(ValueError):
    """A tensor holds NaN or infinity, which fixed point can't say."""


class NonFiniteModel(NonFiniteError):  # noqa: N818 - read as a statement
    """A model to be encoded holds NaN or infinity."""


class NonFiniteUpdate(NonFiniteError):  # noqa: N818 - read as a statement
    """Training diverged: the trained model holds NaN or infinity."""


@dataclass(frozen=True)
class TensorSpec:
    """The name and shape of one of a model's tensors.

    Raises ValueError where the name can't be a safetensors key or a dimension is under 1.
    """

    name: str
    """Non-empty and valid Unicode, for example ``conv1.weight``."""
    shape: tuple[int, ...]
    """Every dimension at least 1; () is a scalar."""

    def __post_init__(self) -> None:
        if not self.name or self.name == "__metadata__":
            raise ValueError(f"a tensor can't be named {self.name!r}")
        if any("\ud800" <= letter <= "\udfff" for letter in self.name):
            raise ValueError(f"tensor name {self.name!r} is not valid Unicode")
        if any(type(side) is not int or side < 1 for side in self.shape):
            raise ValueError(f"tensor {self.name!r} has shape {self.shape}: every side must be ≥ 1")

    @property
    def size(self) -> int:
        """The number of parameters in the tensor."""
        return math.prod(self.shape)


@dataclass(frozen=True)
class ModelSpec:
    """What a flat parameter vector means: its tensors one after another, each in C order.

    Raises ValueError where the tensors aren't sorted by name, or two share a name, or none is
    there: one model has one spec, hence one file.
    """

    tensors: tuple[TensorSpec, ...]
    """Sorted by name (code points); names are unique."""

    def __post_init__(self) -> None:
        names = [tensor.name for tensor in self.tensors]
        if not names:
            raise ValueError("a model needs at least one tensor")
        if names != sorted(set(names)):
            raise ValueError("a model's tensors must be sorted by name, each name once")

    @cached_property
    def size(self) -> int:
        """The number of parameters d, the length of a flat vector."""
        return sum(tensor.size for tensor in self.tensors)


def encode_model(values: FloatArray, exponent: int = MODEL_EXPONENT) -> Int32Array:
    """Flat float parameters [d] → int32[d] at ``2**-exponent``, saturating.

    Raises NonFiniteModel.
    """
    if not np.isfinite(values).all():
        raise NonFiniteModel("the model holds NaN or infinity")
    return _round(values.astype(np.float64) * 2.0**exponent, np.iinfo(np.int32)).astype(np.int32)


def decode_model(model: Int32Array, exponent: int = MODEL_EXPONENT) -> npt.NDArray[np.float32]:
    """A global model int32[d] → float32[d], each the float nearest to the exact value."""
    return (model * 2.0**-exponent).astype(np.float32)  # int32 × float is an exact double


def encode_update(
    local: FloatArray,
    global_model: Int32Array,
    update_exponent: int = UPDATE_EXPONENT,
    model_exponent: int = MODEL_EXPONENT,
) -> Int16Array:
    """``local − global``, clipped and rounded: int16[d] at ``2**-update_exponent``.

    ``local`` holds the trained parameters, float[d]; ``global_model`` is what they were trained
    from, at ``2**-model_exponent``.

    Raises NonFiniteUpdate, and ValueError where the lengths differ.
    """
    if local.shape != global_model.shape or local.ndim != 1:
        raise ValueError(
            f"trained model {local.shape} and global model {global_model.shape} differ"
        )
    if not np.isfinite(local).all():
        count = int(np.count_nonzero(~np.isfinite(local)))
        raise NonFiniteUpdate(
            f"training diverged: {count} of {local.size} parameters are NaN or infinite; "
            "nothing is published (a lower learning rate may help)"
        )
    difference = local.astype(np.float64) * 2.0**update_exponent
    difference -= global_model * 2.0 ** (update_exponent - model_exponent)
    return _round(difference, np.iinfo(np.int16)).astype(np.int16)


def _round(scaled: npt.NDArray[np.float64], limits: np.iinfo) -> npt.NDArray[np.float64]:
    """Round half to even, then saturate; in place."""
    np.rint(scaled, out=scaled)
    return np.clip(scaled, limits.min, limits.max, out=scaled)
