"""`python -m lessons_utils`, as a user types it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lessons_utils import __main__, checkpoints, depth, recipes, superres

DATA = os.environ.get("LESSONS_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="LESSONS_DATA is not set")


@pytest.fixture
def pictures(tmp_path):
    folder = tmp_path / "pictures"
    folder.mkdir()
    rng = np.random.default_rng(0)
    for name in ("a", "b"):
        coarse = rng.integers(0, 255, (8, 9, 3), np.uint8)
        Image.fromarray(coarse).resize((54, 48), Image.BICUBIC).save(folder / f"{name}.png")
    return folder


def last_json(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_evaluate_prints_json_last(pictures, capsys):
    code = __main__.main(["evaluate", "srcnn-9-5-5-x3", "--images", str(pictures), "--json"])
    result = last_json(capsys)
    assert code == 0
    assert {"psnr", "ssim", "bicubic_psnr", "per_image"} <= set(result)
    assert set(result["per_image"]) == {"a", "b"}
    mean = np.mean([scores["psnr"] for scores in result["per_image"].values()])
    assert result["psnr"] == pytest.approx(mean)


def test_evaluate_prints_a_table(pictures, capsys):
    assert __main__.main(["evaluate", "srcnn-9-1-5-x3", "--images", str(pictures)]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert [line.split()[0] for line in lines] == ["picture", "a", "b", "mean"]


@needs_data
def test_evaluate_the_authors_weights(capsys):
    weights = Path(DATA) / "srcnn_weights" / "9-5-5_ImageNet_x3.mat"
    images = Path(DATA) / "super_resolution" / "Set5"
    typed = f"evaluate srcnn --weights {weights} --scale 3 --images {images} --json"
    assert __main__.main(typed.split()) == 0
    result = last_json(capsys)
    assert result["psnr"] == pytest.approx(32.752, abs=0.005)
    assert result["per_image"]["butterfly"]["psnr"] == pytest.approx(27.953, abs=0.01)


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ("evaluate srcnn-8-8-8", "srcnn-9-5-5-x3, srcnn-9-1-5-x3"),
        ("evaluate srcnn", "--weights FILE and --scale"),
        ("evaluate srcnn --weights nowhere.mat --scale 3", "No weight file"),
        ("evaluate srcnn-9-5-5-x3 --scale 2", "of its own scale"),
        ("evaluate srcnn-9-5-5-x3 --images nowhere", "nowhere"),
        ("train srcnn-8-8-8 --accelerator cpu --devices 1", "srcnn-9-5-5-x3"),
        ("evaluate eigen-rooms --data nowhere", "leave --data out"),
        ("evaluate eigen-nyu --scale 2", "--data DIR"),
        ("evaluate eigen-nyu --data nowhere", "nowhere"),
        ("fetch Set6", "Set5"),
    ],
)
def test_bad_input_is_named_and_exits_with_2(typed, words, capsys):
    assert __main__.main(typed.split()) == 2
    assert words in capsys.readouterr().err


def test_doctor(capsys):
    assert __main__.main(["doctor"]) == 0
    assert "All is well." in capsys.readouterr().out


def test_doctor_finds_problems(capsys, monkeypatch, tmp_path):
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path / "missing"))
    assert __main__.main(["doctor"]) == 1
    assert "PROBLEM  LESSONS_DATA" in capsys.readouterr().out


@needs_data
def test_train_writes_weights_and_card_that_evaluate_reads(tmp_path, pictures, capsys):
    typed = (
        f"train srcnn-9-1-5-x3 --steps 4 --seed 3 --accelerator cpu --devices 1 "
        f"--out {tmp_path / 'out'} --runs {tmp_path / 'runs'}"
    )
    assert __main__.main(typed.split()) == 0
    weights = tmp_path / "out" / "srcnn-9-1-5-x3.safetensors"
    model, card = checkpoints.load(weights, superres.SRCNN(9, 1, 5))
    assert card.command == f"python -m lessons_utils {typed}"
    assert card.seed == 3 and card.settings["steps"] == 4
    assert card.metrics["set5"]["bicubic_psnr"] == pytest.approx(30.394, abs=0.002)
    capsys.readouterr()
    typed = f"evaluate srcnn --weights {weights} --scale 3 --images {pictures} --json"
    assert __main__.main(typed.split()) == 0
    assert last_json(capsys)["psnr"] > 10
    assert all(torch.isfinite(parameter).all() for parameter in model.parameters())


@pytest.fixture
def few_rooms(monkeypatch, tmp_path):
    """A training that takes seconds: few rooms, in a cache of their own."""
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
    for part, count in (("train", 24), ("validation", 6), ("test", 8)):
        monkeypatch.setitem(recipes.depth.ROOMS, part, count)


def test_train_depth_in_two_stages_and_evaluate(tmp_path, few_rooms, capsys):
    typed = (
        f"train eigen-rooms --steps 2 --seed 3 --accelerator cpu --devices 1 --precision 32-true "
        f"--out {tmp_path / 'out'} --runs {tmp_path / 'runs'}"
    )
    assert __main__.main(typed.split()) == 0
    weights = tmp_path / "out" / "eigen-rooms.safetensors"
    card = checkpoints.load_card(weights)
    assert card.command == f"python -m lessons_utils {typed}"
    assert set(card.metrics["stages"]) == {"coarse", "fine"}
    assert card.metrics["rooms"]["frames"] == 8
    assert card.settings["coarse_steps"] == card.settings["fine_steps"] == 2
    capsys.readouterr()
    assert __main__.main(["evaluate", "eigen-rooms", "--weights", str(weights), "--json"]) == 0
    result = last_json(capsys)
    for name in ("mean", "coarse", "fine"):
        assert set(result[name]) == set(depth.METRICS)
        for metric, value in result[name].items():
            assert value == pytest.approx(card.metrics["rooms"][name][metric], abs=1e-3)


def test_evaluate_depth_prints_a_table(few_rooms, capsys):
    assert __main__.main(["evaluate", "eigen-rooms"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert lines[0].split() == ["8", "frames", "mean", "coarse", "fine"]
    assert [line.split()[0] for line in lines[1:]] == list(depth.METRICS)


def test_evaluate_depth_on_a_folder_of_any_frames(tmp_path, capsys):
    """Smooth frames without a jump of depth, and only some of the set."""
    for kind in ("rgb", "depth"):
        (tmp_path / kind).mkdir()
    rng = np.random.default_rng(0)
    for number in range(2):
        picture = rng.integers(0, 255, (240, 320, 3), np.uint8)
        Image.fromarray(picture).save(tmp_path / "rgb" / f"{number}.jpg")
        ramp = np.tile(np.linspace(1500, 4000, 240)[:, None], (1, 320)) + 500 * number
        Image.fromarray(ramp.astype(np.uint16)).save(tmp_path / "depth" / f"{number}.png")
    assert __main__.main(["evaluate", "eigen-nyu", "--data", str(tmp_path), "--json"]) == 0
    result = last_json(capsys)
    assert result["frames"] == 2 and result["edges"]["fine"] is None
    for name in ("mean", "coarse", "fine"):
        assert set(result[name]) == set(depth.METRICS)
        assert all(np.isfinite(value) for value in result[name].values())


def test_weights_of_another_network_are_named(capsys):
    weights = checkpoints.runtime.data_path("checkpoints/srcnn-9-1-5-x3.safetensors")
    assert __main__.main(["evaluate", "eigen-nyu", "--weights", str(weights)]) == 2
    assert "no depth network" in capsys.readouterr().err
