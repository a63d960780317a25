"""Making bags: from scenes, from real pictures, and through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from recorded import parse_image, read_bag, read_images, replay

from bift_ros.console.main import main
from bift_ros.perception import messages
from bift_ros.perception.bag_info import bag_info
from bift_ros.perception.bags import BagError
from bift_ros.perception.classes import CLASS_INDEX, CLASSES
from bift_ros.perception.crops import crop_region
from bift_ros.perception.messages import LIGHTS
from bift_ros.perception.pipeline import Pipeline
from bift_ros.synthesis.from_images import find_pictures, from_images, parse_classes
from bift_ros.synthesis.synth import class_weights, synthesize


def contents(folder: Path) -> dict[str, bytes]:
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file()
    }


def test_synth_writes_bags_and_a_test_set_the_same_each_time(tmp_path: Path) -> None:
    steps: list[tuple[int, int]] = []
    done = synthesize(
        2, 25, tmp_path / "a", seed=3, test_crops=30, progress=lambda d, t: steps.append((d, t))
    )
    assert done.frames == (25, 25)
    assert [bag_info(path).labels for path in done.bags] == list(done.labels)
    images, labels = read_images(tmp_path / "a" / "test")
    assert len(images) == sum(done.test_crops.values()) == 30
    assert len(set(labels.tolist())) >= 6
    assert steps == sorted(steps)
    assert steps[-1][0] == steps[-1][1]

    synthesize(2, 25, tmp_path / "b", seed=3, test_crops=30)
    assert contents(tmp_path / "a") == contents(tmp_path / "b")
    frames = [m.data for path in done.bags for m in read_bag(path)]
    assert len(set(frames)) == len(frames)
    with pytest.raises(BagError, match="not empty"):
        synthesize(1, 1, tmp_path / "a", seed=3)


def test_skew_is_a_dirichlet_split() -> None:
    assert class_weights(3, 1, None) == [(), (), ()]
    strong, mild = np.array(class_weights(200, 1, 0.1)), np.array(class_weights(200, 1, 100.0))
    assert np.allclose(strong.sum(axis=1), 1)
    assert np.median(strong.max(axis=1)) > 0.4
    assert mild.max() < 0.2
    # Dirichlet(a, …, a) over k classes: each share has variance (k − 1) / (k² (k a + 1)).
    assert strong.var() == pytest.approx(9 / (100 * 2), rel=0.15)


@pytest.mark.parametrize(
    "arguments",
    [
        {"vehicles": 0},
        {"frames": 0},
        {"skew": 0.0},
        {"skew": -1.0},
        {"seed": -1},
        {"test_crops": -1},
    ],
)
def test_synth_refuses_what_makes_no_sense(tmp_path: Path, arguments: dict[str, float]) -> None:
    with pytest.raises(ValueError, match="must"):
        synthesize(**({"vehicles": 1, "frames": 1, "out": tmp_path, "seed": 0} | arguments))


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """Pictures of one colour per class, in all sizes, PNG and JPEG."""
    rng = np.random.default_rng(0)
    for folder, colour in (("red", (0, 0, 230)), ("green_circle", (60, 220, 30))):
        (tmp_path / "photos" / folder).mkdir(parents=True)
        for n in range(20):
            height, width = rng.integers(9, 300, 2)
            tint = np.clip(np.array(colour) - rng.integers(0, 20, 3), 0, 255)
            picture = np.full((height, width, 3), tint, np.uint8)
            suffix = ".png" if n % 2 else ".jpg"
            cv2.imwrite(str(tmp_path / "photos" / folder / f"{n}{suffix}"), picture)
    return tmp_path / "photos"


def test_from_images_uses_each_picture_once(photos: Path, tmp_path: Path) -> None:
    done = from_images(photos, 2, tmp_path / "out", {"red": "red_circle"})
    assert sum(sum(labels.values()) for labels in done.labels) == 34
    assert done.test_crops == {"red_circle": 3, "green_circle": 3}
    # Through a vehicle's own pipeline the pictures come back with their colours.
    for number, path in enumerate(done.bags):
        pipeline = Pipeline(tmp_path / f"dataset{number}", val_share=0)
        replay(path, pipeline)
        assert set(pipeline.statistics.skips) <= {"near_duplicate"}
        images, labels = read_images(tmp_path / f"dataset{number}" / "train")
        middle = images[:, 14:18, 14:18].mean(axis=(1, 2))
        red = labels == CLASS_INDEX["red_circle"]
        assert red.any()
        assert (middle[red, 0] > 180).all()
        assert (middle[~red, 1] > 180).all()


def test_the_crop_of_a_square_picture_is_the_picture(tmp_path: Path) -> None:
    (tmp_path / "in" / "off").mkdir(parents=True)
    picture = np.full((64, 64, 3), 40, np.uint8)
    cv2.rectangle(picture, (0, 0), (63, 63), (255, 255, 255), 12)
    for n in range(2):
        cv2.imwrite(str(tmp_path / "in" / "off" / f"{n}.png"), picture)
    done = from_images(tmp_path / "in", 1, tmp_path / "out")
    raw = [m for m in read_bag(done.bags[0]) if m.type != LIGHTS]
    lights = [m for m in read_bag(done.bags[0]) if m.type == LIGHTS]
    _, image = parse_image(raw[0].data)
    _, labels = messages.parse_lights(lights[0].data)
    crop = crop_region(image.decode(), *labels[0][1:])
    assert crop[16, 16].mean() < 70
    for y, x in ((16, 1), (16, 30), (1, 16), (30, 16)):
        assert crop[y, x].mean() > 180


def test_from_images_takes_a_test_folder_and_skips_what_is_no_picture(
    photos: Path, tmp_path: Path
) -> None:
    (photos / "red" / "broken.png").write_bytes(b"no picture")
    classes = {"red": "red_circle"}
    done = from_images(photos, 1, tmp_path / "out", classes, test=photos)
    assert sum(done.labels[0].values()) == 40
    assert sum(done.test_crops.values()) == 40
    assert len(done.skipped) == 2  # once for the bag, once for the test set
    assert "broken.png" in done.skipped[0]


def test_folders_without_a_class_are_named(photos: Path, tmp_path: Path) -> None:
    with pytest.raises(BagError, match=r"red is not named after a class: give --classes red="):
        find_pictures(photos, {})
    with pytest.raises(BagError, match="no subfolder blue"):
        find_pictures(photos, {"red": "red_circle", "blue": "off"})
    (tmp_path / "empty" / "off").mkdir(parents=True)
    with pytest.raises(BagError, match="no pictures"):
        find_pictures(tmp_path / "empty", {})
    with pytest.raises(BagError, match="too few"):
        from_images(photos, 50, tmp_path / "out", {"red": "red_circle"})


def test_parse_classes() -> None:
    assert parse_classes("red=red_circle, go = green_circle,") == {
        "red": "red_circle",
        "go": "green_circle",
    }
    with pytest.raises(ValueError, match="not folder=class"):
        parse_classes("red")
    with pytest.raises(ValueError, match="'redd' is not a class"):
        parse_classes("red=redd")


def run(*arguments: str) -> int:
    return main(["bag", *arguments])


def test_the_commands(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    out = str(tmp_path / "bags")
    sizes = ("--vehicles", "1", "--frames", "3", "--test-crops", "0")
    assert run("synth", *sizes, "--out", out, "--json") == 0
    made = capsys.readouterr()
    recorded = json.loads(made.out)
    assert (recorded["bags"], recorded["frames"], recorded["test"]) == (
        [f"{out}/vehicle_00"], [3], None,
    )  # fmt: skip
    assert made.err == ""
    assert run("info", f"{out}/vehicle_00", "--json") == 0
    info = json.loads(capsys.readouterr().out)
    assert info["messages"]["/vehicle_00/traffic_lights"] == [LIGHTS, 3]
    assert set(info["labels"]) <= set(CLASSES)
    assert run("info", f"{out}/vehicle_00") == 0
    assert "traffic_lights" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("info", "nothing"), "bift bag info: no bag at nothing"),
        (("synth", "--out", "x", "--frames", "0"), "must be at least 1"),
        (("synth", "--out", "x", "--skew", "0"), "skew 0.0 must lie"),
        (("from-images", "nothing", "--out", "x"), "nothing is not a folder"),
        (("from-images", "nothing", "--out", "x", "--classes", "a=b"), "'b' is not a class"),
    ],
)
def test_bad_input_is_one_clear_line_and_exit_code_2(
    arguments: tuple[str, ...],
    message: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
) -> None:
    monkeypatch.chdir(tmp_path)
    assert run(*arguments) == 2
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert message in error


def test_help_teaches(capsys: pytest.CaptureFixture[str]) -> None:
    for name in ("synth", "from-images", "info"):
        with pytest.raises(SystemExit) as stop:
            run(name, "--help")
        assert stop.value.code == 0
        assert "bag" in capsys.readouterr().out
