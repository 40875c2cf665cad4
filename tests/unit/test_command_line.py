"""`python -m lessons_utils`, as a user types it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lessons_utils import __main__, checkpoints, superres

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
