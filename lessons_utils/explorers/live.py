"""The widget under every explorer: controls, a picture redrawn in place, a sentence about it."""

from __future__ import annotations

import base64
import html
import io
from collections.abc import Callable

import ipywidgets as widgets
import numpy as np
import PIL.Image
from IPython.display import display
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.transforms import Bbox

_FAST, _SMALL = 1, 6
"""PNG compression: while a learner moves a control, and for the picture that the notebook keeps."""

_CAPTION = '<div role="status" aria-live="polite" style="line-height: 1.4">{}</div>'
_ERROR = '<div role="alert" style="color: #b00020; line-height: 1.4"><b>{}</b>: {}</div>'


def live(
    draw: Callable[..., str],
    size: tuple[float, float] = (7, 3),
    dpi: int = 80,
    **controls: widgets.Widget,
) -> None:
    """Show controls above a picture that is redrawn whenever one of them moves.

    The output also keeps the picture and the sentence of the controls' first values. A notebook
    that is read without a kernel (on GitHub, in a PDF, reopened but not run) shows these instead.

    Args:
        draw: called as `draw(figure, **values)` with an empty figure of constrained layout and the
            value of each control under its name. Returns one sentence that says what is shown,
            with its numbers. What is slow belongs before the call of `live`, not into `draw`.
            Axes keep the places of the first picture as long as their number stays the same, so
            draw the same titles and labels in every state.
        size: width and height of the figure, in inches.
        dpi: pixels per inch.
        **controls: core ipywidgets, each with a `description`, by the name that `draw` knows.

    Raises:
        ValueError: no control, or one without a description, so that nobody could tell what it is.
        TypeError: `draw` returned something else than a sentence.
        Exception: whatever `draw` raises. When a control was moved, the message also stands under
            the picture, in red.
    """
    box, png, sentence = build(draw, size, dpi, **controls)
    display(
        {
            "application/vnd.jupyter.widget-view+json": {
                "version_major": 2,
                "version_minor": 0,
                "model_id": box.model_id,
            },
            "image/png": base64.b64encode(png).decode(),
            "text/plain": sentence,
        },
        metadata={"image/png": {"alt": sentence}},
        raw=True,
    )


def build(
    draw: Callable[..., str],
    size: tuple[float, float] = (7, 3),
    dpi: int = 80,
    **controls: widgets.Widget,
) -> tuple[widgets.VBox, bytes, str]:
    """Make the widget of `live` without displaying it.

    Returns:
        The widget (its children: the controls' box, the `Image`, the sentence as `HTML`), the
        first picture as a small PNG, and the first sentence. Raises as `live` does.
    """
    _check_controls(controls)
    pixels = f"{round(size[0] * dpi)}px"
    layout = _LayoutOnce()

    def render() -> tuple[PIL.Image.Image, str]:
        # A new figure is cheaper than clearing an old one, and nothing can be left over in it.
        figure = Figure(figsize=size, dpi=dpi, layout=layout, facecolor="white")
        FigureCanvasAgg(figure)
        values = {name: control.value for name, control in controls.items()}
        return _render(figure, draw, values)

    first, sentence = render()
    picture = widgets.Image(
        value=_png(first, _FAST), format="png", layout={"width": pixels, "max_width": "100%"}
    )
    caption = widgets.HTML(_CAPTION.format(html.escape(sentence)), layout={"max_width": pixels})

    def redraw(_change: object) -> None:
        try:
            image, sentence = render()
        except Exception as error:
            message = html.escape(str(error)).replace("\n", "<br>")
            caption.value = _ERROR.format(type(error).__name__, message)
            raise
        picture.value = _png(image, _FAST)
        caption.value = _CAPTION.format(html.escape(sentence))

    for control in controls.values():
        control.style.description_width = "initial"  # never cut a label short
        control.observe(redraw, names="value")
    row = widgets.HBox(
        list(controls.values()), layout={"flex_flow": "row wrap", "grid_gap": "0 16px"}
    )
    return widgets.VBox([row, picture, caption]), _png(first, _SMALL), sentence


class _LayoutOnce(ConstrainedLayoutEngine):
    """Constrained layout for the first picture, whose places every later one takes.

    That is half of a small figure's drawing time, and the axes stand still while a control moves.
    A picture with another number of axes gets a layout of its own.
    """

    def __init__(self) -> None:
        super().__init__()
        self._places: dict[int, list[Bbox]] = {}

    def execute(self, figure: Figure) -> None:
        """Give the figure's axes their places; matplotlib calls this before it draws."""
        places = self._places.get(len(figure.axes))
        if places is None:
            super().execute(figure)
            self._places[len(figure.axes)] = [
                axes.get_position(original=True).frozen() for axes in figure.axes
            ]
            return
        for axes, place in zip(figure.axes, places, strict=True):
            axes.set_position(place, which="original")


def _check_controls(controls: dict[str, widgets.Widget]) -> None:
    if not controls:
        raise ValueError("An explorer needs at least one control, for example an IntSlider.")
    for name, control in controls.items():
        if not getattr(control, "description", "").strip():
            raise ValueError(
                f"The control {name!r} has no description. Give it one that a reader understands, "
                f"as in {type(control).__name__}(description='scale', ...)."
            )


def _render(
    figure: Figure, draw: Callable[..., str], values: dict[str, object]
) -> tuple[PIL.Image.Image, str]:
    sentence = draw(figure, **values)
    if not isinstance(sentence, str) or not sentence.strip():
        raise TypeError(
            "An explorer's draw function returns one sentence that says what the picture shows; "
            f"it returned {sentence!r}."
        )
    for axes in figure.axes:
        if not axes.axison:  # matplotlib measures the ticks of hidden axes; a fifth of its time
            axes.xaxis.set_visible(False)
            axes.yaxis.set_visible(False)
    figure.canvas.draw()
    return PIL.Image.fromarray(np.asarray(figure.canvas.buffer_rgba())).convert("RGB"), sentence


def _png(image: PIL.Image.Image, compression: int) -> bytes:
    stream = io.BytesIO()
    image.save(stream, format="png", compress_level=compression)
    return stream.getvalue()
