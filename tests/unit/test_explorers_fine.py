import dataclasses
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from matplotlib.figure import Figure

from lessons_utils import depth
from lessons_utils.explorers import fine

ROOMS = 3


@pytest.fixture(scope="module")
def frames():
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(0, 256, (ROOMS, 3, 120, 160), dtype=torch.uint8, generator=generator)
    truth = torch.rand(ROOMS, 1, 120, 160, generator=generator) + 1.5
    valid = torch.rand(ROOMS, 1, 120, 160, generator=generator) > 0.2
    return images, truth, valid


@pytest.fixture(scope="module")
def model(frames):
    sizes = dataclasses.replace(depth.SMALL, coarse_maps=(4, 4, 4, 4, 4), hidden=8, fine_maps=4)
    model = depth.EigenDepth(**depth.sizes_of(sizes))
    depth.initialise(model, frames, torch.Generator().manual_seed(0))
    with torch.no_grad():  # maps that differ from room to room
        model.coarse.output.weight.mul_(20)
    return model.eval()


@pytest.fixture(scope="module")
def draw(model, frames):
    return fine.borrowed_map_picture(model, frames)


def drawn(draw, **values):
    figure = Figure(figsize=(10, 2.7), dpi=80, layout="constrained")
    sentence = draw(figure, **values)
    figure.canvas.draw()
    return figure, sentence


def numbers(sentence):
    return [float(number) for number in re.findall(r"\d\.\d{3}", sentence)]


def rmse_log(prediction, truth, valid):
    d = prediction.double().log() - truth.double().log()
    return float(d[valid].square().mean().sqrt())


def test_with_its_own_map_the_answer_is_what_predict_says(model, frames, draw):
    images, truth, valid = (depth.centre_crop(part, (114, 152)) for part in frames)
    maps = depth.predict(model, images)
    for index in range(ROOMS):
        figure, sentence = drawn(draw, room=f"room {index + 1}", whose=fine.OWN, amount=1.0)
        expected = [
            rmse_log(maps[key][index], truth[index], valid[index]) for key in ("fine", "coarse")
        ]
        answer, whole, alone = numbers(sentence)
        assert (answer, alone) == pytest.approx(expected, abs=6e-4)
        assert whole == answer
        assert f"room {index + 1} with 100% of the coarse map of the same room" in sentence
        assert len(figure.axes[0].images) == 4


@pytest.mark.parametrize("whose", ["room 2", fine.MEAN])
@pytest.mark.parametrize("amount", [0.0, 0.3, 1.0])
def test_a_borrowed_map_goes_in_by_the_amount(model, frames, draw, whose, amount):
    images, truth, valid = (depth.centre_crop(part, (114, 152)) for part in frames)
    pictures = depth.to_unit(images)
    with torch.no_grad():
        borrowed = (
            model.coarse(pictures[1:2]) if whose == "room 2" else model.coarse.mean_depth.log()
        )
        output = model.fine(pictures[:1], amount * borrowed)
    answer = depth.to_frame(output, (114, 152), (114, 152)).exp()
    figure, sentence = drawn(draw, room="room 1", whose=whose, amount=amount)
    assert numbers(sentence)[0] == pytest.approx(rmse_log(answer, truth[:1], valid[:1]), abs=6e-4)
    assert f"{amount:.0%} of the coarse map of {whose}" in sentence
    given = figure.axes[0].images[1].get_array()
    assert np.allclose(given, (amount * borrowed).exp()[0, 0])


def test_what_the_fine_network_skips_stays_in_its_place(frames):
    sizes = dataclasses.replace(
        depth.SMALL, fine_input=(82, 152), coarse_maps=(4, 4, 4, 4, 4), hidden=8, fine_maps=4
    )
    model = depth.EigenDepth(**depth.sizes_of(sizes))
    depth.initialise(model, frames, torch.Generator().manual_seed(0))
    images, truth, valid = (depth.centre_crop(part, (114, 152)) for part in frames)
    with torch.no_grad():  # a floor that comes nearer, so that its place counts
        model.coarse.output.bias += torch.linspace(1, 0, 18).repeat_interleave(36)
    maps = depth.predict(model, images)
    _, sentence = drawn(
        fine.borrowed_map_picture(model, frames), room="room 1", whose=fine.OWN, amount=1.0
    )
    expected = [rmse_log(maps[key][0], truth[0], valid[0]) for key in ("fine", "fine", "coarse")]
    assert numbers(sentence) == pytest.approx(expected, abs=6e-4)


def test_the_explorer_leaves_the_model_as_it_is(model, frames):
    mine = depth.EigenDepth(**depth.sizes_of(model.architecture))
    mine.load_state_dict(model.state_dict())
    draw = fine.borrowed_map_picture(mine.train(), frames)
    assert all(part.training for part in mine.modules())
    state = {"room": "room 1", "whose": "room 2", "amount": 0.5}
    expected = drawn(fine.borrowed_map_picture(model, frames), **state)[1]
    with torch.no_grad():
        mine.fine.output.bias += 1
    assert drawn(draw, **state)[1] == expected  # of the model as it was given


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU")
def test_a_model_on_the_gpu_is_drawn_too(model, frames):
    there = depth.EigenDepth(**depth.sizes_of(model.architecture))
    there.load_state_dict(model.state_dict())
    draw = fine.borrowed_map_picture(there.cuda(), frames)
    drawn(draw, room="room 1", whose=fine.OWN, amount=1.0)
    assert there.coarse.mean_depth.is_cuda


def test_the_amount_does_not_matter_to_a_network_that_does_not_look(model, frames):
    deaf = depth.EigenDepth(**depth.sizes_of(model.architecture))
    deaf.load_state_dict(model.state_dict())
    with torch.no_grad():
        deaf.fine.mixing.weight[:, -1] = 0  # the coarse map is the last that comes in
    draw = fine.borrowed_map_picture(deaf, frames)
    answers = {
        numbers(drawn(draw, room="room 1", whose="room 3", amount=amount)[1])[0]
        for amount in (0.0, 1.0)
    }
    assert len(answers) == 1


def test_rows_share_a_colour_scale_within_a_row_only():
    images = torch.rand(2, 3, 12, 16)
    near = torch.linspace(1, 2, 12 * 16).view(1, 1, 12, 16)
    maps = {"coarse": torch.cat([near, 5 * near]), "truth": torch.cat([near + 1, 5 * near])}
    maps["truth"][0, 0, 0, 0] = torch.nan
    figure = fine.rows_figure(images, maps, ["best", "worst"])
    figure.canvas.draw()
    limits = [axes.images[-1].get_clim() for axes in figure.axes[:6]]
    assert limits[1] == limits[2] != limits[4] == limits[5]
    assert limits[1][0] == pytest.approx(1, abs=0.1)
    assert limits[1][1] == pytest.approx(3, abs=0.1)
    assert len(figure.axes) == 6 + 2  # and two colour bars
    plt.close(figure)


def test_a_cloud_seen_from_the_left_and_from_above():
    ahead, right, up = (
        torch.tensor([point]).float() for point in ((0, 0, 1), (1, 0, 0), (0, -1, 0))
    )
    from_left, from_above = fine._rotation(90, 0).T, fine._rotation(0, 90).T
    assert torch.allclose(ahead @ from_left, -right, atol=1e-6)  # far from us lies to the left
    assert torch.allclose(right @ from_left, ahead, atol=1e-6)  # the right wall is the far one
    assert torch.allclose(ahead @ from_above, up, atol=1e-6)  # as on a map
    assert torch.allclose(up @ from_above, -ahead, atol=1e-6)  # what is high is near the viewer


def test_the_nearer_point_covers_the_farther_one():
    points = torch.tensor([[0.0, 0, 1], [0, 0, 2], [0.5, 0, 2]])
    colours = torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1]])
    picture = fine._painted(points, colours, reach=1.0, width=100)
    assert picture.shape == (80, 100, 3)
    assert np.allclose(picture[40, 50], [1, 0, 0])
    assert np.allclose(picture[40, 75], [0, 0, 1])
    assert not (picture == np.array([0, 1, 0])).all(axis=2).any()


def test_figures_show_what_they_are_given():
    image = torch.rand(3, 20, 30)
    lines = {"truth": torch.rand(20, 30), "coarse": torch.rand(20, 30)}
    figure = fine.profile_figure(image, lines, row=7)
    for line, values in zip(figure.axes[1].lines, lines.values(), strict=True):
        assert np.allclose(line.get_ydata(), values[7])

    figure = fine.fields_figure(image, {"half": (0.5, 0.5), "all": (1, 1)})
    box = figure.axes[0].patches[0]
    assert (box.get_height(), box.get_width()) == (10, 15)

    step = torch.tensor([0.0, 0, 1, 1])
    figure = fine.steps_figure(step, {"too far": step + 0.5, "right": step})
    assert np.allclose(figure.axes[0].lines[1].get_ydata(), step + 0.5)

    curves = {"all": [0.3, 0.2], "edges": [0.4, 0.3]}
    figure = fine.training_figure([0, 40], curves, {"all": 0.31, "edges": 0.41})
    solid, dashed = figure.axes[0].lines[:2]
    assert list(solid.get_ydata()) == [0.3, 0.2]
    assert set(dashed.get_ydata()) == {0.31}

    error = torch.rand(1, 20, 30)
    figure = fine.errors_figure(image, error > 0.5, {"coarse": error, "fine": error / 2})
    assert np.allclose(figure.axes[2].images[-1].get_array(), error[0])
    assert figure.axes[2].images[-1].get_clim() == figure.axes[3].images[-1].get_clim()
    plt.close("all")
