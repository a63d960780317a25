"""Convolutions under `vmap` on the CPU: one oneDNN call a vehicle.

`vmap` makes one grouped convolution of all vehicles', which costs copies into its order of channels
and leaves every later layer in an order that is slow on the CPU. With a call for each vehicle, in
channels-last order as in `train_local`, a step of `traffic_light_cnn` for ten vehicles took 1.4 ms
of CPU time a vehicle instead of 1.7 (the loop: 1.4 in the same minutes). Patches and
matrix products took 1.7 to 2.0; calls for each vehicle's group norm and pooling gained nothing.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import torch
from torch.overrides import TorchFunctionMode


class ConvolutionsOneByOne(TorchFunctionMode):
    """Inside this context, `vmap` runs `torch.conv2d` for one row after another."""

    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Iterable[type],
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Take over the form of the call that `nn.Conv2d` makes; pass on everything else."""
        if func is torch.conv2d and not kwargs:
            return _Conv2d.apply(*args)
        return func(*args, **(kwargs or {}))


class _Conv2d(torch.autograd.Function):
    """`torch.conv2d` with a rule of its own for `vmap`, which autograd sees through."""

    @staticmethod
    def forward(*args: Any) -> torch.Tensor:
        return torch.conv2d(*args)

    @staticmethod
    def setup_context(ctx: Any, inputs: tuple[Any, ...], output: torch.Tensor) -> None:
        """Save nothing: no gradient flows through `forward` itself."""

    @staticmethod
    def vmap(info: Any, in_dims: tuple[Any, ...], *args: Any) -> tuple[torch.Tensor, int]:
        columns = [
            # unbind's backward is one stack; that of indexing would be a zeroed copy for each row.
            argument.unbind(dim) if isinstance(dim, int) else [argument] * info.batch_size
            for argument, dim in zip(args, in_dims, strict=True)
        ]
        rows = [torch.conv2d(*row).movedim(-3, -1) for row in zip(*columns, strict=True)]
        return torch.stack(rows).movedim(-1, -3), 0
