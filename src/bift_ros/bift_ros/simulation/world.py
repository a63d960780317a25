"""What a simulated fleet is given: members, the small initial model, and how one trains."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from bift_ros.consensus.payloads import ProposeTask
from bift_ros.peer.config import PeerConfig
from bift_ros.pofl.codec import (
    MODEL_EXPONENT,
    UPDATE_EXPONENT,
    ModelSpec,
    TensorSpec,
    decode_model,
    encode_model,
    encode_update,
)
from bift_ros.pofl.files import parse_model, serialize_model, serialize_update
from bift_ros.simulation.consortium import Consortium
from bift_ros.simulation.scenario import Scenario

SPEC = ModelSpec((TensorSpec("bias", (8,)), TensorSpec("weight", (4, 8))))
TASK = "lights"
"""The name of the task that a run works on."""
INITIAL_MODEL = serialize_model(SPEC, encode_model(np.linspace(-1, 1, SPEC.size)), MODEL_EXPONENT)


@lru_cache(maxsize=8)
def world_of(scenario: Scenario) -> Consortium:
    """Make the members and the genesis of a scenario; the same for every seed."""
    return Consortium(
        scenario.vehicles,
        scenario.policy,
        chain="simulation",
        secret="simulated vehicle {}",
        newcomers=scenario.newcomers,
    )


def proposal_of(rule: str, init_cid: str, iterations: int, name: str) -> ProposeTask:
    """A task from the initial model's file."""
    return ProposeTask(
        name,
        init_cid,
        iterations,
        rule,
        PeerConfig().allowed_architectures[0],
        local_epochs=1,
        batch_size=10,
        learning_rate=0.01,
        optimizer="adam",
    )


def train(model_file: bytes, member: int, iteration: int, *seed: int) -> bytes:
    """A vehicle's update of 40 parameters: the same for the same arguments."""
    spec, model, exponent = parse_model(model_file)
    noise = np.random.default_rng([member, iteration, *seed]).normal(0.1, 0.02, spec.size)
    update = encode_update(decode_model(model, exponent) + noise, model, UPDATE_EXPONENT, exponent)
    return serialize_update(spec, update, UPDATE_EXPONENT)
