import pytest
import torch
from matplotlib.figure import Figure
from skimage.metrics import peak_signal_noise_ratio

from lessons_utils import datasets, superres
from lessons_utils.explorers import learning


@pytest.fixture(scope="module")
def album():
    return learning.develop(datasets.photograph("cat"), top=70, left=110, size=110)


def draw(album, way, step):
    figure = Figure(figsize=(9.6, 2.75), dpi=80, layout="constrained")
    sentence = learning.draw_network_at_step(figure, album, way, step)
    figure.canvas.draw()
    return figure, sentence


def test_the_snapshots_are_those_of_the_card(album):
    _, card = learning.load_bank()
    assert card.command == "python -m lessons_utils.explorers.learning"
    assert card.architecture["snapshots"] == list(learning.empty_bank())
    for name, expected in card.metrics["cat_psnr"].items():
        way, step = name.split("-")
        assert album.frames[way, int(step)].psnr == pytest.approx(expected, abs=0.01)


def test_the_card_names_the_pictures_trained_on():
    _, card = learning.load_bank()
    photographs = [datasets.photograph(name) for name in learning.TRAINING_PHOTOGRAPHS]
    assert card.training_data_sha256 == datasets.pixels_sha256(photographs)
    assert learning.TEST_PHOTOGRAPH not in learning.TRAINING_PHOTOGRAPHS


@pytest.mark.parametrize("way", learning.WAYS)
@pytest.mark.parametrize("step", [0, 300, 10_000])
def test_the_sentence_says_what_an_independent_computation_finds(album, way, step):
    bank, _ = learning.load_bank()
    _, upscaled, high = superres.prepare(datasets.photograph("cat"), 3)
    with torch.inference_mode():
        output = bank[f"{way}-{step}"](upscaled)
    levels = [
        (part * 255).round().clamp(0, 255)[0, 0, 3:-3, 3:-3].numpy() for part in (high, output)
    ]
    expected = peak_signal_noise_ratio(*levels, data_range=255)
    bicubic = superres.score(upscaled, high, 3).psnr
    figure, sentence = draw(album, way, step)
    assert f"{expected:.2f} dB on the whole picture" in sentence
    assert f"after {step:,} steps" in sentence
    assert learning.WAYS[way].label in sentence
    side = "above" if expected > bicubic else "below"
    assert f"{abs(expected - bicubic):.2f} dB {side} bicubic" in sentence
    assert f"step {step:,}" in figure.axes[0].get_title()


def test_the_curve_stops_at_the_step(album):
    figure, _ = draw(album, "paper_adam", 300)
    psnr_line = figure.axes[3].lines[1]
    expected = [album.frames["paper_adam", step].psnr for step in (0, 10, 30, 100, 300)]
    assert psnr_line.get_ydata() == pytest.approx(expected)


def test_the_lesson_s_answers_hold(album):
    def first_above_bicubic(way):
        passing = [s for s in learning.STEPS if album.frames[way, s].psnr > album.bicubic_psnr]
        return passing[0]

    assert [first_above_bicubic(way) for way in learning.WAYS] == [30, 10_000, 10_000]


def test_training_again_begins_with_the_same_snapshots():
    bank, _ = learning.load_bank()
    for name, way in learning.WAYS.items():
        start, _ = learning.train_snapshots(way, steps=(0, 1))
        kept = bank[f"{name}-0"]
        assert all(
            torch.allclose(a, b, rtol=1e-3, atol=1e-7)
            for a, b in zip(start.parameters(), kept.parameters(), strict=True)
        )


def test_a_square_outside_the_picture_is_refused():
    with pytest.raises(ValueError, match="leaves the"):
        learning.develop(datasets.photograph("cat"), top=250, left=0, size=110)
