"""Pictures as `imshow` wants them, grids of maps, and figures with alternative text."""

import base64
import colorsys

import matplotlib.pyplot as plt
import numpy as np
import pytest
import torch
from PIL import Image

from lessons_utils import plots


@pytest.mark.parametrize(
    ("shape", "expected"),
    [((5, 7), (5, 7)), ((1, 5, 7), (5, 7)), ((1, 1, 5, 7), (5, 7)), ((1, 3, 5, 7), (5, 7, 3))],
)
def test_to_array(shape, expected):
    array = plots.to_array(torch.rand(shape) * 2)
    assert isinstance(array, np.ndarray) and array.shape == expected
    assert array.ndim == 2 or array.max() <= 1


def test_a_picture_row_has_one_title_a_picture():
    figure = plots.picture_row({f"picture {i}": torch.rand(8, 8) for i in range(5)}, columns=3)
    assert [axes.get_title() for axes in figure.axes] == [
        *(f"picture {i}" for i in range(5)),
        "",
    ]
    plt.close(figure)


def test_each_tile_has_its_own_scale():
    maps = torch.stack([torch.linspace(0, 1, 16).view(4, 4), torch.linspace(5, 9, 16).view(4, 4)])
    grid = plots.tile(maps, columns=2)
    assert grid.shape == (6, 11)
    assert torch.allclose(grid[1:5, 1:5], grid[1:5, 6:10], atol=1e-4)


def test_crop_refuses_to_leave_the_picture():
    assert plots.crop(torch.rand(1, 3, 9, 9), 1, 2, 5).shape == (1, 3, 5, 5)
    with pytest.raises(ValueError, match="leaves the 9 x 9 picture"):
        plots.crop(torch.rand(9, 9), 5, 0, 5)


def test_show_publishes_the_figure_with_its_text(monkeypatch, tmp_path):
    published = []
    monkeypatch.setattr(plots, "display", lambda data, **rest: published.append((data, rest)))
    figure = plots.picture_row({"noise": torch.rand(8, 8)})
    plots.show(figure, alt="Some noise.")
    data, rest = published[0]
    assert data["text/plain"] == "Some noise."
    assert rest["metadata"]["image/png"]["alt"] == "Some noise."
    (tmp_path / "figure.png").write_bytes(base64.b64decode(data["image/png"]))
    assert Image.open(tmp_path / "figure.png").size[0] > 100
    assert not plt.fignum_exists(figure.number)
    with pytest.raises(ValueError, match="what the figure shows"):
        plots.show(figure, alt=" ")


def test_depth_is_drawn_on_one_scale_with_missing_pixels_apart():
    near, far = torch.full((1, 1, 4, 6), 1.0), torch.full((1, 1, 4, 6), 3.0)
    far[..., 0, 0], far[..., 0, 1] = 0, torch.nan
    picture = torch.rand(1, 3, 4, 6)
    figure = plots.depth_row({"picture": picture, "near": near, "far": far})
    assert [axes.get_title() for axes in figure.axes[:3]] == ["picture", "near", "far"]
    shown = [axes.images[0] for axes in figure.axes[1:3]]
    assert all(image.get_clim() == (1, 3) for image in shown)
    assert shown[1].get_array().mask.sum() == 2
    assert figure.axes[3].get_ylabel() == "metres"


def test_depth_needs_a_depth():
    with pytest.raises(ValueError, match="every pixel is missing"):
        plots.depth_limits(torch.zeros(1, 1, 2, 2))
    with pytest.raises(ValueError, match="at least one depth map"):
        plots.depth_limits()


@pytest.mark.parametrize("limits", [None, (1.0, 3.0)])
def test_a_row_of_depth_needs_a_depth_map(limits):
    with pytest.raises(ValueError, match="picture_row"):
        plots.depth_row({"picture": torch.rand(1, 3, 4, 6)}, limits=limits)


def test_several_depth_maps_stand_in_one_axes_where_they_are_put():
    axes = plt.figure().subplots()
    for place in ((0, 3, 0, 2), (4, 7, 0, 2)):
        drawn = plots.draw_depth(axes, torch.ones(1, 1, 4, 6), limits=(1, 3), extent=place)
        assert tuple(drawn.get_extent()) == place
    plt.close()


def test_flow_s_colours_say_where_to_and_how_far():
    directions = {"right": (4, 0), "down": (0, 4), "left": (-4, 0), "up": (0, -4)}
    flow = torch.tensor([*directions.values(), (0, 0)]).float().T.view(1, 2, 1, 5)
    right, down, left, up, still = plots.flow_colours(flow, 4.0)[0, :, 0].T
    assert torch.equal(right, torch.tensor([1.0, 0, 0])) and torch.equal(still, torch.ones(3))
    assert torch.allclose(left, torch.tensor([0.0, 1, 1]), atol=1e-6)  # the other way round
    assert torch.allclose(down, torch.tensor([0.5, 1, 0]), atol=1e-6)
    assert torch.allclose(up, 1 - down, atol=1e-6)
    halfway = plots.flow_colours(flow / 2, 4.0)[0, :, 0, :4]
    torch.testing.assert_close(halfway, (1 + plots.flow_colours(flow, 4.0)[0, :, 0, :4]) / 2)
    assert torch.allclose(plots.flow_colours(9 * flow, 4.0), plots.flow_colours(flow, 4.0))


def test_flow_s_hue_is_that_of_the_colour_circle():
    angles = torch.linspace(0, 2 * torch.pi, 25)[:-1]
    flow = torch.stack([angles.cos(), angles.sin()]).view(1, 2, 1, 24)
    colours = plots.flow_colours(flow, 1.0)[0, :, 0].T.numpy()
    wanted = [colorsys.hsv_to_rgb(number / 24, 1, 1) for number in range(24)]
    np.testing.assert_allclose(colours, wanted, atol=1e-5)


def test_flow_that_is_missing_or_no_flow():
    flow = torch.tensor([torch.nan, 1.0]).view(1, 2, 1, 1)
    assert torch.equal(plots.flow_colours(flow, 1.0), torch.full((1, 3, 1, 1), 0.75))
    for shape, longest in (((1, 3, 4, 4), 1.0), ((2, 4, 4), 1.0), ((1, 2, 4, 4), 0.0)):
        with pytest.raises(ValueError, match="Expected flow"):
            plots.flow_colours(torch.zeros(shape), longest)


def test_arrows_point_where_the_flow_goes():
    flow = torch.tensor([0.0, 5.0]).view(1, 2, 1, 1).expand(1, 2, 48, 96).clone()
    flow[..., :48] = 0.1  # too short for an arrow
    axes = plt.figure().subplots()
    plots.draw_flow(axes, flow, "down", longest=10.0, spacing=24)
    (quiver,) = axes.collections
    assert quiver.N == 2 * 2 and (quiver.X > 48).all()
    assert np.allclose(quiver.U, 0) and np.allclose(quiver.V, 12)
    plt.close()


def test_a_row_of_flow_has_a_wheel():
    picture, flow, mask = (torch.rand(1, channels, 8, 24) for channels in (3, 2, 1))
    figure = plots.flow_row({"seen": picture, "flow": flow, "mask": mask}, 5.0, columns=2)
    assert [axes.get_title() for axes in figure.axes] == ["seen", "flow", "mask", "rim: 5 pixels"]
    plt.close(figure)
