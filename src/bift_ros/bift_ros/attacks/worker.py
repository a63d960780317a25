"""The worker process of a malicious vehicle (`python -m bift_ros.attacks.worker --attack NAME …`).

It is alone: it knows no update but what it trains itself. All else is `learning.worker`.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator

import numpy as np

from bift_ros.attacks.interface import Attack, Updates, View
from bift_ros.attacks.registry import make_attack
from bift_ros.learning.local_round import Images, Labels, LocalRound, Parameters
from bift_ros.pofl.codec import FloatArray


class LoneAttacker:
    """Learns as the attack wants it, one iteration after another."""

    def __init__(self, attack: Attack) -> None:
        self._attack = attack
        self._global_model: Parameters | None = None
        self._movement: Updates | None = None

    def __call__(self, local_round: LocalRound) -> FloatArray:
        """The parameters float64[d] that the vehicle says it has trained."""
        rng = np.random.default_rng(local_round.seed)
        start = local_round.global_model
        trained = [local_round.train(*crops) - start for crops in self._trainings(local_round, rng)]
        known = np.stack(trained) if trained else np.zeros((1, start.size), np.float32)
        view = View(
            knowledge="own",
            honest=known,
            own=known[:1],
            members=1,
            global_model=start,
            previous=self._last_movement(start),
            rng=rng,
        )
        local: FloatArray = start.astype(np.float64) + self._attack.craft(view)[0]
        return local

    def _trainings(
        self, local_round: LocalRound, rng: np.random.Generator
    ) -> Iterator[tuple[Images, Labels, int]]:
        """Crops and seed of each training.

        The first takes the vehicle's crops, poisoned. The others take as many, drawn from them with
        replacement: bootstrap samples (Efron 1979), which say how updates of honest vehicles with
        such crops would spread.
        """
        images, labels = self._attack.poison(local_round.images, local_round.labels, rng)
        for number in range(self._attack.trainings):
            if number == 0:
                yield images, labels, local_round.seed
            else:
                drawn = rng.integers(len(labels), size=len(labels))
                yield images[drawn], labels[drawn], int(rng.integers(2**62))

    def _last_movement(self, model: Parameters) -> Updates:
        """How the global model moved to this one; zeros where this vehicle knew none before."""
        last, self._global_model = self._global_model, model
        if last is None or last.shape != model.shape:
            self._movement = np.zeros_like(model)
        elif not np.array_equal(last, model):  # it is the same where a training is repeated
            self._movement = model - last
        assert self._movement is not None
        return self._movement


def main(arguments: list[str] | None = None) -> None:
    """Serve jobs until stdin ends."""
    from bift_ros.learning.worker import main as serve  # torch: only this process needs it

    parser = argparse.ArgumentParser(add_help=False)
    parser.add_argument("--attack", required=True)
    options, rest = parser.parse_known_args(arguments)
    serve(rest, LoneAttacker(make_attack(options.attack)))


if __name__ == "__main__":
    main()
