"""`./bift node submit-model`: have the fleet learn a model, from new parameters or a file's."""

from __future__ import annotations

import argparse
import re
import sys
import tempfile
import time
from contextlib import closing
from pathlib import Path
from typing import Any

from bift_ros.chain.encryption import KeyUnavailable
from bift_ros.chain.keyring import Keyring
from bift_ros.chain.store import ChainStore
from bift_ros.consensus.fields import NAME
from bift_ros.consensus.payloads import ProposeTask
from bift_ros.console.defence import rule_for
from bift_ros.console.errors import CommandError
from bift_ros.console.output import show
from bift_ros.console.own_vehicle import OwnVehicle, ask_vehicle, own_vehicle
from bift_ros.console.read_chain import state_of
from bift_ros.console.vehicles import asking, submit
from bift_ros.learning.client import TrainingWorker
from bift_ros.learning.errors import LearningError
from bift_ros.learning.initial_model import initial_model
from bift_ros.learning.jobs import DEFAULT_ARCHITECTURE, InitJob
from bift_ros.nodes.client.vehicle_client import VehicleClient
from bift_ros.peer.owner_requests import OwnerRequest

_KEY_POLL_SECONDS = 0.5
_FACTORY = re.compile(r"[\w.]+:\w+")


def main(arguments: argparse.Namespace) -> None:
    """Make the model's file, have the vehicle serve it, and propose the task."""
    vehicle = own_vehicle(arguments.data)
    task = arguments.task or _usual_name(arguments.model)
    if not NAME.fullmatch(task):
        raise CommandError(
            f"{task!r:.80} is no task's name: give --task with lower-case letters, digits, '_' and "
            "'-', at most 64"
        )
    with asking(), VehicleClient(vehicle.name, arguments.wait) as client:
        client.state()  # who is not there should not let anybody wait for torch
        model, architecture = _model(arguments)
        cid = _serve(vehicle, _as_stored(vehicle, model, arguments.wait), arguments.wait)
        proposal = _proposal(arguments, vehicle, task, architecture, cid)
        state = client.state(vehicle.key.address)
        transaction = submit(client, vehicle.name, vehicle.key, state, proposal, "task")
    if architecture != DEFAULT_ARCHITECTURE:
        print(
            f"bift: vehicles train it whose parameter allowed_architectures lists {architecture}",
            file=sys.stderr,
        )
    said = {"id": transaction.hash.hex(), "task": task, "cid": cid, "rule": proposal.rule}
    document = {**said, "architecture": architecture, "total_iter": proposal.total_iter}
    show(arguments.json, document, transaction.hash.hex())


def _usual_name(model: str) -> str:
    """A task's name where nobody gives one: that of the factory or file."""
    name = model.rpartition(":")[2] if _FACTORY.fullmatch(model) else Path(model).stem
    return re.sub(r"[^a-z0-9_-]", "-", name.lower())[:64]


def _model(arguments: argparse.Namespace) -> tuple[bytes, str]:
    """The model's file and its architecture. Raises CommandError."""
    file, architecture = Path(arguments.model), arguments.architecture
    is_file = file.is_file()
    if not is_file:
        if not _FACTORY.fullmatch(arguments.model):
            raise CommandError(
                f"{arguments.model} is neither a file nor of the form MODULE:FACTORY"
            )
        architecture = arguments.model
    try:
        with TrainingWorker(device="cpu", allowed_architectures=(architecture,)) as worker:
            made = worker.submit(InitJob(arguments.seed, architecture)).result().model
        return (initial_model(file.read_bytes(), made) if is_file else made), architecture
    except LearningError as error:
        raise CommandError(f"{file}: {error}" if is_file else str(error)) from error
    except OSError as error:
        raise CommandError(str(error)) from error


def _as_stored(vehicle: OwnVehicle, model: bytes, seconds: float) -> bytes:
    """The file that the fleet exchanges: encrypted, where its genesis says so.

    A fleet that has just begun may need some seconds to agree on a key.
    """
    if not vehicle.genesis.policy.encrypt_models:
        return model
    keyring = Keyring(vehicle.key, vehicle.genesis.hash)
    deadline = time.monotonic() + seconds
    with closing(ChainStore(vehicle.folders.chain, vehicle.genesis, read_only=True)) as store:
        while True:
            try:
                return keyring.encrypt(state_of(vehicle.genesis, store), model)
            except KeyUnavailable as error:
                if time.monotonic() >= deadline:
                    raise CommandError(f"{error}: does anybody mine?") from error
            time.sleep(_KEY_POLL_SECONDS)


def _serve(vehicle: OwnVehicle, model: bytes, seconds: float) -> str:
    """Have the vehicle keep a model and serve it to the fleet; its CID."""
    # In the vehicle's own folder, which it can read whoever runs this.
    with tempfile.TemporaryDirectory(dir=vehicle.folders.root, prefix="model-") as folder:
        file = Path(folder, "model.safetensors").absolute()
        file.write_bytes(model)
        return ask_vehicle(vehicle, OwnerRequest("share", str(file)), seconds, "Sharing the model")


def _proposal(
    arguments: argparse.Namespace, vehicle: OwnVehicle, task: str, architecture: str, cid: str
) -> ProposeTask:
    """What is proposed; what the options leave out is as in the vehicle's settings."""

    def chosen(name: str) -> Any:
        given = getattr(arguments, name)
        return vehicle.settings[f"task.{name}"] if given is None else given

    return ProposeTask(
        model_id=task,
        init_cid=cid,
        total_iter=arguments.iterations,
        rule=arguments.rule or rule_for(arguments.defend, vehicle.genesis.policy.rule),
        architecture=architecture,
        local_epochs=chosen("local_epochs"),
        batch_size=chosen("batch_size"),
        learning_rate=chosen("learning_rate"),
        optimizer=chosen("optimizer"),
    )
