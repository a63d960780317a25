from __future__ import annotations

import numpy as np
import pytest
import torch
from torch import nn

from bift_ros.learning.errors import ModelError
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE
from bift_ros.learning.models import (
    build_model,
    load_factory,
    read_parameters,
    spec_of,
    traffic_light_cnn,
    write_parameters,
)


def linear(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.Flatten(), nn.Linear(3 * 32 * 32, num_classes))


def batch_norm(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.BatchNorm2d(3), linear(num_classes))


def group_norm(num_classes: int) -> nn.Module:
    return nn.Sequential(nn.GroupNorm(3, 3), linear(num_classes))


def half_precision(num_classes: int) -> nn.Module:
    return linear(num_classes).half()


def wrong_output(num_classes: int) -> nn.Module:
    return linear(num_classes + 1)


def wrong_input(num_classes: int) -> nn.Module:
    return nn.Linear(7, num_classes)


def no_parameters(num_classes: int) -> nn.Module:
    return nn.Flatten()


def positional(classes: int) -> nn.Module:
    return linear(classes)


def not_a_module(num_classes: int) -> int:
    return num_classes


@pytest.fixture(autouse=True)
def importable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make this file importable by name, as a user's own module of networks is."""
    import sys

    module = type(sys)("bift_test_networks")
    vars(module).update({k: v for k, v in globals().items() if callable(v)})
    monkeypatch.setitem(sys.modules, "bift_test_networks", module)


def test_the_default_network_has_the_promised_size_and_shape() -> None:
    model = build_model(DEFAULT_ARCHITECTURE, 10, seed=1)
    assert 50_000 <= spec_of(model).size <= 200_000
    assert list(model.buffers()) == []
    assert model(torch.rand(4, 3, 32, 32)).shape == (4, 10)


def test_the_seed_alone_makes_the_parameters() -> None:
    first, second, third = (
        read_parameters(build_model(DEFAULT_ARCHITECTURE, 10, seed)) for seed in (1, 1, 2)
    )
    np.testing.assert_array_equal(first, second)
    assert not np.array_equal(first, third)


def test_parameters_survive_the_flat_vector() -> None:
    model = traffic_light_cnn()
    flat = np.random.default_rng(0).normal(size=spec_of(model).size).astype(np.float32)
    write_parameters(model, flat)
    np.testing.assert_array_equal(read_parameters(model), flat)
    offset = 0
    named = dict(model.named_parameters())
    for tensor in spec_of(model).tensors:
        expected = flat[offset : offset + tensor.size].reshape(tensor.shape)
        np.testing.assert_array_equal(named[tensor.name].detach().numpy(), expected)
        offset += tensor.size
    with pytest.raises(ModelError, match="parameters"):
        write_parameters(model, flat[:-1])


@pytest.mark.parametrize(
    ("factory", "reason"),
    [
        ("batch_norm", r"2 floating-point buffers \(0.running_mean, 0.running_var\).*GroupNorm"),
        ("half_precision", "float16, not float32"),
        ("wrong_output", r"gives \(2, 11\) for two crops, not \(2, 10\)"),
        ("wrong_input", "can't take crops"),
        ("no_parameters", "no parameters"),
        ("positional", "wrap it in a function"),
        ("not_a_module", "gave a int"),
    ],
)
def test_networks_that_cannot_be_federated_are_refused(factory: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        build_model(f"bift_test_networks:{factory}", 10)


def test_group_norm_is_welcome() -> None:
    assert spec_of(build_model("bift_test_networks:group_norm", 10)).size == 6 + 3072 * 10 + 10


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("traffic_light_cnn", "not of the form module:factory"),
        (":factory", "not of the form"),
        ("bift_ros.learning.nowhere:factory", "No module named"),
        ("bift_ros.learning.models:nothing", "has no attribute"),
        ("bift_ros.learning.models:CROP_SHAPE", "names a tuple"),
    ],
)
def test_a_bad_name_is_refused(name: str, reason: str) -> None:
    with pytest.raises(ModelError, match=reason):
        load_factory(name)


@pytest.mark.slow
def test_torchvision_networks_work_or_are_refused_clearly() -> None:
    pytest.importorskip("torchvision")
    model = build_model("torchvision.models:squeezenet1_1", 10)
    assert spec_of(model).size == 727_626
    with pytest.raises(ModelError, match=r"resnet18 keeps 40 floating-point buffers .*GroupNorm"):
        build_model("torchvision.models:resnet18", 10)
