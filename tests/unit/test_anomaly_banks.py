"""Score banks: there and back, and the shipped ones against images and weights."""

import json
import os
from dataclasses import replace
from pathlib import Path

import pytest
import torch

from lessons_utils import anomaly, checkpoints, datasets, recipes
from lessons_utils.recipes import banks

DATA = os.environ.get("LESSONS_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="LESSONS_DATA is not set")
SHIPPED = ("cifar10-compact", "densenet-cifar10")


def weights_of(name):
    if name == "cifar10-compact":
        return checkpoints.runtime.data_path("checkpoints/cifar10-compact.safetensors")
    return Path(DATA) / "classifiers" / "densenet_bc100_k12_cifar10_dice.pth.tar"


def tiny_bank(sets=("inside", "outside")):
    generator = torch.Generator().manual_seed(0)
    scores = {
        name: anomaly.SetScores(
            logits=torch.randn(6, 3, generator=generator),
            labels=torch.arange(6) % 3 if name == "inside" else None,
            odin=torch.rand(2, 2, 4, generator=generator),
            mahalanobis=torch.zeros(4),
            neighbours=torch.zeros(4),
        )
        for name in sets
    }
    card = anomaly.BankCard(
        name="tiny",
        classifier="none",
        weights_sha256="",
        command="none",
        temperatures=[1.0, 1000.0],
        epsilons=[0.0, 0.002],
        sets={name: {"images": 6, "grid": 4} for name in sets},
        training_images=1,
        accuracy=0.5,
        date="2026-01-01",
        hardware="none",
        versions={},
        cpu_seconds=0.0,
    )
    return anomaly.ScoreBank(card, scores)


def test_there_and_back(tmp_path):
    bank = tiny_bank()
    path = anomaly.save_bank(tmp_path, bank)
    found = anomaly.load_bank(path)
    assert found.card == bank.card and found.sets["outside"].labels is None
    for kind in ("logits", "labels", "odin"):
        assert torch.equal(getattr(found.sets["inside"], kind), getattr(bank.sets["inside"], kind))
    assert sorted(file.name for file in tmp_path.iterdir()) == ["tiny.json", "tiny.npz"]
    assert torch.equal(found.odin("inside", 1000.0, 0.002), bank.sets["inside"].odin[1, 1].double())
    assert len(found.baseline("inside")) == 4


def test_a_changed_bank_is_refused(tmp_path):
    path = anomaly.save_bank(tmp_path, tiny_bank())
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not what its card describes"):
        anomaly.load_bank(path)


def test_wrong_names_and_settings_are_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="cifar10-compact"):
        anomaly.load_bank("resnet")
    bank = tiny_bank()
    with pytest.raises(ValueError, match="no set 'mnist'"):
        bank.baseline("mnist")
    with pytest.raises(ValueError, match=r"0\.0014"):
        bank.odin("inside", 1.0, 0.0014)


@pytest.mark.parametrize("name", SHIPPED)
def test_shipped_banks_are_whole(name):
    bank = anomaly.load_bank(name)
    assert set(bank.sets) == set(banks.SETS)
    assert (bank.temperatures, bank.epsilons) == (banks.TEMPERATURES, banks.EPSILONS)
    for set_name, part in banks.SETS.items():
        scores = bank.sets[set_name]
        assert scores.logits.shape == (part.images, 10)
        assert scores.odin.shape == (3, 7, part.grid)
        assert scores.mahalanobis.shape == scores.neighbours.shape == (part.grid,)
        assert torch.isfinite(scores.odin).all()
        for row, temperature in enumerate(bank.temperatures):  # no step: from the logits
            stated = scores.odin[row, 0].double()
            assert torch.allclose(stated, bank.baseline(set_name, temperature), rtol=1e-4)
    right = [
        bank.sets[inside].logits.argmax(dim=1) == bank.sets[inside].labels
        for inside in ("cifar10-test", "tuning-inside")
    ]
    assert torch.cat(right).double().mean().item() == pytest.approx(bank.card.accuracy, abs=1e-4)


def test_the_compact_networks_bank_is_of_the_shipped_weights():
    card = checkpoints.load_card("cifar10-compact")
    bank = anomaly.load_bank("cifar10-compact").card
    assert bank.weights_sha256 == card.sha256
    assert bank.accuracy == pytest.approx(card.metrics["test"]["accuracy"], abs=3e-4)


def test_the_paper_networks_effect():
    """The course's bars: TinyImageNet crop as in the paper, resized as antialiased images are."""
    bank = anomaly.load_bank("densenet-cifar10")
    known = bank.baseline("cifar10-test"), bank.odin("cifar10-test", 1000.0, 0.0014)

    def fpr95(name):
        scores = bank.baseline(name), bank.odin(name, 1000.0, 0.0014)
        return [100 * anomaly.fpr_at_tpr(*pair) for pair in zip(known, scores, strict=True)]

    baseline, odin = fpr95("tinyimagenet-crop")
    assert baseline > 40 and odin < 15
    assert fpr95("tinyimagenet-resize") == pytest.approx([63.4, 36.9], abs=3)
    known = bank.sets["cifar10-test"]  # the first 4,000: where the accuracy was found before
    right = known.logits[:4_000].argmax(dim=1) == known.labels[:4_000]
    assert right.double().mean().item() == pytest.approx(0.9398, abs=0.003)


@needs_data
@pytest.mark.parametrize("name", SHIPPED)
def test_a_random_sample_measures_the_same_again(name):
    bank = anomaly.load_bank(name)
    model = recipes.load_classifier(weights_of(name))
    assert checkpoints.sha256_of(weights_of(name)) == bank.card.weights_sha256
    generator = torch.Generator().manual_seed(0)
    for set_name, part in banks.SETS.items():
        images, labels = banks.images_of(part)
        chosen = torch.randperm(part.grid, generator=generator)[:4]
        scores = bank.sets[set_name]
        logits = anomaly.classify(model, images[chosen])
        assert torch.allclose(logits, scores.logits[chosen].double(), atol=2e-3)
        odin = anomaly.odin_scores(model, images[chosen])
        assert odin == pytest.approx(bank.odin(set_name, 1000.0, 0.0014)[chosen], rel=1e-4)
        assert (labels is None) == (scores.labels is None)
        pixels = datasets.pixels_sha256(image[None] / 255 for image in images)
        assert pixels == bank.card.sets[set_name]["images_sha256"]


def test_a_killed_computation_goes_on(tmp_path, monkeypatch):
    part = banks.Part("gaussian", 6, 4)
    inside = banks.Part("cifar10-test", 6, 4)
    monkeypatch.setattr(banks, "SETS", {"inside": inside, "noise": part})
    monkeypatch.setattr(banks, "EPSILONS", (0.0, 0.002))
    drawn = datasets.LabelledImages(
        torch.randint(256, (60, 3, 16, 16), dtype=torch.uint8), torch.arange(60) % 4, None
    )
    monkeypatch.setattr(datasets, "image_set", lambda name, count: replace_first(drawn, 60))
    monkeypatch.setattr(banks, "images_of", lambda part: (drawn.images[:6], drawn.labels[:6]))
    model = anomaly.CompactNet(classes=4, widths=(4, 8, 8))
    weights = save_classifier(tmp_path, model)
    arguments = ("tiny", weights, tmp_path / "out", tmp_path / "runs", "typed")
    first = banks.compute_bank(*arguments, torch.device("cpu"))
    monkeypatch.setattr(banks, "_scores_of", None)  # nothing is computed twice
    again = banks.compute_bank(*arguments, torch.device("cpu"))
    assert json.dumps(first.card.sets) == json.dumps(again.card.sets)
    assert torch.equal(first.sets["noise"].odin, again.sets["noise"].odin)
    assert first.card.cpu_seconds == again.card.cpu_seconds


def replace_first(found, count):
    return replace(found, images=found.images[:count], labels=found.labels[:count])


def save_classifier(folder, model):
    card = checkpoints.Card(
        name="tiny",
        architecture={"classes": 4, "widths": [4, 8, 8]},
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
