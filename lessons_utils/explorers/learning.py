"""Explorer and figures of lesson 03: an SRCNN while it learns.

The snapshots that the explorer shows were made, in eight minutes of one CPU core, by

    python -m lessons_utils.explorers.learning

from the embedded photographs alone, so that everybody can make them again.
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import ipywidgets as widgets
import matplotlib.pyplot as plt
import torch
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle
from torch import Tensor, nn
from tqdm.auto import tqdm

from lessons_utils import checkpoints, datasets, plots, runtime, superres, training
from lessons_utils.explorers.live import live

SCALE = 3
STEPS = (0, 10, 30, 100, 300, 1_000, 3_000, 10_000)
"""When a snapshot was taken; the last is the length of the training."""
TRAINING_PHOTOGRAPHS = ("astronaut", "coffee", "rocket", "camera")
TEST_PHOTOGRAPH = "cat"

_BANK = "srcnn_9_1_5_x3_snapshots"
_BATCH_SIZE = 16
BLUE, RED = "#0072B2", "#D55E00"  # told apart by colour-blind readers too
_LARGEST_ERROR = 30  # levels of 255, the bright end of the error map


@dataclass(frozen=True)
class Way:
    """One way to train the 9-1-5 network."""

    label: str
    start_as_identity: bool
    uses_adam: bool
    """Otherwise SGD with momentum 0.9, on Caffe's loss, at a fixed rate."""
    learning_rate: float
    last_layer_learning_rate: float


WAYS = {
    "identity_adam": Way("Identity start, Adam", True, True, 2e-3, 2e-4),
    "paper_adam": Way("Paper's start, Adam", False, True, 1e-3, 1e-4),
    "paper_sgd": Way("Paper's start, SGD (as in 2015)", False, False, 1e-4, 1e-5),
}


# ---- The bank --------------------------------------------------------------------------------


def empty_bank() -> nn.ModuleDict:
    """Return untrained networks under the names of the snapshots: `WAY-STEP`."""
    return nn.ModuleDict(
        {f"{way}-{step}": superres.SRCNN(9, 1, 5) for way in WAYS for step in STEPS}
    )


def load_bank() -> tuple[nn.ModuleDict, checkpoints.Card]:
    """Return the snapshots that the course ships, verified, and their card."""
    path = runtime.data_path(f"training/{_BANK}.safetensors")
    return checkpoints.load(path, empty_bank())


def train_snapshots(way: Way, steps: tuple[int, ...] = STEPS) -> list[superres.SRCNN]:
    """Train one 9-1-5 network on the embedded photographs, keeping copies on the way.

    Args:
        way: start, optimiser and rates.
        steps: rising; when to keep a copy. The training ends at the last.

    Returns:
        One network for each entry of `steps`, in float32.
    """
    model = superres.SRCNN(9, 1, 5)
    start = (
        superres.initialise_as_identity if way.start_as_identity else superres.initialise_as_paper
    )
    start(model, torch.Generator().manual_seed(0))
    model = model.to(memory_format=torch.channels_last)
    hidden = [*model.patch_extraction.parameters(), *model.mapping.parameters()]
    groups = [
        {"params": hidden, "lr": way.learning_rate},
        {"params": model.reconstruction.parameters(), "lr": way.last_layer_learning_rate},
    ]
    optimizer = torch.optim.Adam(groups) if way.uses_adam else torch.optim.SGD(groups, momentum=0.9)
    scheduler = torch.optim.lr_scheduler.LambdaLR(
        optimizer,
        lambda step: training.cosine_schedule(step, steps[-1], 20) if way.uses_adam else 1.0,
    )
    photographs = [datasets.photograph(name) for name in TRAINING_PHOTOGRAPHS]
    sub_images = superres.SubImages(photographs, SCALE)
    output_pixels = (sub_images.size - 2 * model.margin) ** 2
    caffe_factor = 1.0 if way.uses_adam else output_pixels / 2
    kept = []
    for step in tqdm(range(steps[-1] + 1), desc=way.label, mininterval=5):
        if step in steps:
            kept.append(superres.SRCNN(9, 1, 5))
            kept[-1].load_state_dict(model.state_dict())
        upscaled, high = sub_images.batch(_BATCH_SIZE, torch.Generator().manual_seed(step))
        loss = caffe_factor * superres.pixel_loss(model, upscaled, high, model.margin)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        scheduler.step()
    return kept


def make_bank(folder: Path) -> checkpoints.Card:
    """Train all ways and write the snapshots, as float16, with their card."""
    began, cpu_began = time.perf_counter(), time.process_time()
    bank = nn.ModuleDict()
    for name, way in WAYS.items():
        for step, model in zip(STEPS, train_snapshots(way), strict=True):
            bank[f"{name}-{step}"] = model
    photographs = [datasets.photograph(name) for name in TRAINING_PHOTOGRAPHS]
    seconds, cpu_seconds = time.perf_counter() - began, time.process_time() - cpu_began
    bank = bank.half()
    card = checkpoints.Card(
        name=_BANK,
        architecture={"f1": 9, "f2": 1, "f3": 5, "snapshots": list(bank)},
        command="python -m lessons_utils.explorers.learning",
        seed=0,
        training_data=f"embedded photographs: {', '.join(TRAINING_PHOTOGRAPHS)}",
        training_data_sha256=datasets.pixels_sha256(photographs),
        **checkpoints.circumstances(),
        seconds=round(seconds, 1),
        cpu_seconds=round(cpu_seconds, 1),
        settings={
            "scale": SCALE,
            "batch_size": _BATCH_SIZE,
            "ways": {name: vars(way) for name, way in WAYS.items()},
            "stored_as": "float16",
        },
        metrics={f"{TEST_PHOTOGRAPH}_psnr": measure(bank.float())},
    )
    checkpoints.save(folder, bank.half(), card)
    return card


@torch.inference_mode()
def measure(bank: nn.ModuleDict) -> dict[str, float]:
    """Return the PSNR in dB of each snapshot on the test photograph, by the protocol."""
    image = datasets.photograph(TEST_PHOTOGRAPH)
    _, upscaled, high = superres.prepare(image, SCALE)
    return {
        name: round(superres.score(superres.sharpen(model, upscaled), high, SCALE).psnr, 4)
        for name, model in bank.items()
    }


# ---- The network at a step -------------------------------------------------------------------


@dataclass(frozen=True)
class Frame:
    """What one snapshot makes of a picture."""

    crop: Tensor
    """(S, S), luma, the part that is shown."""
    error: Tensor
    """(S, S), levels of 255 between the crop and the truth, without sign."""
    filters: Tensor
    """(H, W), the 64 first-layer filters as one picture, each on its own scale."""
    psnr: float
    """dB, of the whole picture."""


@dataclass(frozen=True)
class Album:
    """All frames of a picture, by the names of way and step, and what bicubic reaches."""

    frames: dict[tuple[str, int], Frame]
    bicubic_psnr: float


@torch.inference_mode()
def develop(image: Tensor, top: int, left: int, size: int) -> Album:
    """Run all snapshots on a picture and cut the square that is shown.

    Args:
        image: (1, 3, H, W) or (1, 1, H, W), in [0, 1].
        top: first row of the square.
        left: first column of the square.
        size: its side in pixels.

    Raises:
        ValueError: the square leaves the picture.
    """
    bank, _ = load_bank()
    _, upscaled, high = superres.prepare(image, SCALE)
    truth = plots.crop(high, top, left, size)[0, 0]
    frames = {}
    for name, model in bank.items():
        way, step = name.split("-")
        output = superres.sharpen(model, upscaled)
        crop = plots.crop(output, top, left, size)[0, 0]
        frames[way, int(step)] = Frame(
            crop=crop,
            error=(crop - truth).abs() * 255,
            filters=plots.tile(model.patch_extraction.weight, columns=8),
            psnr=superres.score(output, high, SCALE).psnr,
        )
    return Album(frames, superres.score(upscaled, high, SCALE).psnr)


def draw_network_at_step(figure: Figure, album: Album, way: str, step: int) -> str:
    """Draw output, error, filters and the PSNR so far; say the PSNR in a sentence.

    Args:
        figure: empty.
        album: of `develop`.
        way: a key of `WAYS`.
        step: an entry of `STEPS`.
    """
    frame = album.frames[way, step]
    figure.set_layout_engine("none")  # places given: drawn in half the time
    output, error, filters = (figure.add_axes((x, 0.06, 0.23, 0.8)) for x in (0.0, 0.235, 0.47))
    curve = figure.add_axes((0.75, 0.2, 0.24, 0.66))
    plots.draw_picture(output, frame.crop, f"Output, step {step:,}")
    plots.draw_picture(filters, frame.filters, "64 filters, layer 1")
    error.imshow(frame.error.numpy(), vmin=0, vmax=_LARGEST_ERROR, cmap="viridis")
    error.set_title(f"Error (yellow: {_LARGEST_ERROR}+ levels)")
    error.set_axis_off()
    _draw_curve(curve, album, way, step)
    gain = frame.psnr - album.bicubic_psnr
    passes = "above" if gain > 0 else "below"
    return (
        f"{WAYS[way].label}, after {step:,} steps: {frame.psnr:.2f} dB on the whole picture, "
        f"{abs(gain):.2f} dB {passes} bicubic ({album.bicubic_psnr:.2f} dB)."
    )


def _draw_curve(axes: Axes, album: Album, way: str, step: int) -> None:
    so_far = [taken for taken in STEPS if taken <= step]
    places = [STEPS.index(taken) for taken in so_far]
    heights = [album.frames[way, taken].psnr for taken in so_far]
    axes.axhline(album.bicubic_psnr, color="black", linestyle="--", linewidth=1)
    axes.text(-0.2, album.bicubic_psnr + 0.5, "bicubic", va="bottom", fontsize=9)
    axes.plot(places, heights, color=BLUE, marker="o", markersize=4)
    axes.set(xlim=(-0.4, len(STEPS) - 0.6), ylim=(5, 38), title="PSNR so far (dB)", xlabel="step")
    axes.set_xticks(range(len(STEPS)), [_short(taken) for taken in STEPS], fontsize=8)
    axes.grid(axis="y", alpha=0.3)


def _short(step: int) -> str:
    return f"{step // 1000}k" if step >= 1000 else str(step)


def network_at_step(image: Tensor, top: int, left: int, size: int = 110) -> None:
    """Explore how a network learns: its output, error, filters and PSNR at a step of training.

    Args: see `develop`.
    """
    album = develop(image, top, left, size)

    def draw(figure: Figure, way: str, step: int) -> str:
        return draw_network_at_step(figure, album, way, step)

    live(
        draw,
        size=(9.6, 2.75),
        step=widgets.SelectionSlider(options=STEPS, value=300, description="Training step"),
        way=widgets.Dropdown(
            options=[(way.label, name) for name, way in WAYS.items()],
            value="paper_adam",
            description="Training",
        ),
    )


# ---- Figures of the lesson ---------------------------------------------------------------------


def pairs_figure(inputs: Tensor, truths: Tensor, margin: int) -> Figure:
    """Draw sub-images above the truth of their centres.

    Args:
        inputs: (N, 1, S, S), in [0, 1].
        truths: (N, 1, S - 2 margin, S - 2 margin).
        margin: border that the network loses, in pixels; a frame marks what is left.
    """
    side, inner = inputs.shape[-1], truths.shape[-1]
    figure, grid = plt.subplots(2, len(inputs), figsize=(10, 3.7))
    for column, (seen, truth) in enumerate(zip(inputs, truths, strict=True)):
        plots.draw_picture(grid[0, column], seen, "input" if column == 0 else "")
        corner = (margin - 0.5, margin - 0.5)
        frame = Rectangle(corner, inner, inner, fill=False, color="#E69F00", linewidth=2)
        grid[0, column].add_patch(frame)
        plots.draw_picture(grid[1, column], truth, "truth" if column == 0 else "")
    figure.suptitle(
        f"The network sees {side} × {side} blurred pixels and must return "
        f"the {inner} × {inner} inside the frame"
    )
    return figure


def border_figure(right: Tensor, wrong: Tensor, difference: Tensor) -> Figure:
    """Show what degrading a sub-image by itself does to its border.

    Args:
        right: (1, S, S), cut from the degraded whole.
        wrong: (1, S, S), degraded by itself.
        difference: (S, S), mean absolute difference over many sub-images, in levels of 255.
    """
    figure, axes = plt.subplots(1, 4, figsize=(11, 2.8), width_ratios=(1, 1, 1.3, 1.4))
    plots.draw_picture(axes[0], right, "right: whole picture\ndegraded, then cut")
    plots.draw_picture(axes[1], wrong, "wrong: cut, then\ndegraded by itself")
    shown = axes[2].imshow(difference.numpy(), cmap="viridis", vmin=0, vmax=4)
    axes[2].set_title("mean difference\nover all sub-images")
    axes[2].set_axis_off()
    figure.colorbar(shown, ax=axes[2], label="levels of 255")
    middle = slice(len(difference) // 3, -(len(difference) // 3))
    axes[3].plot(difference[middle].mean(dim=0).numpy(), color=BLUE, linewidth=2)
    axes[3].set(xlabel="column (pixels)", ylabel="mean difference (levels)", ylim=(0, 4))
    axes[3].set_title("along the middle rows:\nonly the borders differ")
    return figure


def race_figure(curves: Mapping[str, tuple[int, list[float]]], bicubic: float) -> Figure:
    """Draw two PSNR curves over steps, as a whole and near bicubic.

    Args:
        curves: from a label to the steps between two values, and the values in dB; the first is
            that of the untrained network.
        bicubic: dB.
    """
    figure, (whole, close) = plt.subplots(1, 2, figsize=(10, 3.6))
    for axes in (whole, close):
        axes.axhline(bicubic, color="black", linestyle="--", label="bicubic")
        styles = zip(curves.items(), (BLUE, RED), "os", strict=True)
        for (label, (every, curve)), color, marker in styles:
            steps = range(0, every * len(curve), every)
            axes.plot(steps, curve, color=color, marker=marker, label=label)
        axes.set(xlabel="steps of 32 sub-images", ylabel="PSNR on the cat (dB)")
    whole.set(ylim=(0, 38), title="One starts near bicubic, one from black")
    close.set(ylim=(31.5, 33.6), title="Enlarged: ours passes bicubic")
    whole.legend(loc="lower right")
    return figure


def errors_figure(crops: Mapping[str, Tensor]) -> Figure:
    """Draw pictures above their errors against the last one, the truth.

    Args:
        crops: from a title to a picture (1, 1, H, W) in [0, 1]; the truth comes last.
    """
    *_, truth = crops.values()
    figure, grid = plt.subplots(2, len(crops), figsize=(10, 5.2))
    for column, (title, picture) in enumerate(crops.items()):
        plots.draw_picture(grid[0, column], picture, title)
        grid[1, column].set_axis_off()
        if picture is not truth:
            error = (picture - truth).abs()[0, 0].numpy() * 255
            shown = grid[1, column].imshow(error, cmap="viridis", vmin=0, vmax=_LARGEST_ERROR)
    bar = grid[1, -1].inset_axes([0, 0.03, 0.08, 0.94])
    figure.colorbar(shown, cax=bar, label="error (levels of 255)")
    grid[1, 0].set_title("error: dark is good")
    return figure


def trials_figure(curves: Mapping[str, list[float]], every: int) -> Figure:
    """Draw three PSNR curves, the last as dots, since it lies on the first.

    Args:
        curves: from a label to values in dB, the first that of the untrained network.
        every: steps between two values.
    """
    figure, axes = plt.subplots(figsize=(7, 3.4))
    styles = ((BLUE, "-", ""), (RED, "-", "s"), ("#000000", "", "o"))
    for (name, curve), (color, line, marker) in zip(curves.items(), styles, strict=True):
        steps = range(0, every * len(curve), every)
        axes.plot(steps, curve, color=color, linestyle=line, marker=marker, label=name)
    axes.set(xlabel="step", ylabel="PSNR on the cat (dB)", ylim=(0, 34))
    axes.set_title("The same rate on another scale of the loss: nothing moves")
    axes.legend(loc="upper left")
    return figure


def singular_values_figure(before: Tensor, after: Tensor) -> Figure:
    """Draw a gradient's singular values before and after Muon's step; each (N,)."""
    figure, axes = plt.subplots(figsize=(7, 3.4))
    for values, color, marker, label in (
        (before, RED, "s", "the gradient of layer 2"),
        (after, BLUE, "o", "what Muon makes of it"),
    ):
        directions = range(1, len(values) + 1)
        axes.semilogy(directions, values.numpy(), color=color, marker=marker, label=label)
    axes.set(xlabel="direction", ylabel="singular value", ylim=(1e-4, 10))
    axes.set_title("Muon gives all directions of a gradient about the same length")
    axes.legend(loc="lower left")
    return figure


def table_figure(psnr: Mapping[str, float]) -> Figure:
    """Draw a table's PSNR column as dots, ours in orange.

    Args:
        psnr: from a method to dB, in the order from bottom to top.
    """
    values = list(psnr.values())
    colors = [RED if name.startswith("ours") else BLUE for name in psnr]
    figure, axes = plt.subplots(figsize=(8, 3.4))
    axes.hlines(range(len(values)), 30, values, color="lightgray")
    axes.scatter(values, range(len(values)), color=colors, s=60, zorder=2)
    for height, value in enumerate(values):
        axes.text(value + 0.06, height, f"{value:.2f}", va="center")
    axes.set_yticks(range(len(values)), list(psnr))
    axes.set(xlim=(30, 33.3), xlabel="PSNR on Set5 at x3 (dB)")
    axes.set_title("Five years of super-resolution, and ours (orange)")
    return figure


if __name__ == "__main__":
    torch.set_num_threads(1)
    for name, reached in make_bank(runtime.data_path("training")).metrics["cat_psnr"].items():
        print(f"{name:>24} {reached:.2f} dB")
