"""Makes three small runs and prints a digest of all their bytes: `print_digests.py HOW DIR`.

HOW is `together`, or `alone`: one run after the other, each iteration in a call of its own. What
vehicles trained counts before fixed point rounds it, which hides most differences.
"""

from __future__ import annotations

import sys
from hashlib import sha256
from pathlib import Path

import numpy as np
import torch

from bift_ros.experiments import kept_runs
from bift_ros.experiments.campaign import run_all
from bift_ros.experiments.datasets import Dataset
from bift_ros.experiments.federation import Federation, Settings, State
from bift_ros.learning.data import Crops

how, folder = sys.argv[1], Path(sys.argv[2])
rng = np.random.default_rng(0)


def noise(count: int) -> Crops:
    images = torch.from_numpy(rng.integers(0, 256, (count, 32, 32, 3), np.uint8))
    return Crops(images.permute(0, 3, 1, 2), torch.from_numpy(rng.integers(0, 10, count)))


data = Dataset(noise(240), noise(20))
runs = [
    Settings(
        attack=attack,
        rule="mixed",
        malicious=0.25,
        knowledge="own",
        late=False,
        alpha=None,
        seed=seed,
        vehicles=8,
        crops=30,
        local_epochs=2,
        batch_size=10,
        learning_rate=0.01,
        data=data.digest,
    )
    for attack, seed in (("krum_attack", 1), ("backdoor", 1), ("robust_attack", 2))
]
trained: dict[str, str] = {}
step = Federation.step


def seen_step(federation: Federation, state: State, models: np.ndarray) -> State:
    name = f"{federation.settings.as_json()} {state.iterations}"
    trained[name] = sha256(np.ascontiguousarray(models)).hexdigest()
    return step(federation, state, models)


Federation.step = seen_step  # type: ignore[method-assign]
cpu = torch.device("cpu")
if how == "together":
    run_all(runs, 2, data, folder, cpu)
else:
    for run in runs:
        for iterations in (1, 2):
            run_all([run], iterations, data, folder, cpu)
assert len(trained) == 2 * len(runs)
kept = [kept_runs.path_of(folder, run).read_bytes() for run in runs]
print(sha256(b"".join(kept) + repr(sorted(trained.items())).encode()).hexdigest())
