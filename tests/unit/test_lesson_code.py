"""Where a lesson shows a finished form in a cell, that cell and the package stay the same thing."""

from pathlib import Path

import jupytext
import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessons_utils import anomaly, checkpoints, depth, superres

SOURCES = Path(__file__).parents[2] / "notebooks" / "source"


def defined_in(lesson, header, **names):
    """Run the one cell of a lesson that starts with `header`, and return what it defines."""
    notebook = jupytext.read(SOURCES / f"{lesson}.py")
    cells = [
        cell.source
        for cell in notebook.cells
        if cell.cell_type == "code" and cell.source.startswith(header)
    ]
    assert len(cells) == 1, f"{lesson} has {len(cells)} cells that start with {header!r}"
    exec(cells[0], names)
    return names


@pytest.fixture(scope="module")
def lesson_srcnn():
    return defined_in("02_srcnn_layers", "class SRCNN", torch=torch, nn=nn, F=F)["SRCNN"]


@pytest.mark.parametrize("sizes", [(), (9, 1, 5), (9, 3, 5), (11, 1, 7, 16, 8)])
def test_lesson_02_builds_the_srcnn_of_the_package(lesson_srcnn, sizes):
    theirs, ours = lesson_srcnn(*sizes), superres.SRCNN(*sizes)
    shapes = {name: tuple(value.shape) for name, value in theirs.state_dict().items()}
    assert shapes == {name: tuple(value.shape) for name, value in ours.state_dict().items()}
    theirs.load_state_dict(ours.state_dict())
    picture = torch.rand(2, 1, 33, 40, generator=torch.Generator().manual_seed(0))
    for same_size in (True, False):
        torch.testing.assert_close(theirs(picture, same_size), ours(picture, same_size))
    torch.testing.assert_close(theirs(picture), ours(picture))


def test_lesson_02_takes_the_shipped_weights(lesson_srcnn):
    ours, _ = checkpoints.load("srcnn-9-1-5-x3", superres.SRCNN(9, 1, 5))
    theirs = lesson_srcnn(9, 1, 5)
    theirs.load_state_dict(ours.state_dict())
    picture = torch.rand(1, 1, 30, 30, generator=torch.Generator().manual_seed(0))
    torch.testing.assert_close(theirs(picture), ours(picture))


def test_lesson_02_layer_by_hand_is_a_convolution():
    by_hand = defined_in("02_srcnn_layers", "def layer_by_hand", F=F)["layer_by_hand"]
    layer, maps = nn.Conv2d(3, 4, 5), torch.rand(1, 3, 12, 9)
    torch.testing.assert_close(by_hand(maps, layer), layer(maps))


def test_lesson_07_builds_the_fine_network_of_the_package():
    theirs = defined_in("07_fine_depth", "class FineNetwork", nn=nn, torch=torch, F=F)
    ours = depth.FineNetwork(depth.SMALL)
    copy = theirs["FineNetwork"](maps=depth.SMALL.fine_maps)
    copy.load_state_dict(ours.state_dict())
    generator = torch.Generator().manual_seed(0)
    picture = torch.rand(2, 3, 114, 152, generator=generator)
    coarse = torch.rand(2, 1, 26, 36, generator=generator)
    torch.testing.assert_close(copy(picture, coarse), ours(picture, coarse))


def test_lesson_14_builds_the_odin_of_the_package():
    lesson = defined_in("14_odin_detector", "class Odin", torch=torch, anomaly=anomaly)["Odin"]
    torch.manual_seed(0)
    model = anomaly.CompactNet(widths=(8, 12, 16))
    images = torch.rand(40, 3, 32, 32)
    for temperature, epsilon in ((1000.0, 0.0014), (10.0, 0.004), (1.0, 0.0)):
        theirs = lesson(model, temperature, epsilon).fit(images)
        ours = anomaly.fit_detector(model, images, temperature, epsilon)
        torch.testing.assert_close(theirs.score(images), ours.scores(images), rtol=1e-6, atol=0)
        assert theirs.delta == pytest.approx(ours.threshold, rel=1e-6)
        assert theirs.accepts(images).sum() == ours.accepts(images).sum() == 38
