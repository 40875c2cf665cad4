"""The widget under the explorers, from the kernel's side, without a browser."""

import base64
import io

import ipywidgets as widgets
import numpy as np
import PIL.Image
import pytest

from lessons_utils import explorers
from lessons_utils.explorers.live import build


def draw(figure, k, shape="sine"):
    if k == 13:
        raise ZeroDivisionError("no <picture> for 13")
    x = np.linspace(0, 6, 100)
    axes = figure.subplots()
    axes.plot(x, np.sin(k * x) if shape == "sine" else np.sign(np.sin(k * x)))
    axes.set_title("a wave")
    return f"A {shape} wave with k = {k}, and 1 < 2."


def slider(**settings):
    return widgets.IntSlider(**{"value": 2, "min": 0, "max": 20, "description": "k"} | settings)


def pixels(png):
    return np.asarray(PIL.Image.open(io.BytesIO(png)))


@pytest.fixture
def shown(monkeypatch):
    """What `live` hands to IPython's display."""
    calls = []
    monkeypatch.setitem(
        explorers.live.__globals__, "display", lambda data, **options: calls.append((data, options))
    )
    return calls


def test_moving_a_control_changes_the_picture_and_the_sentence():
    k = slider()
    box, _, _ = build(draw, k=k)
    _, picture, caption = box.children
    first = picture.value
    assert "A sine wave with k = 2, and 1 &lt; 2." in caption.value
    k.value = 9
    assert (pixels(picture.value) != pixels(first)).any()
    assert "A sine wave with k = 9" in caption.value
    k.value = 2
    assert (pixels(picture.value) == pixels(first)).all()


def test_every_control_reaches_draw_under_its_name():
    shape = widgets.Dropdown(options=["sine", "square"], description="shape")
    box, _, sentence = build(draw, k=slider(), shape=shape)
    assert sentence == "A sine wave with k = 2, and 1 < 2."
    shape.value = "square"
    assert "A square wave" in box.children[2].value


def test_output_holds_view_picture_and_sentence(shown):
    assert explorers.live(draw, size=(5, 2), dpi=60, k=slider()) is None
    ((data, options),) = shown
    view = data["application/vnd.jupyter.widget-view+json"]
    assert view["model_id"]
    assert view["version_major"] == 2
    assert data["text/plain"] == "A sine wave with k = 2, and 1 < 2."
    assert options == {"raw": True, "metadata": {"image/png": {"alt": data["text/plain"]}}}
    assert pixels(base64.b64decode(data["image/png"])).shape == (120, 300, 3)


def test_stored_picture_and_widget_show_the_same():
    box, png, _ = build(draw, k=slider())
    assert (pixels(png) == pixels(box.children[1].value)).all()


def test_first_picture_is_the_same_in_every_run(shown):
    explorers.live(draw, k=slider())
    explorers.live(draw, k=slider())
    assert shown[0][0]["image/png"] == shown[1][0]["image/png"]


def test_draw_gets_an_empty_figure_each_time():
    axes_found = []

    def counting(figure, k):
        axes_found.append(len(figure.axes))
        return draw(figure, k)

    k = slider()
    build(counting, k=k)
    k.value = 3
    assert axes_found == [0, 0]


def test_axes_keep_their_places_while_a_control_moves():
    places = []

    def wide_labels(figure, k):
        axes = figure.subplots()
        axes.plot([0, 10**k])
        places.append(axes)
        return f"A line up to {10**k}."

    k = slider()
    build(wide_labels, k=k)
    k.value = 6
    first, second = (axes.get_position(original=True).bounds for axes in places)
    assert first == second


def test_number_of_axes_may_change():
    def grid(figure, k):
        for axes in figure.subplots(1, k, squeeze=False).flat:
            axes.plot([1, 2])
        return f"{k} axes."

    k = slider()
    box, _, _ = build(grid, k=k)
    for count in (3, 2, 1):
        k.value = count
        assert f"{count} axes." in box.children[2].value


def test_an_exception_is_shown_and_raised_and_the_widget_goes_on():
    k = slider()
    box, _, _ = build(draw, k=k)
    _, _, caption = box.children
    with pytest.raises(ZeroDivisionError, match="no <picture>"):
        k.value = 13
    assert "ZeroDivisionError" in caption.value
    assert "no &lt;picture&gt; for 13" in caption.value
    k.value = 3
    assert "ZeroDivisionError" not in caption.value
    assert "k = 3" in caption.value


def test_an_exception_in_the_first_picture_stops_the_cell(shown):
    with pytest.raises(ZeroDivisionError):
        explorers.live(draw, k=slider(value=13))
    assert not shown


@pytest.mark.parametrize("description", ["", "  "])
def test_a_control_without_description_is_refused(description):
    with pytest.raises(ValueError, match=r"'k' has no description.*IntSlider"):
        explorers.live(draw, k=slider(description=description))


def test_no_control_is_refused():
    with pytest.raises(ValueError, match="at least one control"):
        explorers.live(draw)


@pytest.mark.parametrize("answer", [None, "", 3])
def test_draw_must_say_what_it_shows(answer):
    with pytest.raises(TypeError, match="one sentence"):
        explorers.live(lambda figure, k: answer, k=slider())
