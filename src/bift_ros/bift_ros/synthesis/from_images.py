"""`bift bag from-images`: bags and a test set from a folder of real pictures of lights.

The folder has one subfolder a class. Each picture is pasted into a painted street, and labelled
there so that a vehicle's crop of it is the whole picture again.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from bift_ros.perception.bags import BagError
from bift_ros.perception.classes import CLASSES, Label
from bift_ros.perception.crops import MARGIN
from bift_ros.perception.images import Image, ImageError, read_picture
from bift_ros.synthesis.recording import EncodedFrame, Progress, Recorded, Recording
from bift_ros.synthesis.scene import HEIGHT, WIDTH, encode_jpeg
from bift_ros.synthesis.street import paint_street

log = logging.getLogger(__name__)

SUFFIXES = {".png", ".jpg", ".jpeg", ".bmp", ".ppm", ".webp", ".tif", ".tiff"}
LONGEST, SHORTEST = 180, 24  # pixels: larger and smaller pictures are scaled to these
TEST_SHARE = 0.15  # held out of each class where no test folder is named
QUALITY = 92  # of the JPEG: the pictures have mostly been through one already

Picture = tuple[str, Path]  # class and file


def parse_classes(text: str) -> dict[str, str]:
    """`red=red_circle,stop=red_circle` as folder → class; raises ValueError."""
    mapping = {}
    for pair in filter(None, (part.strip() for part in text.split(","))):
        folder, equals, name = (part.strip() for part in pair.partition("="))
        if not equals or not folder:
            raise ValueError(f"{pair!r} is not folder=class, as in red=red_circle")
        if name not in CLASSES:
            raise ValueError(f"{name!r} is not a class: use one of {', '.join(CLASSES)}")
        mapping[folder] = name
    return mapping


def find_pictures(folder: Path, mapping: Mapping[str, str]) -> list[Picture]:
    """The pictures in the subfolders that are named after a class or in `mapping`.

    Raises BagError where nothing is found or a subfolder has no class and no mapping is given:
    with a mapping, what it leaves out is meant to be left out.
    """
    if not folder.is_dir():
        raise BagError(f"{folder} is not a folder: it must hold one subfolder a class")
    found: list[Picture] = []
    for sub in sorted(path for path in folder.iterdir() if path.is_dir()):
        name = mapping.get(sub.name, sub.name)
        if name not in CLASSES:
            if mapping:
                continue
            raise BagError(
                f"{sub} is not named after a class: give --classes {sub.name}=CLASS with one of "
                f"{', '.join(CLASSES)}"
            )
        found += [(name, p) for p in sorted(sub.rglob("*")) if p.suffix.lower() in SUFFIXES]
    if missing := sorted(set(mapping) - {path.name for path in folder.iterdir()}):
        raise BagError(f"{folder} has no subfolder {', '.join(missing)}, which --classes names")
    if not found:
        raise BagError(f"no pictures ({', '.join(sorted(SUFFIXES))}) in the subfolders of {folder}")
    return found


def from_images(
    folder: Path,
    vehicles: int,
    out: Path,
    classes: Mapping[str, str] | None = None,
    test: Path | None = None,
    seed: int = 0,
    progress: Progress | None = None,
) -> Recorded:
    """Spread the pictures below `folder` over `vehicles` bags, each picture once.

    The test set comes from the folder `test` (same shape), else from a held-out 15% of each
    class. A file that is no picture is skipped and reported. Raises BagError and ValueError.
    """
    if vehicles < 1:
        raise ValueError("vehicles must be at least 1")
    rng = np.random.default_rng(seed)
    pictures = find_pictures(folder, classes or {})
    rng.shuffle(pictures)
    if test is not None:
        held_out = find_pictures(test, classes or {})
    else:
        held_out, pictures = _hold_out(pictures)
    if len(pictures) < vehicles:
        raise BagError(f"{len(pictures)} pictures are too few for {vehicles} vehicles")

    recording = Recording(out, len(pictures) + len(held_out), progress)
    skipped: list[str] = []
    for vehicle in range(vehicles):
        recording.add_bag(_frames(pictures[vehicle::vehicles], rng, skipped), rng)
    return recording.finish(_frames(held_out, rng, skipped), skipped=skipped)


def _hold_out(pictures: Sequence[Picture]) -> tuple[list[Picture], list[Picture]]:
    """The first 15% of each class, and the rest."""
    quota = {name: round(TEST_SHARE * sum(c == name for c, _ in pictures)) for name in CLASSES}
    held: list[Picture] = []
    rest: list[Picture] = []
    for picture in pictures:
        quota[picture[0]] -= 1
        (held if quota[picture[0]] >= 0 else rest).append(picture)
    return held, rest


def _frames(
    pictures: Sequence[Picture], rng: np.random.Generator, skipped: list[str]
) -> Iterator[tuple[int, Sequence[EncodedFrame]]]:
    """Streets with one to three pictures each, and how many pictures each used up."""
    queue = iter(pictures)
    while batch := list(islice(queue, int(rng.integers(1, 4)))):
        street = paint_street(rng, WIDTH, HEIGHT, night=0.0)
        labels = []
        for slot, (name, path) in enumerate(batch):
            try:
                picture = read_picture(path)
            except (ImageError, OSError) as error:
                skipped.append(f"{path}: not a readable picture: {error}")
                log.warning("%s", skipped[-1])
                continue
            lane = WIDTH // len(batch)
            labels.append(_paste(rng, street, picture, name, lane * slot, lane))
        yield len(batch), [EncodedFrame(encode_jpeg(street, QUALITY), tuple(labels))]


def _paste(
    rng: np.random.Generator, street: Image, picture: Image, name: str, left: int, lane: int
) -> Label:
    """Put a picture somewhere in a lane of the frame and label it.

    The label is smaller than the picture by the margin that cropping adds again.
    """
    height, width = picture.shape[:2]
    longest = min(max(max(height, width), SHORTEST), LONGEST)
    scale = longest / max(height, width)
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    how = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    resized = cv2.resize(picture, size, interpolation=how)
    x = left + int(rng.integers(0, lane - size[0] + 1))
    y = int(rng.integers(0, HEIGHT - size[1] + 1))
    street[y : y + size[1], x : x + size[0]] = resized
    inner = [max(1, round(side / (1 + 2 * MARGIN))) for side in size]
    return Label(name, x + (size[0] - inner[0]) // 2, y + (size[1] - inner[1]) // 2, *inner)
