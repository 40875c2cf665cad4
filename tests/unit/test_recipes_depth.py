"""What the depth recipes promise, without data sets and in seconds."""

import pytest
import torch
from lightning_fabric import Fabric

from lessons_utils import checkpoints, datasets, depth, recipes, training


@pytest.fixture
def few_rooms(monkeypatch, tmp_path):
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
    for part, count in (("train", 8), ("validation", 4), ("test", 4)):
        monkeypatch.setitem(recipes.depth.ROOMS, part, count)


def train(tmp_path, name="eigen-rooms", steps=1):
    fabric = Fabric(accelerator="cpu", devices=1)
    return recipes.train_depth(name, tmp_path / "out", tmp_path / "runs", fabric, "typed", steps)


def made_up_nyu(count=420):
    """Frames whose white border and extremes can be told; depth says which frame it is."""
    images = torch.zeros(count, 3, 24, 28, dtype=torch.uint8)
    images[..., :4, :] = images[..., -4:, :] = images[..., :4] = images[..., -4:] = 255
    metres = 2 + torch.arange(count).float().view(-1, 1, 1, 1) / 1000 + torch.zeros(1, 1, 24, 28)
    metres[..., 9, 9], metres[..., 11, 11] = 0.7, 9.9
    return images, metres, torch.ones(count, 1, 24, 28, dtype=torch.bool)


def test_nyu_is_cut_halved_masked_and_held_out_in_blocks(monkeypatch):
    monkeypatch.setattr(datasets, "nyu_depth", lambda split, folder: made_up_nyu())
    trained_on, held_out = recipes.nyu_for_training()
    assert trained_on[0].shape[1:] == (3, 8, 10) and len(trained_on[0]) == 380
    assert trained_on[0].max() == 0, "the white frame is cut off"
    images, metres, valid = held_out
    assert len(images) == 40
    frame = ((metres[:, 0, 0, 0] - 2) * 1000).round().int().tolist()
    assert frame == list(range(200, 240)), "neighbours are held out together"
    assert not valid[:, 0, 2, 2].any() and not valid[:, 0, 3, 3].any(), "nearest and farthest"
    assert valid.sum() == 40 * (8 * 10 - 2)


def test_the_coarse_network_stands_still_in_the_second_stage(monkeypatch, few_rooms, tmp_path):
    fit, seen = training.fit, []

    def watch(model, optimizer, *rest, **named):
        held = {id(p) for group in optimizer.param_groups for p in group["params"]}
        seen.append((type(model), held == {id(p) for p in model.parameters()}))
        return fit(model, optimizer, *rest, **named)

    monkeypatch.setattr(training, "fit", watch)
    train(tmp_path)
    assert seen == [(depth.CoarseNetwork, True), (depth.FineNetwork, True)]


def test_a_coarse_network_that_moves_is_noticed(monkeypatch, few_rooms, tmp_path):
    initialise, fit, models = depth.initialise, training.fit, []

    def remember(model, *rest):
        models.append(model)
        initialise(model, *rest)

    def spoil(model, *rest, **named):
        result = fit(model, *rest, **named)
        if isinstance(model, depth.FineNetwork):
            models[-1].coarse.hidden.bias.data += 1
        return result

    monkeypatch.setattr(depth, "initialise", remember)
    monkeypatch.setattr(training, "fit", spoil)
    with pytest.raises(RuntimeError, match="was to stand still"):
        train(tmp_path)


def test_a_run_goes_on_with_the_same_recipe_only(monkeypatch, few_rooms, tmp_path):
    first = train(tmp_path)
    again = train(tmp_path)  # both stages are found finished
    assert first.sha256 == again.sha256
    changed = recipes.depth.replace(recipes.DEPTH["eigen-rooms"], weight_decay=0.1)
    monkeypatch.setitem(recipes.DEPTH, "eigen-rooms", changed)
    with pytest.raises(ValueError, match=r"weight_decay.*Give another folder"):
        train(tmp_path)


def test_nyus_recipe_starts_from_the_rooms(monkeypatch, tmp_path):
    frames = (
        torch.randint(0, 256, (60, 3, 240, 320), dtype=torch.uint8),
        1 + torch.rand(60, 1, 240, 320),
        torch.ones(60, 1, 240, 320, dtype=torch.bool),
    )
    monkeypatch.setattr(recipes.depth, "_BLOCK", 5)
    monkeypatch.setattr(datasets, "nyu_depth", lambda split, folder=None: frames)
    card = train(tmp_path, "eigen-nyu")
    start = checkpoints.load_card("eigen-rooms")
    assert card.settings["start_sha256"] == start.sha256
    trained = depth.EigenDepth(**card.architecture)
    checkpoints.load(tmp_path / "out" / "eigen-nyu.safetensors", trained)
    shipped = recipes.load_eigen("eigen-rooms")
    change = (trained.coarse.hidden.weight - shipped.coarse.hidden.weight).abs().max()
    assert 0 < change < 0.01
    assert not torch.equal(trained.coarse.mean_depth, shipped.coarse.mean_depth)
