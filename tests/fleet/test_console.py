"""The console against running vehicles: real processes, real DDS, real training."""

from __future__ import annotations

import csv
import io
import json
import os
import signal
import subprocess
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from pathlib import Path
from typing import Any

import pytest
from safetensors.torch import save_file

pytest.importorskip("rclpy", reason="needs ROS 2: run `make setup`")
pytest.importorskip("bift_msgs", reason="needs the built messages: run `make setup`")

from bift_ros.console.main import main
from bift_ros.learning.models import build_model
from bift_ros.monitoring.status import Statuses
from bift_ros.nodes.observer.monitor import FleetMonitor
from bift_ros.perception.classes import CLASSES

pytestmark = [pytest.mark.ros, pytest.mark.slow]

DEADLINE = 180.0
MINERS, OTHERS = ("car", "bus"), ("van",)
NAMES = (*MINERS, *OTHERS)
CNN = "bift_ros.learning.models:traffic_light_cnn"


class Console:
    """`bift` with one keystore, among vehicles that run."""

    def __init__(self, surroundings: Any, folder: Path) -> None:
        self._surroundings, self.folder = surroundings, folder
        self.passphrase = folder / "passphrase"
        self.passphrase.write_text("correct horse\n")
        self.store = ("--keystore", folder / "keys", "--passphrase-file", self.passphrase)
        self.monitor = FleetMonitor()

    def command(self, *words: object) -> list[str]:
        command: list[str] = self._surroundings.command(*words)
        return command

    def fails(self, *words: object) -> str:
        code, _, errors = self._bift(*words)
        assert code == 2, errors
        return errors

    def run(self, *words: object) -> str:
        code, printed, errors = self._bift(*words)
        assert code == 0, errors
        return printed

    def _bift(self, *words: object) -> tuple[int, str, str]:
        """Run a command in this process, which has the vehicles' ROS domain and saves imports."""
        out, err = io.StringIO(), io.StringIO()
        with redirect_stdout(out), redirect_stderr(err):
            code = main([str(word) for word in words])
        return code, out.getvalue(), err.getvalue()

    def json(self, *words: object) -> Any:
        return json.loads(self.run(*words, "--json"))

    def reach(self, condition: Callable[[dict[str, Any]], bool]) -> None:
        def all_speak(vehicles: Statuses) -> bool:
            return all(vehicles.get(name) for name in NAMES) and condition(vehicles)

        assert self.monitor.wait(all_speak, DEADLINE), self.monitor.vehicles

    @contextmanager
    def vehicle(self, name: str, *words: object) -> Iterator[subprocess.Popen[bytes]]:
        """A vehicle that runs, and ends as by Ctrl-C."""
        with (self.folder / f"{name}.log").open("wb") as log:
            process = self.start(*words, stdout=log, stderr=subprocess.STDOUT)
        try:
            yield process
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(60)

    def start(self, *words: object, **pipes: Any) -> subprocess.Popen[Any]:
        return subprocess.Popen(
            self.command(*words),
            env=os.environ | self._surroundings.environment,
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
            **pipes,
        )


@pytest.fixture
def console(surroundings: Any, bags: Path, tmp_path: Path) -> Iterator[Console]:
    """Two miners and another vehicle, whose keys are one keystore's accounts."""
    console = Console(surroundings, tmp_path)
    members: list[object] = []
    for name in NAMES:
        made = console.json("account", "create", name, *console.store)
        members += ["--member", f"{name}={made['public_key']}"]
    genesis = tmp_path / "genesis.json"
    # Two of three make a model: only then may the third still be reading its camera.
    console.run("genesis", "create", genesis, *members, "--update-wait", 2, "--encrypt-models")

    def options(number: int, name: str) -> tuple[object, ...]:
        return (
            "--genesis", genesis, "--key", name, *console.store, "--data", tmp_path / name,
            "--bag", bags / f"vehicle_{number:02d}", "--device", "cpu",
        )  # fmt: skip

    processes = []
    try:
        with (
            console.vehicle("car", "miner", "start", *options(0, "car")) as car,
            console.vehicle("bus", "miner", "start", *options(1, "bus")) as bus,
            console.vehicle("van", "node", "run", *options(2, "van")) as van,
        ):
            processes = [car, bus, van]
            console.reach(
                lambda all_: all(v.dataset.samples and v.chain.peers == 2 for v in all_.values())
            )
            console.reach(lambda all_: all(v.state != "collecting" for v in all_.values()))
            yield console
    finally:
        console.monitor.close()
    assert [process.returncode for process in processes] == [0, 0, 0]
    assert surroundings.left_over() == []


@pytest.mark.timeout(900)
def test_the_console_runs_a_fleet(console: Console) -> None:
    a_task_is_submitted_and_watched(console)
    stake_is_given(console)
    mining_stops_and_starts(console)
    the_chain_is_read(console)
    a_file_is_submitted(console)
    a_hijacked_task_is_cancelled(console)


def a_task_is_submitted_and_watched(console: Console) -> None:
    car = console.folder / "car"
    with console.start(
        "system", "show", "--watch", "--json", "--vehicle", "van", stdout=subprocess.PIPE
    ) as watch:
        try:
            submitted = console.json(
                "node", "submit-model", CNN, "--iterations", 2, "--local-epochs", 1,
                "--task", "lights", "--no-defend", "--data", car, "--wait", 60,
            )  # fmt: skip
            assert submitted["rule"] == "fedavg"
            statuses = (json.loads(line) for line in watch.stdout or ())
            seen = next(s for s in statuses if s["current_iter"] == 2)
        finally:
            watch.send_signal(signal.SIGINT)
            watch.communicate(timeout=60)
    assert watch.returncode == 0
    assert (seen["name"], seen["model_id"], seen["mines"]) == ("van", "lights", False)

    (task,) = console.json("task", "list", "--vehicle", "bus")["tasks"]
    assert (task["model_id"], task["state"], task["proposer"]) == ("lights", "done", "car")
    shown = console.json("task", "show", "lights", "--vehicle", "van")
    assert shown["init_cid"] == submitted["cid"]
    assert [i["rule"] for i in shown["iterations"]] == ["fedavg", "fedavg"]
    assert set(shown["iterations"][0]["contributors"]) <= set(NAMES)
    proposal = console.json("tx", "show", submitted["id"], "--data", car, "--genesis",
                            console.folder / "genesis.json")  # fmt: skip
    assert (proposal["kind"], proposal["state"]) == ("propose_task", "included")


def stake_is_given(console: Console) -> None:
    console.reach(lambda all_: len({v.chain.tip for v in all_.values()}) == 1)
    before = {name: s.chain.balance for name, s in console.monitor.vehicles.items()}
    giver = next(name for name in NAMES if before[name] >= 20)
    taker = next(name for name in NAMES if name != giver)
    sent = console.json("tx", "transfer", taker, 5, "--key", giver, *console.store)
    assert sent["from"] == console.json("account", "show", giver, *console.store[:2])["address"]
    console.reach(lambda all_: all_[taker].chain.balance == before[taker] + 5)
    shown = console.json("tx", "show", sent["id"], "--vehicle", taker)
    assert (shown["state"], shown["sender_name"]) == ("included", giver)
    assert shown["payload"] == {"recipient": sent["to"], "amount": 5}
    said = console.fails("tx", "transfer", "tram", 5, "--key", giver, *console.store)
    assert "nobody is called 'tram'" in said
    assert "car, bus, van" in said
    said = console.fails("tx", "transfer", taker, 5000, "--key", giver, *console.store)
    assert "wants to give 5000" in said


def mining_stops_and_starts(console: Console) -> None:
    stopped = console.json("miner", "stop", "--on", "car", "--wait", 15, *console.store)
    console.reach(lambda all_: not all_["car"].mines and all_["bus"].mines)
    assert stopped["mining"] == ["bus"]
    everybody = console.json("miner", "stop", "--wait", 15, *console.store)
    assert everybody["mining"] == []
    console.reach(lambda all_: not any(v.mines for v in all_.values()))
    giver = max(NAMES, key=lambda name: console.monitor.vehicles[name].chain.balance)
    taker = next(name for name in NAMES if name != giver)
    sent = console.json("tx", "transfer", taker, 1, "--key", giver, *console.store)
    # It waits wherever it is heard of, for nobody takes it into a block.
    console.reach(lambda all_: all(v.chain.mempool == 1 for v in all_.values()))
    assert console.json("tx", "show", sent["id"], "--vehicle", "van")["state"] == "waiting"
    console.run("miner", "start", "--on", "bus", *console.store)
    console.reach(lambda all_: all(v.chain.mempool == 0 for v in all_.values()))
    assert console.json("tx", "show", sent["id"], "--vehicle", "van")["state"] == "included"

    other = console.folder / "other.pem"
    console.run("account", "create", other, "--no-passphrase")
    assert "only its owner" in console.fails("miner", "stop", "--on", "bus", "--key", other)
    assert "not heard: tram" in console.fails("miner", "stop", "--on", "tram", "--wait", 10)


def the_chain_is_read(console: Console) -> None:
    exported = json.loads(console.run("chain", "export", "--vehicle", "bus"))
    assert set(exported["members"].values()) == set(NAMES)
    rows = list(csv.DictReader(io.StringIO(
        console.run("chain", "export", "--vehicle", "van", "--format", "csv")
    )))  # fmt: skip
    assert [row["hash"] for row in rows] == [block["hash"] for block in exported["blocks"]]
    assert [row["iteration"] for row in rows if row["iteration"]] == ["1", "2"]
    graph = console.run("chain", "export", "--format", "dot")
    assert graph.count("->") == len(rows)
    live = console.json("chain", "show", "--vehicle", "car")
    stored = console.json("chain", "show", "--data", console.folder / "car", "--genesis",
                          console.folder / "genesis.json")  # fmt: skip
    assert live["blocks"] == stored["blocks"]
    assert len(live["blocks"]) == len(rows)
    silent = console.fails("chain", "show", "--vehicle", "tram", "--wait", 1)
    assert "tram does not answer" in silent


def a_file_is_submitted(console: Console) -> None:
    """A network that a person has saved goes on to be learnt in a second task."""
    model = console.folder / "Model 2.safetensors"
    save_file(dict(build_model(CNN, len(CLASSES), seed=7).named_parameters()), model)
    options = ("--iterations", 1, "--local-epochs", 1, "--data", console.folder / "bus")
    used = console.fails("node", "submit-model", model, "--task", "lights", *options)
    assert "give another with --task" in used
    second = console.json("node", "submit-model", model, *options, "--wait", 60)
    assert (second["task"], second["rule"]) == ("model-2", "robust")
    console.reach(lambda all_: all(
        (v.task.model_id, v.task.current_iter) == ("model-2", 1) for v in all_.values()
    ))  # fmt: skip
    verified = console.json("chain", "verify", "--data", console.folder / "bus", "--genesis",
                            console.folder / "genesis.json")  # fmt: skip
    assert (verified["valid"], verified["model_blocks"]) == (True, 3)


def a_hijacked_task_is_cancelled(console: Console) -> None:
    """Two of three members end a task that a third has proposed for good; another one learns."""
    options = ("--local-epochs", 1, "--data", console.folder / "van", "--wait", 60)
    submit = ("node", "submit-model", CNN, *options)
    said = console.fails(*submit, "--task", "endless", "--iterations", 10_001)
    assert "10001 iterations, the policy allows 10000" in said
    console.run(*submit, "--task", "hijack", "--iterations", 10_000)
    console.reach(lambda all_: all(
        v.task.model_id == "hijack" and v.task.current_iter for v in all_.values()
    ))  # fmt: skip
    said = console.fails(*submit, "--task", "other", "--iterations", 1)
    assert "the task hijack is active" in said
    console.run("task", "cancel", "hijack", "--key", "car", *console.store)
    again = ("task", "cancel", "hijack", "--key", "bus", *console.store)
    console.run(*again)
    console.reach(lambda all_: all(v.task.cancelled for v in all_.values()))
    assert "no task hijack is active" in console.fails(*again)
    shown = console.json("task", "show", "hijack", "--vehicle", "van")
    assert shown["state"] == "cancelled"
    assert 0 < len(shown["iterations"]) == shown["current_iter"] < shown["total_iter"]
    assert "hijack: iteration" in console.run("system", "show")
    console.run(*submit, "--task", "other", "--iterations", 1)
    console.reach(lambda all_: all(
        v.task.model_id == "other" and v.task.is_done for v in all_.values()
    ))  # fmt: skip
