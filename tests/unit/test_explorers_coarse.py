import copy
import itertools
import math
from pathlib import Path

import jupytext
import matplotlib.pyplot as plt
import pytest
import torch
from matplotlib.figure import Figure
from torch import nn

from lessons_utils import depth, plots
from lessons_utils.explorers import coarse
from lessons_utils.scenes import rooms

LESSON = Path(__file__).parents[2] / "notebooks" / "source" / "06_coarse_depth.py"


@pytest.fixture
def figure():
    return Figure(figsize=(9.6, 2.9), dpi=80, layout="constrained")


@pytest.fixture(scope="module")
def network():
    torch.manual_seed(0)
    model = depth.EigenDepth(**depth.sizes_of(depth.SMALL))
    frames = (
        torch.randint(0, 256, (2, 3, 120, 160), dtype=torch.uint8),
        torch.full((2, 1, 120, 160), 2.0),
        torch.ones(2, 1, 120, 160, dtype=torch.bool),
    )
    depth.initialise(model, frames, torch.Generator().manual_seed(0))
    return model.coarse.eval()


@pytest.fixture(scope="module")
def pictures():
    return torch.rand(2, 3, 194, 152, generator=torch.Generator().manual_seed(1))


def defined_in_lesson(header, **names):
    """Run the one cell of the lesson that starts with `header`, and return what it defines."""
    cells = [
        cell.source
        for cell in jupytext.read(LESSON).cells
        if cell.cell_type == "code" and cell.source.startswith(header)
    ]
    assert len(cells) == 1
    exec(cells[0], names)
    return names


# ---- The lesson's cells and the package ----------------------------------------------------------


@pytest.mark.parametrize("sizes", [depth.SMALL, depth.Architecture(coarse_maps=(4, 4, 4, 4, 4))])
def test_the_lesson_builds_the_coarse_network_of_the_package(sizes):
    mine = defined_in_lesson("class Coarse", torch=torch, nn=nn)["Coarse"](sizes).eval()
    theirs = depth.CoarseNetwork(sizes).eval()
    missing, unexpected = mine.load_state_dict(theirs.state_dict(), strict=False)
    assert (missing, unexpected) == ([], ["mean_depth"])
    images = torch.rand(2, 3, *sizes.coarse_input)
    torch.testing.assert_close(mine(images), theirs(images))


@pytest.mark.parametrize("invariance", [0.0, 0.5, 1.0])
def test_the_lesson_computes_the_loss_of_the_package(invariance):
    loss_of = defined_in_lesson("def loss_of", torch=torch)["loss_of"]
    prediction, target = torch.randn(2, 3, 1, 5, 6)
    valid = torch.rand(3, 1, 5, 6) > 0.3
    torch.testing.assert_close(
        loss_of(prediction, target, valid, invariance),
        depth.scale_invariant_loss(prediction, target, valid, invariance),
    )


def test_the_answer_to_the_misprint_gives_the_figure_s_sizes():
    sizes = defined_in_lesson("def pooled_sizes")["pooled_sizes"]
    right = {"Coarse 1": (2, 2), "Coarse 2": (3, 2), "Coarse 5": (3, 2)}
    assert sizes(right, 228, 304) == "27 x 37 -> 13 x 18 -> 6 x 8"
    assert sizes(right, 172, 576) == "20 x 71 -> 9 x 35 -> 4 x 17"
    wrong = [
        dict(zip(right, pools, strict=True))
        for pools in itertools.product([(1, 1), (2, 2), (3, 2)], repeat=3)
        if pools != tuple(right.values())
    ]
    both = [(sizes(pools, 228, 304), sizes(pools, 172, 576)) for pools in wrong]
    assert (sizes(right, 228, 304), sizes(right, 172, 576)) not in both


# ---- The loss ------------------------------------------------------------------------------------


@pytest.mark.parametrize("factor", [0.5, 1.0, 2.0])
@pytest.mark.parametrize("shape_error", [0.0, 0.5])
@pytest.mark.parametrize("invariance", [0.0, 0.5, 1.0])
def test_the_loss_separates_into_shape_and_scale(figure, factor, shape_error, invariance):
    truth = torch.linspace(1, 4, 160)
    sentence = coarse.draw_losses(figure, truth, factor, shape_error, invariance)
    figure.canvas.draw()
    for lam in (0.0, invariance, 1.0):
        expected = shape_error**2 + (1 - lam) * math.log(factor) ** 2
        assert f"{expected + 1e-9:.3f} for λ = {lam:g}" in sentence
    assert f"{factor:.2f} times too deep" in sentence
    heights = [bar.get_height() for bar in figure.axes[2].patches]
    assert heights == sorted(heights, reverse=True)


def test_the_wobble_is_an_error_of_shape_alone():
    wave = coarse.wobble(160)
    assert wave.mean().item() == pytest.approx(0, abs=1e-6)
    assert wave.std(correction=0).item() == pytest.approx(1)


def test_a_profile_with_holes_is_refused():
    with pytest.raises(ValueError, match="positive depth"):
        coarse.losses(torch.tensor([1.0, 0.0, 2.0]))


# ---- Edits ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", coarse.EDITS)
@pytest.mark.parametrize("amount", [0, 4, 40])
def test_an_edit_changes_what_it_says(figure, network, pictures, name, amount):
    seen, edited = pictures[..., 40:154, :], coarse.edit(pictures, name, amount)
    assert edited.shape == seen.shape
    where, kind = coarse.EDITS[name]
    if kind == "shift":
        moved, still = (edited, seen) if where == "up" else (seen, edited)
        assert torch.equal(moved[..., : 114 - amount, :], still[..., amount:, :])
    else:
        covered = amount * (152 if where in ("top", "bottom") else 114)
        assert (edited != seen).any(dim=1).sum() == pytest.approx(2 * covered, rel=0.01)
    sentence = coarse.draw_edit(figure, network, pictures, 1, name, amount)
    figure.canvas.draw()
    assert f"Room 2, {name} by {amount} pixels" in sentence
    if amount == 0:
        assert "+0.0 % on average, and by 0 % where most" in sentence


def test_the_sentence_says_what_an_independent_computation_finds(figure, network, pictures):
    sentence = coarse.draw_edit(figure, network, pictures, 0, "cover the bottom", 40)
    picture = pictures[:1, :, 40:154]
    covered = picture.clone()
    covered[..., 74:, :] = coarse.GRAY
    with torch.no_grad():
        before, after = (network(part).exp()[0, 0] for part in (picture, covered))
    seen = slice(0, (74 - 5 + 3) // 4)  # rows 5, 9, ... 73 of the picture are still seen
    change = 100 * (after[seen] / before[seen] - 1)
    assert f"{after[seen].mean():.2f} m, {before[seen].mean():.2f} m before" in sentence
    assert f"{change.mean():+.1f} % on average" in sentence


def test_a_lifted_picture_is_compared_with_itself_moved_along():
    log_depth = torch.arange(26.0)[:, None].expand(26, 36) / 10
    before, after = coarse.before_and_after(log_depth, log_depth, (114, 152), "lift the picture", 8)
    assert before[0, 0].log().item() == pytest.approx(0.2)  # two rows moved up
    assert after[0, 0].log().item() == pytest.approx(0.0)
    assert before[-2:].isnan().all() and not before[:-2].isnan().any()


def test_a_shift_by_a_part_of_a_cell_is_refused():
    with pytest.raises(ValueError, match="multiple of 4"):
        coarse.before_and_after(
            torch.zeros(26, 36), torch.zeros(26, 36), (114, 152), "lift the picture", 3
        )


def test_the_explorer_leaves_the_network_as_it_is(monkeypatch, network, pictures):
    mine = copy.deepcopy(network).train()
    draws = []
    monkeypatch.setattr(coarse, "live", lambda draw, **controls: draws.append(draw))
    coarse.edits(mine, pictures)
    assert mine.training and all(part.training for part in mine.modules())
    with torch.no_grad():
        mine.output.bias.zero_()
    state = {"room": 0, "name": "cover the top", "amount": 4}
    expected = coarse.draw_edit(Figure(), network, pictures, **state)
    assert draws[0](Figure(), **state) == expected  # of the network as it was given


def test_a_tall_room_has_the_frame_in_its_middle():
    seed = rooms.seeds("test", 100)[34]
    tall = coarse.tall_rooms([seed], (114, 152))
    frame = torch.from_numpy(rooms.sample_frame(seed).rgb).permute(2, 0, 1)[None]
    middle = coarse.edit(tall, "cover the top", 0)
    difference = middle - depth.centre_crop(frame, (114, 152))
    assert tall.shape == (1, 3, 194, 152)
    assert difference.abs().mean().item() < 0.06  # its noise and its exposure are its own


# ---- Pictures of depth ---------------------------------------------------------------------------


def test_a_camera_that_walks_nearer_is_nearer_by_the_factor():
    here, nearer = coarse.walk_nearer(rooms.seeds("test", 100)[34], 1.25)
    middle = (..., 60, 80)
    assert (here[1][middle] / nearer[1][middle]).item() == pytest.approx(1.25, rel=0.01)
    _, zoomed = coarse.zoom(*here, 1.25)
    assert zoomed[middle].item() == pytest.approx(here[1][middle].item(), rel=0.02)
    assert zoomed.shape == here[1].shape


def test_figures_share_one_colour_scale_in_metres():
    images = torch.rand(2, 3, 24, 32)
    metres = torch.linspace(1, 4, 24 * 32).view(1, 1, 24, 32).repeat(2, 1, 1, 1)
    whole = coarse.whole_figure(images, metres, [(1, 2), (3, 4)], size=5)
    columns = {"near": (images[:1], metres[:1]), "far": (images[1:], 2 * metres[1:])}
    rows = coarse.depth_rows_figure(columns)
    results = coarse.results_figure(images, metres, 1.5 * metres, ["a", "b"], mean=metres)
    for figure, bars in ((whole, 1), (rows, 1), (results, 2)):
        figure.canvas.draw()
        assert [axes.get_ylabel() for axes in figure.axes].count("metres") == bars
    assert rows.axes[2].images[0].get_clim() == plots.depth_limits(metres[:1], 2 * metres[1:])
    assert results.axes[1].images[0].get_clim() == plots.depth_limits(metres[0], 1.5 * metres[0])
    plt.close("all")
