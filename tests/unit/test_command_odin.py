"""`python -m lessons_utils evaluate odin`, as a user types it."""

import json
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from lessons_utils import __main__, anomaly, checkpoints

DATA = os.environ.get("LESSONS_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="LESSONS_DATA is not set")


def write_images(path, count, seed, **more):
    packed = np.random.default_rng(seed).integers(0, 256, (count, 3, 16, 16), np.uint8)
    np.savez_compressed(path, r=packed, **more)


def save_classifier(folder, architecture, model):
    card = checkpoints.Card(
        name="tiny",
        architecture=architecture,
        command="none",
        seed=0,
        training_data="none",
        training_data_sha256="",
        date="2026-01-01",
        hardware="none",
        versions={},
        seconds=0,
        cpu_seconds=0,
        settings={},
    )
    return checkpoints.save(folder, model, card)


@pytest.fixture
def typed(tmp_path):
    """A command that takes a fraction of a second."""
    torch.manual_seed(0)
    architecture = {"classes": 4, "widths": [4, 8]}
    weights = save_classifier(tmp_path, architecture, anomaly.CompactNet(**architecture))
    write_images(tmp_path / "inside.npz", 30, 0, y=np.arange(30) % 4)
    write_images(tmp_path / "outside.npz", 20, 1)
    inside, outside = tmp_path / "inside.npz", tmp_path / "outside.npz"
    return f"evaluate odin --weights {weights} --inside {inside} --outside {outside}"


def last_json(capsys):
    return json.loads(capsys.readouterr().out.splitlines()[-1])


def test_prints_json_last(typed, capsys):
    assert __main__.main(f"{typed} --json".split()) == 0
    result = last_json(capsys)
    assert (result["inside"], result["outside"]) == (30, 20)
    assert 0 <= result["accuracy"] <= 1
    for name in ("baseline", "odin"):
        assert set(anomaly.METRICS) <= set(result[name])
    used = {key: result["odin"][key] for key in ("temperature", "epsilon")}
    assert used == {"temperature": 1000, "epsilon": 0.0014}
    assert (result["baseline"]["temperature"], result["baseline"]["epsilon"]) == (1, 0)


def test_takes_count_temperature_and_epsilon(typed, capsys):
    assert __main__.main(f"{typed} --count 10 --temperature 1 --epsilon 0 --json".split()) == 0
    result = last_json(capsys)
    assert (result["inside"], result["outside"]) == (10, 10)
    assert result["odin"] == result["baseline"]


def test_prints_a_table(typed, capsys):
    assert __main__.main(typed.split()) == 0
    lines = capsys.readouterr().out.splitlines()
    assert "30 inside, 20 outside" in lines[0] and "temperature 1000" in lines[0]
    assert [line.split()[0] for line in lines[2:]] == list(anomaly.METRICS)


@pytest.mark.parametrize(
    ("change", "words"),
    [
        (lambda t: "evaluate odin", "odin takes --weights FILE"),
        (lambda t: f"{t} --scale 3", "other networks"),
        (lambda t: f"{t} --count 25", "holds 20 images"),
        (lambda t: f"{t} --temperature 0", "temperature must be positive"),
        (lambda t: f"{t} --epsilon -1", "Epsilon must be 0 or more"),
        (lambda t: t.replace("inside.npz", "nowhere.npz"), "nowhere.npz"),
        (lambda t: t.replace("tiny.safetensors", "nowhere.safetensors"), "No weights at"),
        (lambda t: t.replace("tiny.safetensors", "nowhere.th"), "No weights at"),
        (lambda t: t.replace("tiny.safetensors", "inside.npz"), "no file of tensors"),
        (lambda t: "evaluate srcnn-9-1-5-x3 --count 3", "for odin"),
    ],
)
def test_bad_input_is_named_and_exits_with_2(typed, change, words, capsys):
    assert __main__.main(change(typed).split()) == 2
    assert words in capsys.readouterr().err


def test_weights_of_another_kind_are_named(tmp_path, typed, capsys):
    save_classifier(tmp_path, {"f1": 9, "f2": 5}, anomaly.CompactNet())
    assert __main__.main(typed.split()) == 2
    assert "no classifier" in capsys.readouterr().err


@needs_data
def test_with_the_third_party_resnet(capsys):
    folder = Path(DATA)
    typed = (
        f"evaluate odin --weights {folder / 'classifiers' / 'resnet20-12fca82f.th'} "
        f"--inside {folder / 'ood' / 'cifar10_test.npz'} "
        f"--outside {folder / 'ood' / 'ood_tinyimagenet_crop.npz'} --count 100 --json"
    )
    assert __main__.main(typed.split()) == 0
    result = last_json(capsys)
    assert result["accuracy"] > 0.85
    assert result["odin"]["fpr95"] < result["baseline"]["fpr95"]
    assert result["odin"]["auroc"] > result["baseline"]["auroc"]


def test_the_shipped_network_takes_no_weights(typed, capsys):
    wrong = typed.replace("evaluate odin", "evaluate odin-cifar10")
    assert __main__.main(wrong.split()) == 2
    assert "use `odin`" in capsys.readouterr().err


def test_the_shipped_network_measures_two_archives(typed, capsys, monkeypatch):
    weights, inside, outside = typed.split()[3::2]
    model = anomaly.CompactNet(classes=4, widths=(4, 8)).eval()
    loaded = checkpoints.load(weights, model)
    monkeypatch.setattr(__main__.recipes, "network", lambda name: model)
    monkeypatch.setattr(checkpoints, "load", lambda name, network: loaded)
    command = f"evaluate odin-cifar10 --inside {inside} --outside {outside} --count 8 --json"
    assert __main__.main(command.split()) == 0
    result = last_json(capsys)
    assert (result["name"], result["inside"], result["outside"]) == ("odin-cifar10", 8, 8)
