"""Weights and cards: verified on load, written whole, and measured again."""

import dataclasses
import json
import os

import pytest
import torch
from torch import nn

from lessons_utils import checkpoints, datasets, depth, recipes, superres

needs_data = pytest.mark.skipif(
    not os.environ.get("LESSONS_DATA"), reason="LESSONS_DATA is not set"
)


def make_card(name="tiny"):
    return checkpoints.Card(
        name=name,
        architecture={"in_features": 3},
        command="python -m lessons_utils train tiny",
        seed=0,
        training_data="none",
        training_data_sha256="",
        date="2026-01-01",
        hardware=checkpoints.describe_hardware(),
        versions={"torch": torch.__version__},
        seconds=1.0,
        cpu_seconds=1.0,
        settings={},
    )


@pytest.fixture
def saved(tmp_path):
    model = nn.Linear(3, 2)
    return model, checkpoints.save(tmp_path, model, make_card())


def test_there_and_back(saved):
    model, path = saved
    loaded, card = checkpoints.load(path, nn.Linear(3, 2))
    assert torch.equal(loaded.weight, model.weight) and not loaded.training
    assert card.sha256 == checkpoints.sha256_of(path)
    assert sorted(file.name for file in path.parent.iterdir()) == ["tiny.json", "tiny.safetensors"]


def test_changed_weights_are_refused(saved):
    _, path = saved
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    with pytest.raises(ValueError, match="not what its card describes"):
        checkpoints.load(path, nn.Linear(3, 2))


def test_truncated_weights_are_refused(saved):
    _, path = saved
    path.write_bytes(path.read_bytes()[:-4])
    with pytest.raises(ValueError, match="cut short"):
        checkpoints.load(path, nn.Linear(3, 2))


def test_weights_of_another_architecture_are_refused(saved):
    with pytest.raises(ValueError, match="do not fit"):
        checkpoints.load(saved[1], nn.Linear(4, 2))


def test_a_broken_or_missing_card_is_named(saved):
    card = saved[1].with_suffix(".json")
    card.write_text(json.dumps({"name": "tiny"}))
    with pytest.raises(ValueError, match="no card of this course"):
        checkpoints.load(saved[1], nn.Linear(3, 2))
    card.unlink()
    with pytest.raises(FileNotFoundError, match="no card"):
        checkpoints.load(saved[1], nn.Linear(3, 2))


def test_a_wrong_name_lists_the_right_ones():
    with pytest.raises(FileNotFoundError, match="srcnn-9-5-5-x3"):
        checkpoints.load("srcnn-9-9-9", nn.Linear(1, 1))


def test_every_recipe_has_shipped_weights():
    shipped = set(checkpoints.checkpoint_names())
    kinds = (recipes.SUPER_RESOLUTION, recipes.DEPTH, recipes.CLASSIFIERS, recipes.MOTION)
    assert {name for kind in kinds for name in kind} == shipped


@pytest.mark.parametrize("name", recipes.SUPER_RESOLUTION)
def test_card_says_where_the_weights_come_from(name):
    _, card = checkpoints.load(name, recipes.SUPER_RESOLUTION[name].build_model())
    assert card.name == name
    assert card.command.startswith(f"python -m lessons_utils train {name}")
    assert card.training_data.startswith("T91")
    assert len(card.training_data_sha256) == 64
    assert card.cpu_seconds > 60
    for field in ("steps", "learning_rate", "last_layer_learning_rate", "batch_size"):
        recipe = recipes.SUPER_RESOLUTION[name]
        assert card.settings[field] == getattr(recipe, field), "the card is of another recipe"


# The bars that the course sets itself: Set5, dB.
BARS = {
    "srcnn-9-5-5-x3": 32.75,
    "srcnn-9-1-5-x3": 32.45,
    "srcnn-9-5-5-x2": 36.60,
    "srcnn-9-5-5-x4": 30.45,
}


@needs_data
@pytest.mark.parametrize("name", BARS)
def test_shipped_weights_measure_what_their_card_says(name):
    recipe = recipes.SUPER_RESOLUTION[name]
    model, card = checkpoints.load(name, recipe.build_model())
    scores = superres.evaluate(model, datasets.super_resolution_set("Set5"), recipe.scale)
    stated = card.metrics["set5"]
    assert scores["psnr"] == pytest.approx(stated["psnr"], abs=0.002)
    assert scores["ssim"] == pytest.approx(stated["ssim"], abs=2e-4)
    assert scores["psnr"] >= BARS[name]


@needs_data
def test_training_data_is_what_the_cards_say():
    training_images, held_out = recipes.split_t91(datasets.super_resolution_set("T91"))
    assert len(training_images) == 83 and len(held_out) == 7
    found = datasets.pixels_sha256(training_images)
    for name in recipes.SUPER_RESOLUTION:
        assert checkpoints.load_card(name).training_data_sha256 == found


@pytest.mark.parametrize("name", recipes.DEPTH)
def test_depth_card_says_where_the_weights_come_from(name):
    recipe, card = recipes.DEPTH[name], checkpoints.load_card(name)
    recipes.load_eigen(name)  # the hash agrees, and the weights fit
    assert card.command.startswith(f"python -m lessons_utils train {name}")
    assert len(card.training_data_sha256) == 64
    assert card.cpu_seconds > 60
    for field in dataclasses.fields(recipe):  # a card may be older than a setting
        stated = card.settings.get(field.name, field.default)
        assert stated == getattr(recipe, field.name), "the card is of another recipe"


def test_the_nyu_networks_started_from_the_shipped_rooms():
    rooms = checkpoints.load_card("eigen-rooms")
    assert checkpoints.load_card("eigen-nyu").settings["start_sha256"] == rooms.sha256


def test_depth_bars_on_rendered_rooms():
    """The card's numbers; the test below measures them again."""
    stated = checkpoints.load_card("eigen-rooms").metrics["rooms"]
    mean, coarse, fine = (stated[name] for name in ("mean", "coarse", "fine"))
    assert coarse["abs_rel"] <= 0.6 * mean["abs_rel"]
    assert fine["abs_rel"] <= coarse["abs_rel"] and fine["rmse_log"] <= coarse["rmse_log"]
    assert stated["edges"]["fine"]["rmse_log"] < stated["edges"]["coarse"]["rmse_log"]
    assert stated["edges"]["fine"]["abs_rel"] < stated["edges"]["coarse"]["abs_rel"]


def test_the_coarse_networks_have_not_collapsed():
    for name, recipe in recipes.DEPTH.items():
        collapse = checkpoints.load_card(name).metrics[recipe.data]["collapse"]["coarse"]
        assert collapse["spread"] > 0.5 * collapse["true_spread"]
        assert collapse["correlation"] > 0.5


@pytest.mark.parametrize(
    "name",
    ["eigen-rooms", pytest.param("eigen-nyu", marks=needs_data)],
)
def test_shipped_depth_weights_measure_what_their_card_says(name):
    model, data = recipes.load_eigen(name), recipes.DEPTH[name].data
    measured = depth.evaluate(model, recipes.frames_for_test(data), crop=data == "nyu")
    stated = checkpoints.load_card(name).metrics[data]
    for network in ("mean", "coarse", "fine"):
        assert measured[network] == pytest.approx(stated[network], rel=2e-3)
        assert measured["edges"][network] == pytest.approx(stated["edges"][network], rel=2e-3)


def test_depth_bar_on_nyu():
    stated = checkpoints.load_card("eigen-nyu").metrics["nyu"]
    assert stated["mean"]["abs_rel"] == pytest.approx(0.402, rel=0.03)  # the protocol is right
    assert stated["mean"]["rmse_log"] == pytest.approx(0.425, rel=0.03)
    assert min(stated["coarse"]["abs_rel"], stated["fine"]["abs_rel"]) <= 0.29


@needs_data
def test_depth_training_data_is_what_the_card_says():
    trained_on, held_out = recipes.nyu_for_training()
    assert len(trained_on[0]) + len(held_out[0]) == 795
    pictures = [image[None] / 255 for image in trained_on[0]]
    assert (
        datasets.pixels_sha256(pictures) == checkpoints.load_card("eigen-nyu").training_data_sha256
    )
