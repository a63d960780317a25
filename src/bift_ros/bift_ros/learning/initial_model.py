"""A task's first global model from a file: fixed point, or floats as PyTorch users save them."""

from __future__ import annotations

import numpy as np
from safetensors import SafetensorError
from safetensors.numpy import load

from bift_ros.learning.errors import ModelError
from bift_ros.pofl.codec import (
    MODEL_EXPONENT,
    ModelSpec,
    NonFiniteError,
    TensorSpec,
    encode_model,
)
from bift_ros.pofl.files import ModelFileError, parse_model, serialize_model


def initial_model(data: bytes, like: bytes) -> bytes:
    """The global model's file (`pofl.files.serialize_model`) that a file's bytes stand for.

    `data` is such a file already, or safetensors of floats, as `safetensors.torch.save_file` writes
    a network's parameters. `like` is a model file of the same architecture. Raises ModelError.
    """
    spec, _, _ = parse_model(like)
    try:
        found, _, _ = parse_model(data)
    except ModelFileError:
        data = _from_floats(data)
        found, _, _ = parse_model(data)
    if found != spec:
        raise ModelError(_difference(found, spec))
    return data


def _from_floats(data: bytes) -> bytes:
    try:
        tensors = dict(sorted(load(data).items()))
    except (SafetensorError, ValueError, KeyError) as error:
        raise ModelError(
            f"no safetensors file ({error}); write one with safetensors.torch.save_file("
            "dict(model.named_parameters()), FILE): pickled checkpoints are not opened"
        ) from error
    for name, tensor in tensors.items():
        if tensor.dtype.kind != "f":
            raise ModelError(f"the tensor {name} is {tensor.dtype}, not floats")
    try:
        spec = ModelSpec(tuple(TensorSpec(n, tuple(map(int, t.shape))) for n, t in tensors.items()))
        flat = np.concatenate([tensor.reshape(-1) for tensor in tensors.values()])
        return serialize_model(spec, encode_model(flat), MODEL_EXPONENT)
    except (NonFiniteError, ValueError) as error:
        raise ModelError(str(error)) from error


def _difference(found: ModelSpec, wanted: ModelSpec) -> str:
    """Say where a file does not fit an architecture."""
    have = {tensor.name: tensor.shape for tensor in found.tensors}
    need = {tensor.name: tensor.shape for tensor in wanted.tensors}
    parts = [f"lacks {name}" for name in sorted(set(need) - set(have))]
    parts += [f"has {name} besides" for name in sorted(set(have) - set(need))]
    both = sorted(set(have) & set(need))
    parts += [f"{n} is {have[n]}, not {need[n]}" for n in both if have[n] != need[n]]
    return f"the file does not fit the architecture: {'; '.join(parts[:3])}"
