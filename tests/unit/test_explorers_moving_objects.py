import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.colors import to_rgb
from matplotlib.figure import Figure

from lessons_utils import motion
from lessons_utils.explorers import moving_objects
from lessons_utils.scenes import streets

FLOWS = ("exact flow", "no flow", "shifted flow")


@pytest.fixture(scope="module")
def street():
    return streets.sample_sequence(streets.seeds("test", 27)[26], frames=2)


@pytest.fixture(scope="module")
def explorer(street):
    there, back = street.flow(0, 1), street.flow(1, 0)
    forward, backward = (torch.from_numpy(flow.full)[None] for flow in (there, back))
    still = torch.zeros_like(forward)
    return moving_objects.HiddenPixels(
        torch.from_numpy(street.rgb[0]).permute(2, 0, 1)[None],
        torch.from_numpy(there.occluded)[None, None],
        ~torch.from_numpy(there.outside)[None, None],
        dict(
            zip(
                FLOWS,
                [(forward, backward), (still, still), (forward + 2, backward + 2)],
                strict=True,
            )
        ),
    )


def draw(explorer, **values):
    figure = Figure(figsize=(11, 3), dpi=80, layout="constrained")
    sentence = explorer.draw(figure, **values)
    figure.canvas.draw()
    return figure, sentence


def test_the_default_state_says_precision_and_recall(explorer, street):
    figure, sentence = draw(explorer, flow="exact flow", bound=3.0, share=0.05)
    there = street.flow(0, 1)
    forward, backward = (torch.from_numpy(flow.full)[None] for flow in (there, street.flow(1, 0)))
    flagged = ~motion.consistency_mask(forward, backward).numpy()[0, 0] & ~there.outside
    both = (flagged & there.occluded).sum()
    assert len(figure.axes) == 2
    assert f"{flagged.sum()} pixels are flagged" in sentence
    assert f"{100 * both / flagged.sum():.0f} % of them are hidden" in sentence
    assert f"{100 * both / there.occluded.sum():.0f} % of the hidden ones" in sentence


@pytest.mark.parametrize("flow", FLOWS)
@pytest.mark.parametrize("bound", [0.25, 10.0])
@pytest.mark.parametrize("share", moving_objects.SHARES)
def test_every_extreme_draws(explorer, flow, bound, share):
    _, sentence = draw(explorer, flow=flow, bound=bound, share=share)
    assert sentence.startswith(f"{flow}, bound {bound:g} pixels or {100 * share:.0f} %")
    assert "nan" not in sentence


def test_two_zero_flows_never_disagree(explorer):
    _, sentence = draw(explorer, flow="no flow", bound=0.25, share=0.0)
    assert ": 0 pixels are flagged" in sentence and "0 % of the hidden ones" in sentence


def test_a_larger_bound_flags_less(explorer):
    counts = []
    for bound in moving_objects.BOUNDS:
        _, sentence = draw(explorer, flow="shifted flow", bound=bound, share=0.0)
        counts.append(int(re.search(r": (\d+) pixels", sentence)[1]))
    assert counts == sorted(counts, reverse=True) and counts[0] > counts[-1]


@pytest.fixture(scope="module")
def rebuilt(street):
    frames = torch.from_numpy(street.rgb).permute(0, 3, 1, 2)
    there = street.flow(0, 1)
    masks = {"visible": there.visible, "moving": street.moving[0] & there.visible}
    flows = {"full flow": there.full, "rigid flow": there.rigid, "no flow": 0 * there.full}
    return moving_objects.RebuiltFrame(
        frames[:1],
        frames[1:],
        {name: torch.from_numpy(mask)[None, None] for name, mask in masks.items()},
        {name: torch.from_numpy(flow)[None] for name, flow in flows.items()},
    )


def told(sentence):
    return [float(number) for number in re.findall(r"0\.\d{3}", sentence)]


def test_the_whole_exact_flow_rebuilds_the_target(rebuilt):
    figure, sentence = draw(rebuilt, flow="full flow", share=1.0)
    warped, _ = motion.inverse_warp(rebuilt.source, rebuilt.flows["full flow"])
    error = motion.photometric_error(rebuilt.target, warped)
    assert len(figure.axes) == 2 and sentence.startswith("100 % of the full flow: ")
    wanted = [error[mask].mean().item() for mask in rebuilt.regions.values()]
    assert told(sentence) == pytest.approx(wanted, abs=6e-4)
    _, rigid = draw(rebuilt, flow="rigid flow", share=1.0)
    assert told(rigid)[1] > 2 * told(sentence)[1]  # what moves


@pytest.mark.parametrize("flow", ["full flow", "rigid flow"])
def test_nothing_of_a_flow_leaves_the_source(rebuilt, flow):
    _, sentence = draw(rebuilt, flow=flow, share=0.0)
    _, none = draw(rebuilt, flow="no flow", share=1.0)
    assert told(sentence) == told(none)


def test_judged_pixels_have_the_colour_of_their_kind():
    found = torch.tensor([True, False, True, False, True]).view(1, 1, 1, 5)
    truth = torch.tensor([True, True, False, False, True]).view(1, 1, 1, 5)
    valid = torch.tensor([True, True, True, True, False]).view(1, 1, 1, 5)
    picture = moving_objects.judged(torch.ones(1, 3, 1, 5), found, truth, valid)[0, :, 0].T
    kinds = (moving_objects.CAUGHT, moving_objects.MISSED, moving_objects.FALSE)
    for number, colour in enumerate(kinds):
        assert np.allclose(picture[number], to_rgb(colour), atol=1e-6)
    assert picture[3].unique().item() == 0.75 and (picture[4] > 0.9).all()


def test_bins_hold_the_means_of_their_pixels():
    needed = torch.tensor([0.2, 0.4, 1.5, 9.0, 50.0])
    rows = moving_objects.binned(needed, needed / 2, (0, 1, 2, 5, 10))
    for row, wanted in zip(
        rows, ([0.3, 1.5, torch.nan, 9], [0.15, 0.75, torch.nan, 4.5]), strict=True
    ):
        torch.testing.assert_close(row, torch.tensor(wanted), equal_nan=True)


def test_the_figures_of_the_lesson_draw():
    rows = torch.rand(2, 5)
    figures = [
        moving_objects.repair_figure({"moving": tuple(rows), "static": tuple(rows + 1)}),
        moving_objects.bars_figure({"a": {"x": 1, "y": 2}, "b": {"x": 0, "y": 3}}, "px", "t"),
        moving_objects.judged_figure({name: torch.rand(1, 3, 8, 20) for name in "abc"}),
    ]
    for figure in figures:
        figure.canvas.draw()
        plt.close(figure)
