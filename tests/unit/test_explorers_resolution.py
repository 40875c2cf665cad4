import pytest
import torch
from matplotlib.figure import Figure
from skimage.metrics import peak_signal_noise_ratio

from lessons_utils import datasets, superres
from lessons_utils.explorers.resolution import METHODS, ScaleAndInterpolation


@pytest.fixture(scope="module")
def explorer():
    return ScaleAndInterpolation(datasets.photograph("coffee"), top=250, left=20, size=96)


def draw(explorer, **values):
    figure = Figure(figsize=(8, 3), dpi=80, layout="constrained")
    sentence = explorer.draw(figure, **values)
    figure.canvas.draw()
    return figure, sentence


def test_the_default_state_says_the_psnr_of_the_protocol(explorer):
    figure, sentence = draw(explorer, scale=3, method="bicubic", antialias=True)
    _, upscaled, high = superres.prepare(datasets.photograph("coffee"), 3)
    assert f"PSNR {superres.score(upscaled, high, 3).psnr:.2f} dB" in sentence
    assert "by 3 with antialiasing" in sentence
    assert len(figure.axes) == 4  # three pictures and the colour bar


@pytest.mark.parametrize("scale", [2, 6])
@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("antialias", [True, False])
def test_every_extreme_draws_and_its_numbers_are_right(explorer, scale, method, antialias):
    figure, sentence = draw(explorer, scale=scale, method=method, antialias=antialias)
    result, truth = explorer.enlarged(scale, method, antialias)
    inner = (0, 0, slice(scale, -scale), slice(scale, -scale))
    expected = peak_signal_noise_ratio(truth[inner].numpy(), result[inner].numpy(), data_range=255)
    largest = (result - truth)[0, 0, 250:346, 20:116].abs().max()
    assert f"PSNR {expected:.2f} dB" in sentence
    assert f"largest error is {largest:.0f} levels" in sentence
    assert f"{expected:.2f} dB" in figure.axes[1].get_title()


def test_shrinking_by_3_without_antialiasing_takes_every_third_pixel(explorer):
    result, truth = explorer.enlarged(3, "nearest", antialias=False)
    taken = truth[..., 1::3, 1::3]
    assert torch.equal(result, taken.repeat_interleave(3, -1).repeat_interleave(3, -2))


def test_the_lesson_s_trap_holds(explorer):
    def quality(scale, antialias):
        result, truth = explorer.enlarged(scale, "bicubic", antialias)
        return superres.psnr(result, truth, peak=255).item()

    assert quality(2, antialias=False) > quality(2, antialias=True)
    assert quality(3, antialias=False) < quality(3, antialias=True)


def test_a_gray_photograph_is_accepted():
    explorer = ScaleAndInterpolation(datasets.photograph("camera"), top=0, left=0, size=64)
    assert "dB" in draw(explorer, scale=4, method="bilinear", antialias=True)[1]
