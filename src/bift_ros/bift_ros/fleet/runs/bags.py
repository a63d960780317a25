"""The bags that a fleet replays: a person's own, or synthetic ones made once."""

from __future__ import annotations

import shutil
from pathlib import Path

from rich.console import Console
from rich.progress import Progress

from bift_ros.fleet.description.fleet import FleetDescription
from bift_ros.perception.bags import BagError
from bift_ros.synthesis.recording import bag_path
from bift_ros.synthesis.synth import synthesize


def find_bags(folder: Path, vehicles: int | None) -> tuple[tuple[Path, ...], Path]:
    """Each vehicle's bag below `folder`, all that are there where None, and the test set.

    Raises BagError where there are too few or no test set.
    """
    found = sorted(p for p in folder.glob("vehicle_*") if p.is_dir())
    count = vehicles or len(found)
    has_test = (folder / "test").is_dir()
    if not 0 < count <= len(found) or not has_test:
        raise BagError(
            f"{folder} holds {len(found)} bags (vehicle_00, …) and "
            f"{'a' if has_test else 'no'} test/ folder, but "
            f"{count} vehicles are to run: make them with ./bift bag synth or from-images"
        )
    return tuple(found[:count]), folder / "test"


def bags_of(fleet: FleetDescription, root: Path, console: Console) -> list[Path | None]:
    """Each vehicle's bag: its own, or one of the synthetic ones that are made once below `root`.

    None for those with a live camera.
    """
    number = sum(vehicle.needs_synthetic_bag for vehicle in fleet.vehicles)
    if not number:
        return [vehicle.bag for vehicle in fleet.vehicles]
    folder = synthetic_bags(number, fleet.synthetic_frames, fleet.seed, root, console, test_crops=0)
    drawn = (bag_path(folder, n) for n in range(number))
    return [next(drawn) if v.needs_synthetic_bag else v.bag for v in fleet.vehicles]


def synthetic_bags(
    vehicles: int, frames: int, seed: int, root: Path, console: Console, test_crops: int = 2000
) -> Path:
    """A folder below `root` with bags for so many vehicles, and a test set of so many crops.

    Made once for the same vehicles, frames and seed.
    """
    folder = root / f"v{vehicles}_f{frames}_s{seed}"
    complete = folder / "complete"
    if complete.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    console.print(f"Recording {vehicles} synthetic bags of {frames} frames")
    with Progress(console=console, transient=True) as bar:
        task = bar.add_task("Drawing")
        synthesize(
            vehicles,
            frames,
            folder,
            seed,
            test_crops=test_crops,
            progress=lambda done, total: bar.update(task, completed=done, total=total),
        )
    complete.touch()
    return folder
