"""Depth from one image: the coarse and the fine network, their losses, and how they are measured.

Lesson 05 derives the metrics, lesson 06 the coarse network and the losses, lesson 07 the fine
network. The reference is Eigen, Puhrsch, Fergus, "Depth Map Prediction from a Single Image using a
Multi-Scale Deep Network", NeurIPS 2014 (arXiv 1406.2283); the gradient term is that of Eigen and
Fergus, ICCV 2015.

A set of frames is a tuple `(images, depth, valid)`: uint8 (N, 3, H, W); float32 (N, 1, H, W),
metres along the optical axis; bool (N, 1, H, W), where depth may be used. The networks take images
in [0, 1] and return the natural logarithm of depth, a quarter as large as their input: the output
at row m, column n belongs to row 4 m + 5, column 4 n + 5 of the input, as in the authors' code.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Frames = tuple[Tensor, Tensor, Tensor]

STRIDE, FIRST = 4, 5
"""The output at m belongs to pixel STRIDE m + FIRST of the input, in rows and in columns."""

# Of the pixels of indoor images, roughly: brings the networks' inputs near mean 0, deviation 1.
_MEAN, _DEVIATION = 0.45, 0.27


# ---- The networks ------------------------------------------------------------------------------


@dataclass(frozen=True)
class Architecture:
    """Sizes of the two networks; the defaults are the paper's (its figure 1).

    What the figure's sizes imply but it does not print: pooling after Coarse 1 is 2 x 2, after
    Coarse 2, Coarse 5 and Fine 1 it is 3 x 3 with stride 2 (lessons 06 and 07).
    """

    coarse_input: tuple[int, int] = (228, 304)
    """Height and width of what the coarse network sees: the whole view."""
    fine_input: tuple[int, int] = (228, 304)
    """Of what the fine network sees: the bottom of the same picture."""
    first_kernel: int = 11
    first_stride: int = 4
    coarse_maps: tuple[int, int, int, int, int] = (96, 256, 384, 384, 256)
    hidden: int = 4096
    fine_maps: int = 64
    """With the coarse map, which is one of them."""

    @property
    def output_size(self) -> tuple[int, int]:
        """Height and width of both networks' output."""
        return tuple(((size - 9) // 2 + 1) // 2 for size in self.fine_input)

    @property
    def skipped(self) -> tuple[int, int]:
        """Rows above and columns left of what the fine network sees, which no output covers."""
        return tuple(a - b for a, b in zip(self.coarse_input, self.fine_input, strict=True))


NYU = Architecture()
KITTI = Architecture(coarse_input=(172, 576), fine_input=(116, 576))
SMALL = Architecture(
    coarse_input=(114, 152),
    fine_input=(114, 152),
    first_kernel=7,
    first_stride=2,
    coarse_maps=(32, 64, 96, 96, 64),
    hidden=512,
    fine_maps=32,
)
"""The laptop's variant: half the resolution, fewer maps; every layer and idea of the original."""


class CoarseNetwork(nn.Module):
    """Sees the whole picture at once and draws a blurred depth map (lesson 06; paper, 3.1.1).

    Five convolutions, then two fully connected layers: each pixel of the output depends on each
    pixel of the input. The output is linear, since log depth may have either sign.

    Args:
        architecture: the sizes.

    Example:
        >>> CoarseNetwork(SMALL)(torch.rand(2, 3, 114, 152)).shape
        torch.Size([2, 1, 26, 36])
    """

    mean_depth: Tensor

    def __init__(self, architecture: Architecture = NYU) -> None:
        super().__init__()
        self.architecture = architecture
        m1, m2, m3, m4, m5 = architecture.coarse_maps
        self.features = nn.Sequential(
            nn.Conv2d(3, m1, architecture.first_kernel, architecture.first_stride),
            nn.ReLU(),
            nn.MaxPool2d(2),
            nn.Conv2d(m1, m2, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(m2, m3, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(m3, m4, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(m4, m5, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        with torch.no_grad():
            seen = self.features(torch.zeros(1, 3, *architecture.coarse_input)).numel()
        self.hidden = nn.Linear(seen, architecture.hidden)
        self.dropout = nn.Dropout(0.5)
        height, width = architecture.output_size
        self.output = nn.Linear(architecture.hidden, height * width)
        self.register_buffer("mean_depth", torch.ones(1, 1, height, width))

    def forward(self, images: Tensor) -> Tensor:
        """Return log depth.

        Args:
            images: (B, 3, H, W) in [0, 1], H and W those of `architecture.coarse_input`.

        Returns:
            (B, 1, h, w), h and w those of `architecture.output_size`.

        Raises:
            ValueError: the images have another size, or are uint8.
        """
        _check_images(images, self.architecture.coarse_input)
        features = self.features(_normalised(images)).flatten(1)
        hidden = self.dropout(F.relu(self.hidden(features)))
        return self.output(hidden).unflatten(1, (1, *self.architecture.output_size))


class FineNetwork(nn.Module):
    """Sharpens the coarse map with what it sees close by (lesson 07; paper, 3.1.2).

    Convolutions only: an output pixel sees 45 x 45 pixels of the picture and, through the coarse
    map that joins the first layer's maps, a summary of all the rest. Pooling after the first layer
    is 3 x 3 with stride 2, as in the authors' code; the 2 x 2 of the paper's figure gives the same
    sizes, but a view of 43 x 43, not the 45 x 45 of its text.

    Args:
        architecture: the sizes.

    Example:
        >>> FineNetwork(SMALL)(torch.rand(2, 3, 114, 152), torch.rand(2, 1, 26, 36)).shape
        torch.Size([2, 1, 26, 36])
    """

    def __init__(self, architecture: Architecture = NYU) -> None:
        super().__init__()
        self.architecture = architecture
        maps = architecture.fine_maps
        self.edges = nn.Conv2d(3, maps - 1, 9, stride=2)
        self.mixing = nn.Conv2d(maps, maps, 5, padding=2)
        self.output = nn.Conv2d(maps, 1, 5, padding=2)

    def forward(self, images: Tensor, coarse: Tensor) -> Tensor:
        """Return log depth.

        Args:
            images: (B, 3, H, W) in [0, 1], H and W those of `architecture.fine_input`.
            coarse: (B, 1, h, w), log depth from the coarse network.

        Returns:
            (B, 1, h, w).

        Raises:
            ValueError: the images or the coarse map have another size, or the images are uint8.
        """
        _check_images(images, self.architecture.fine_input)
        expected = (len(images), 1, *self.architecture.output_size)
        if coarse.shape != expected:
            raise ValueError(f"Expected a coarse map {expected}; got {tuple(coarse.shape)}.")
        edges = F.relu(self.edges(_normalised(images)))
        edges = F.max_pool2d(edges, 3, stride=2, ceil_mode=True)
        joined = torch.cat([edges, coarse], dim=1)
        return self.output(F.relu(self.mixing(joined)))


class EigenDepth(nn.Module):
    """Both networks, as one checkpoint holds them.

    Args:
        **sizes: fields of `Architecture`, as a card lists them; lists are taken as tuples.
    """

    def __init__(self, **sizes: Any) -> None:
        super().__init__()
        plain = {key: tuple(v) if isinstance(v, list) else v for key, v in sizes.items()}
        self.architecture = Architecture(**plain)
        self.coarse = CoarseNetwork(self.architecture)
        self.fine = FineNetwork(self.architecture)

    def forward(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """Return the coarse and the fine log depth, each (B, 1, h, w).

        Args:
            images: (B, 3, H, W) in [0, 1], H and W those of `architecture.coarse_input`.
        """
        coarse = self.coarse(images)
        top, left = self.architecture.skipped
        return coarse, self.fine(images[..., top:, left:], coarse)


def sizes_of(architecture: Architecture) -> dict[str, Any]:
    """Return the fields of an architecture, as `EigenDepth` takes and a card keeps them."""
    return asdict(architecture)


def initialise(model: EigenDepth, frames: Frames, generator: torch.Generator) -> None:
    """Draw weights after He (2015); start near "every picture has the mean depth", in place.

    With PyTorch's own initialisation the coarse network stays for many steps on a plateau where it
    says the same for every picture (lesson 06). Here its last biases start at the mean log depth of
    each pixel, and the fine network starts by passing the coarse map on: one of its maps keeps the
    positive part, one the negative, and the last layer takes the difference. To both, the other
    weights of the last layer, drawn ten times smaller than He's, add something random.

    Args:
        model: changed in place; its buffer `mean_depth` becomes the frames' mean depth picture. A
            pixel that is valid in no frame gets the mean over all pixels.
        frames: of the training set.
        generator: of the random weights; on the model's device.

    Raises:
        ValueError: the frames are too small, or have no valid pixel.
    """
    for layer in model.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear):
            nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
            nn.init.zeros_(layer.bias)
    architecture = model.architecture
    top, left = architecture.skipped
    depth, valid = (
        output_grid(centre_crop(part, architecture.coarse_input)[..., top:, left:])
        for part in frames[1:]
    )
    mean_depth = _mean_picture(depth, valid)
    log_depth = _mean_picture(torch.where(valid, depth, 1.0).log(), valid)
    with torch.no_grad():
        model.coarse.mean_depth.copy_(mean_depth)
        model.coarse.output.weight.mul_(0.1)
        model.coarse.output.bias.copy_(log_depth.flatten())
        mixing, output = model.fine.mixing, model.fine.output
        output.weight.mul_(0.1)
        for row, sign in enumerate((1.0, -1.0)):
            mixing.weight[row] = 0
            mixing.weight[row, -1, 2, 2] = sign  # the last map that comes in is the coarse one
            output.weight[0, row] = 0
            output.weight[0, row, 2, 2] = sign


def _mean_picture(maps: Tensor, valid: Tensor) -> Tensor:
    """Mean over the images at each pixel, (1, 1, h, w); over everything where a pixel has none."""
    if not valid.any():
        raise ValueError("The frames have no valid depth where the networks see them.")
    count = valid.sum(0, keepdim=True)
    total = torch.where(valid, maps, 0.0).sum(0, keepdim=True)
    return torch.where(count > 0, total / count.clamp(min=1), total.sum() / count.sum())


def _check_images(images: Tensor, size: tuple[int, int]) -> None:
    if not images.is_floating_point():
        raise ValueError(
            f"Expected images in [0, 1]; got {images.dtype}. `to_unit` turns uint8 into them."
        )
    if images.ndim != 4 or images.shape[1] != 3 or images.shape[-2:] != size:
        raise ValueError(
            f"Expected images (B, 3, {size[0]}, {size[1]}); got {tuple(images.shape)}. "
            "`centre_crop` cuts a frame to size."
        )


def _normalised(images: Tensor) -> Tensor:
    return (images - _MEAN) / _DEVIATION


# ---- From frames to the networks and back --------------------------------------------------------


def centre_crop(frames: Tensor, size: tuple[int, int]) -> Tensor:
    """Cut the middle out of frames, as for a test.

    Args:
        frames: (..., H, W).
        size: height and width of the cut.

    Raises:
        ValueError: the frames are smaller than that.
    """
    top, left = _crop_corner(frames.shape[-2:], size)
    return frames[..., top : top + size[0], left : left + size[1]]


def _crop_corner(frame: tuple[int, ...], size: tuple[int, int]) -> tuple[int, int]:
    if frame[0] < size[0] or frame[1] < size[1]:
        raise ValueError(
            f"Frames of {frame[0]} x {frame[1]} pixels are too small for a cut of "
            f"{size[0]} x {size[1]}."
        )
    return (frame[0] - size[0]) // 2, (frame[1] - size[1]) // 2


def output_grid(maps: Tensor) -> Tensor:
    """Take the pixels that the networks' output belongs to, without averaging.

    Args:
        maps: (B, C, H, W), as large as the networks' input: depth, or its mask.

    Returns:
        (B, C, h, w).
    """
    height, width = (((size - 9) // 2 + 1) // 2 for size in maps.shape[-2:])
    return maps[..., FIRST::STRIDE, FIRST::STRIDE][..., :height, :width]


def to_frame(
    output: Tensor,
    frame: tuple[int, int],
    network_input: tuple[int, int],
    skipped: tuple[int, int] = (0, 0),
) -> Tensor:
    """Enlarge an output map to a frame, bilinearly; beyond its border the border is repeated.

    The networks see the centre of a frame (`centre_crop`). A frame that is a whole number of times
    larger than what they were made from is reached directly: a 240 x 320 frame, shrunk to 120 x
    160, of which they saw 114 x 152.

    Args:
        output: (B, 1, h, w).
        frame: height and width to reach.
        network_input: height and width of the networks' input.
        skipped: `Architecture.skipped`, where the fine network sees less than the coarse one.

    Returns:
        (B, 1, H, W).
    """
    shrunk = _times_larger(frame, network_input)
    coordinates = []
    for side, seen, before, cells in zip(
        frame, network_input, skipped, output.shape[-2:], strict=True
    ):
        corner = (side // shrunk - seen) // 2 + before
        pixels = (torch.arange(side, device=output.device) + 0.5) / shrunk - 0.5 - corner
        cell = (pixels - FIRST) / STRIDE
        coordinates.append(2 * cell / (cells - 1) - 1)  # -1 and 1 are the outermost centres
    rows, columns = torch.meshgrid(*coordinates, indexing="ij")
    grid = torch.stack([columns, rows], dim=-1).expand(len(output), -1, -1, -1)
    return F.grid_sample(output, grid, padding_mode="border", align_corners=True)


def _times_larger(frame: tuple[int, ...], network_input: tuple[int, int]) -> int:
    return max(1, min(frame[0] // network_input[0], frame[1] // network_input[1]))


@torch.no_grad()
def predict(
    model: EigenDepth, images: Tensor, frame: tuple[int, int] | None = None, batch_size: int = 32
) -> dict[str, Tensor]:
    """Return the depth of frames by the mean picture, the coarse and the fine network.

    Args:
        model: its parts are put into eval mode for the call, and then back as they were.
        images: (N, 3, H, W), uint8 or in [0, 1]. They are shrunk by the largest whole number that
            leaves them as large as the networks' input (240 x 320 to 120 x 160 for 114 x 152), and
            of that the networks see the centre.
        frame: height and width of the depth maps; None takes those of the images. Frames of
            240 x 320 that were shrunk to 120 x 160 before may be asked for as they were.
        batch_size: images that go through the networks at once.

    Returns:
        `mean`, `coarse` and `fine`: (N, 1, H, W) each, metres, on the CPU. `mean` is one picture,
        expanded: clone it before writing into it.

    Raises:
        ValueError: the images are too small, or do not go with `frame`.
    """
    architecture, device = model.architecture, model.coarse.mean_depth.device
    size, frame = architecture.coarse_input, tuple(frame or images.shape[-2:])
    _check_places(tuple(images.shape[-2:]), frame, size)
    times = _times_larger(images.shape[-2:], size)

    def depth_of(output: Tensor) -> Tensor:
        return to_frame(output.cpu(), frame, size, architecture.skipped).exp()

    maps = {name: torch.empty(len(images), 1, *frame) for name in ("coarse", "fine")}
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        for start in range(0, len(images), batch_size):
            batch = slice(start, start + batch_size)
            shrunk = F.avg_pool2d(to_unit(images[batch]), times)
            outputs = model(centre_crop(shrunk, size).to(device))
            for name, output in zip(maps, outputs, strict=True):
                maps[name][batch] = depth_of(output)
    finally:
        for part, training in modes:
            part.training = training
    mean = depth_of(model.coarse.mean_depth.log()).expand(len(images), -1, -1, -1)
    return {"mean": mean, **maps}


def _check_places(images: tuple[int, int], frame: tuple[int, int], size: tuple[int, int]) -> None:
    """Raise unless `to_frame` puts the output of these images where they lie in the frame."""
    _crop_corner(images, size)  # raises where the images are too small
    shrunk, expected = (
        tuple(side // _times_larger(whole, size) for side in whole) for whole in (images, frame)
    )
    if shrunk not in (size, expected):
        raise ValueError(
            f"Depth maps of {frame[0]} x {frame[1]} do not go with images of {images[0]} x "
            f"{images[1]}: both, divided by whole numbers, must have one size, of at least "
            f"{size[0]} x {size[1]}."
        )


def to_unit(images: Tensor) -> Tensor:
    """Turn uint8 images into float32 in [0, 1]; others are passed on."""
    return images.float() / 255 if images.dtype == torch.uint8 else images


# ---- Losses --------------------------------------------------------------------------------------


def scale_invariant_loss(
    prediction: Tensor, target: Tensor, valid: Tensor, invariance: float = 0.5
) -> Tensor:
    """Mean over the images of mean(d^2) - invariance * mean(d)^2 (paper, Eqn. 4; lesson 06).

    d is the difference of log depths at the valid pixels of one image. With invariance 0 this is
    the squared error of log depth; with 1 it is the variance of d, which no factor on the depth of
    a whole image changes; the paper trains with 0.5.

    Args:
        prediction: (B, 1, h, w), log depth.
        target: (B, 1, h, w), log depth; not read where invalid.
        valid: (B, 1, h, w), bool. An image without a valid pixel counts as an error of zero.
        invariance: from 0 to 1.

    Raises:
        ValueError: the shapes differ, or `invariance` leaves [0, 1].

    Example:
        >>> truth = torch.rand(1, 1, 4, 4)
        >>> everywhere = torch.ones(1, 1, 4, 4, dtype=torch.bool)
        >>> round(scale_invariant_loss(truth + 2.0, truth, everywhere, 1.0).item(), 5)
        0.0
    """
    if not 0 <= invariance <= 1:
        raise ValueError(f"`invariance` lies between 0 and 1; got {invariance}.")
    difference, count = _difference(prediction, target, valid)
    squared = difference.square().sum(dim=(1, 2, 3)) / count
    mean = difference.sum(dim=(1, 2, 3)) / count
    return (squared - invariance * mean.square()).mean()


def gradient_loss(prediction: Tensor, target: Tensor, valid: Tensor) -> Tensor:
    """Mean squared difference of the slopes, to the right and down (2015, Eqn. 1; lesson 07).

    A pair of neighbours counts where both are valid; the sum over pairs is divided by the number of
    valid pixels of the image.

    Args:
        prediction: (B, 1, h, w), log depth.
        target: (B, 1, h, w), log depth.
        valid: (B, 1, h, w), bool.

    Raises:
        ValueError: the shapes differ.
    """
    difference, count = _difference(prediction, target, valid)
    right = (difference[..., 1:] - difference[..., :-1]) * (valid[..., 1:] & valid[..., :-1])
    down = (difference[..., 1:, :] - difference[..., :-1, :]) * (
        valid[..., 1:, :] & valid[..., :-1, :]
    )
    squared = right.square().sum(dim=(1, 2, 3)) + down.square().sum(dim=(1, 2, 3))
    return (squared / count).mean()


def _difference(prediction: Tensor, target: Tensor, valid: Tensor) -> tuple[Tensor, Tensor]:
    """d, zero where invalid, and the number of valid pixels of each image, at least 1."""
    if not prediction.shape == target.shape == valid.shape:
        raise ValueError(
            "Prediction, target and mask must have one shape; got "
            f"{tuple(prediction.shape)}, {tuple(target.shape)}, {tuple(valid.shape)}."
        )
    difference = torch.where(valid, prediction - target, 0.0)
    return difference, valid.sum(dim=(1, 2, 3)).clamp(min=1)


# ---- Training batches ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Augmentation:
    """How training pictures are varied; the defaults are the paper's (section 3.4)."""

    scale: tuple[float, float] = (1.0, 1.5)
    """The picture grows by a factor s from this range, and depth is divided by s: a camera that is
    s times nearer sees it so."""
    rotation: float = 5.0
    """Degrees, either way."""
    colour: tuple[float, float] = (0.8, 1.2)
    """A factor on each of red, green and blue."""
    flip: float = 0.5
    """Probability of a mirror image."""
    tone: float = 0.0
    """How much gamma, contrast, brightness and saturation vary, as parts of 1. Not in the paper; it
    makes few pictures stand for more lamps and cameras."""


def draw_batch(
    frames: Frames,
    architecture: Architecture,
    count: int,
    generator: torch.Generator,
    augmentation: Augmentation = Augmentation(),
) -> Frames:
    """Draw varied training pictures: scale, rotation, crop, colour, mirror (lesson 06).

    Images are resampled bilinearly; depth and mask by the nearest pixel, since an average of two
    depths across an edge is the depth of nothing.

    Args:
        frames: a little larger than the coarse network's input, since what is cut from them is no
            wider than that; on the CPU.
        architecture: whose input and output sizes are made.
        count: how many.
        generator: of every choice.
        augmentation: the ranges.

    Returns:
        Images (B, 3, H, W) in [0, 1]; log depth (B, 1, h, w), zero where invalid; mask
        (B, 1, h, w), false also where a rotated picture left the frame.

    Raises:
        ValueError: the frames are smaller than the network's input.
    """
    images, depth, valid = frames
    frame, size = images.shape[-2:], architecture.coarse_input
    _crop_corner(frame, size)  # raises where frames are too small

    def uniform(low: float, high: float, *shape: int) -> Tensor:
        return low + (high - low) * torch.rand(count, *shape, generator=generator)

    chosen = torch.randint(len(images), (count,), generator=generator)
    scale = uniform(*augmentation.scale)
    angle = torch.deg2rad(uniform(-augmentation.rotation, augmentation.rotation))
    mirror = torch.where(uniform(0, 1) < augmentation.flip, -1.0, 1.0)
    # Centre of the cut in the frame, such that the cut, unrotated, stays inside.
    centre = []
    for side, seen in zip(frame, size, strict=True):
        half = (seen - 1) / 2 / scale
        centre.append(half + (side - 1 - 2 * half) * uniform(0, 1))

    def positions(rows: Tensor, columns: Tensor) -> Tensor:
        """Where in the frame (as grid_sample counts) the pixels of the cut come from."""
        y = (rows - (size[0] - 1) / 2).view(1, -1, 1) / scale.view(-1, 1, 1)
        x = (columns - (size[1] - 1) / 2).view(1, 1, -1) / scale.view(-1, 1, 1)
        x = x * mirror.view(-1, 1, 1)
        cosine, sine = angle.cos().view(-1, 1, 1), angle.sin().view(-1, 1, 1)
        source_y = centre[0].view(-1, 1, 1) + cosine * y + sine * x
        source_x = centre[1].view(-1, 1, 1) - sine * y + cosine * x
        grid_x, grid_y = 2 * source_x / (frame[1] - 1) - 1, 2 * source_y / (frame[0] - 1) - 1
        return torch.stack([grid_x, grid_y], dim=-1)

    every = [torch.arange(side, dtype=torch.float32) for side in size]
    pictures = F.grid_sample(
        to_unit(images[chosen]), positions(*every), padding_mode="border", align_corners=True
    )
    pictures = (pictures * uniform(*augmentation.colour, 3, 1, 1)).clamp(0, 1)
    if augmentation.tone:
        factors = uniform(1 - augmentation.tone, 1 + augmentation.tone, 4, 1, 1, 1)
        pictures = _vary_tone(pictures, *factors.unbind(1))
    height, width = architecture.output_size
    top, left = architecture.skipped
    cells = positions(
        top + FIRST + STRIDE * torch.arange(height, dtype=torch.float32),
        left + FIRST + STRIDE * torch.arange(width, dtype=torch.float32),
    )
    masked = torch.where(valid[chosen], depth[chosen].float(), 0.0)
    drawn = F.grid_sample(masked, cells, mode="nearest", align_corners=True)  # 0 outside the frame
    target_valid = drawn > 0
    nearer = torch.where(target_valid, drawn / scale.view(-1, 1, 1, 1), 1.0)
    return pictures, nearer.log(), target_valid


def _vary_tone(
    pictures: Tensor, gamma: Tensor, contrast: Tensor, brightness: Tensor, saturation: Tensor
) -> Tensor:
    """Change pictures (B, 3, H, W) in [0, 1] by factors (B, 1, 1, 1)."""
    pictures = pictures.clamp(min=1e-3) ** gamma
    mean = pictures.mean(dim=(1, 2, 3), keepdim=True)
    pictures = (pictures - mean) * contrast + mean * brightness
    gray = pictures.mean(dim=1, keepdim=True)
    return (gray + (pictures - gray) * saturation).clamp(0, 1)


# ---- Metrics -------------------------------------------------------------------------------------

METRICS = (
    "delta1",
    "delta2",
    "delta3",
    "abs_rel",
    "sqr_rel",
    "rmse",
    "rmse_log",
    "scale_invariant",
)
"""Names of the eight numbers of the paper's tables, in their order; the first three are better when
larger, the others when smaller. `rmse` is in metres, `sqr_rel` too, the others have no unit."""


class DepthMetrics:
    """Sums up the eight metrics over images that come in batches (lesson 05; paper, section 4).

    All are pooled over the valid pixels of all images, except the scale-invariant error: the square
    root of the mean over images of the variance of d, the difference of log depths.

    Example:
        >>> measured = DepthMetrics()
        >>> truth = torch.full((1, 1, 2, 2), 2.0)
        >>> measured.add(1.1 * truth, truth, truth > 0)
        >>> round(measured.result()["abs_rel"], 6)
        0.1
    """

    def __init__(self) -> None:
        self._sums = torch.zeros(len(METRICS), dtype=torch.float64)
        self.pixels = self._images = 0

    def add(self, prediction: Tensor, truth: Tensor, valid: Tensor) -> None:
        """Take in some images.

        Args:
            prediction: (B, 1, H, W), metres, positive.
            truth: (B, 1, H, W), metres, positive where valid.
            valid: (B, 1, H, W), bool. An image without a valid pixel is left out.

        Raises:
            ValueError: the shapes differ, or a valid pixel is not positive and finite.
        """
        if not prediction.shape == truth.shape == valid.shape:
            raise ValueError(
                "Prediction, truth and mask must have one shape; got "
                f"{tuple(prediction.shape)}, {tuple(truth.shape)}, {tuple(valid.shape)}."
            )
        for predicted, true, mask in zip(prediction, truth, valid, strict=True):
            if mask.any():
                self._add_image(predicted[mask].double(), true[mask].double())

    def _add_image(self, predicted: Tensor, true: Tensor) -> None:
        for name, values in (("prediction", predicted), ("truth", true)):
            bad = ~(torch.isfinite(values) & (values > 0))
            if bad.any():
                raise ValueError(
                    f"The {name} has a depth of {values[bad][0]:.3g} m at a valid pixel; depths "
                    "must be positive and finite. Mask missing depth out, and predict log depth."
                )
        ratio = torch.maximum(predicted / true, true / predicted)
        error, d = predicted - true, predicted.log() - true.log()
        sums = [
            *((ratio < 1.25**power).sum() for power in (1, 2, 3)),
            (error.abs() / true).sum(),
            (error.square() / true).sum(),
            error.square().sum(),
            d.square().sum(),
            d.var(correction=0),
        ]
        self._sums += torch.tensor([float(value) for value in sums], dtype=torch.float64)
        self.pixels += len(true)
        self._images += 1

    def result(self) -> dict[str, float]:
        """Return the metrics by name, over all that was added.

        Raises:
            ValueError: nothing was added.
        """
        if not self._images:
            raise ValueError("No valid pixel was measured.")
        sums = dict(zip(METRICS, self._sums.tolist(), strict=True))
        scale_invariant = math.sqrt(sums.pop("scale_invariant") / self._images)
        means = {name: value / self.pixels for name, value in sums.items()}
        for name in ("rmse", "rmse_log"):
            means[name] = math.sqrt(means[name])
        return {**means, "scale_invariant": scale_invariant}


def measure(prediction: Tensor, truth: Tensor, valid: Tensor) -> dict[str, float]:
    """Return the eight metrics of a whole set at once; see `DepthMetrics`."""
    metrics = DepthMetrics()
    metrics.add(prediction, truth, valid)
    return metrics.result()


def eigen_crop(height: int, width: int) -> Tensor:
    """Return the mask of the part of a NYU frame that papers score: (H, W), bool.

    At 480 x 640 these are rows 45 to 470 and columns 41 to 600; a smaller frame keeps the pixels
    whose centres lie there.
    """
    rows = (torch.arange(height) + 0.5) * 480 / height
    columns = (torch.arange(width) + 0.5) * 640 / width
    return ((rows >= 45) & (rows < 471))[:, None] & ((columns >= 41) & (columns < 601))[None]


def near_edges(depth: Tensor, within: int = 2, step: float = 0.1) -> Tensor:
    """Return which pixels lie close to a jump of depth.

    Args:
        depth: (B, 1, H, W), metres: the truth. Beside missing depth, 0, nothing is an edge.
        within: pixels; 1 marks the two pixels on either side of the jump only.
        step: a jump is a difference of log depth between neighbours larger than this; 0.1 is
            about 10 % of the depth.

    Returns:
        (B, 1, H, W), bool.
    """
    log_depth = torch.where(depth > 0, depth, torch.nan).log()  # no comparison with NaN is true
    jump = torch.zeros_like(depth, dtype=torch.bool)
    down = (log_depth[..., 1:, :] - log_depth[..., :-1, :]).abs() > step
    right = (log_depth[..., 1:] - log_depth[..., :-1]).abs() > step
    jump[..., 1:, :] |= down
    jump[..., :-1, :] |= down
    jump[..., 1:] |= right
    jump[..., :-1] |= right
    window = 2 * within - 1
    return F.max_pool2d(jump.float(), window, stride=1, padding=within - 1) > 0


def align_scale(prediction: Tensor, truth: Tensor, valid: Tensor) -> Tensor:
    """Give each image the one factor that an oracle would: exp(mean(log truth - log prediction)).

    Args:
        prediction: (B, 1, H, W), metres.
        truth: (B, 1, H, W), metres.
        valid: (B, 1, H, W), bool.
    """
    difference, count = _difference(prediction.log(), truth.clamp(min=1e-6).log(), valid)
    offset = difference.sum(dim=(1, 2, 3), keepdim=True) / count.view(-1, 1, 1, 1)
    return prediction * (-offset).exp()


def collapse_check(prediction: Tensor, truth: Tensor, valid: Tensor) -> dict[str, float]:
    """Tell whether a network says the same for every picture (lesson 06).

    Args:
        prediction: (N, 1, H, W), metres.
        truth: (N, 1, H, W), metres.
        valid: (N, 1, H, W), bool.

    Returns:
        `spread` and `true_spread`: the standard deviation across images of the mean log depth, of
        the prediction and of the truth; `correlation` of the two means. A collapsed network has a
        spread near zero.

    Raises:
        ValueError: fewer than two images have a valid pixel.
    """
    count = valid.sum(dim=(1, 2, 3))
    seen = count > 0
    if seen.sum() < 2:
        raise ValueError("A spread takes two images with valid pixels, or more.")
    means = [
        (torch.where(valid, maps, 1.0).log().sum(dim=(1, 2, 3)) / count)[seen]
        for maps in (prediction, truth)
    ]
    spread, true_spread = (values.std().item() for values in means)
    centred = [values - values.mean() for values in means]
    covariance = (centred[0] * centred[1]).mean()
    deviations = [values.square().mean().sqrt() for values in centred]
    correlation = covariance / (deviations[0] * deviations[1]).clamp(min=1e-9)
    return {"spread": spread, "true_spread": true_spread, "correlation": correlation.item()}


def evaluate(model: EigenDepth, frames: Frames, crop: bool = False) -> dict[str, Any]:
    """Measure the mean picture, the coarse and the fine network on frames.

    Args:
        model: on any device; measured in eval mode.
        frames: uint8 images, depth in metres, mask; any size that `to_frame` reaches.
        crop: score only what papers score of a NYU frame (`eigen_crop`).

    Returns:
        `mean`, `coarse` and `fine`: each a table of the eight `METRICS`; `edges` and `elsewhere`:
        of each of the three, `abs_rel` and `rmse_log` within 2 pixels of a jump of depth, and
        farther away (None where there is no such pixel); `collapse`: of each, see `collapse_check`
        (None for a single picture); `frames`: their number.
    """
    images, depth, valid = frames
    names, places = ("mean", "coarse", "fine"), ("everywhere", "edges", "elsewhere")
    sums = {(place, name): DepthMetrics() for place in places for name in names}
    kept: dict[str, list[Tensor]] = {name: [] for name in (*names, "depth", "valid")}
    for start in range(0, len(images), 32):
        part = slice(start, start + 32)
        truth, mask = depth[part].cpu(), valid[part].cpu()
        if crop:
            mask = mask & eigen_crop(*truth.shape[-2:])
        edges = near_edges(truth)
        masks = {"everywhere": mask, "edges": mask & edges, "elsewhere": mask & ~edges}
        predicted = predict(model, images[part], frame=tuple(truth.shape[-2:]))
        for (place, name), metrics in sums.items():
            metrics.add(predicted[name], truth, masks[place])
        for name, maps in (*predicted.items(), ("depth", truth), ("valid", mask)):
            kept[name].append(maps[..., ::4, ::4].clone())  # enough to tell pictures apart
    table: dict[str, Any] = {name: sums["everywhere", name].result() for name in names}
    for place in ("edges", "elsewhere"):
        table[place] = {name: _in_short(sums[place, name]) for name in names}
    seen = {name: torch.cat(maps) for name, maps in kept.items()}
    one = len(images) < 2
    table["collapse"] = {
        name: None if one else collapse_check(seen[name], seen["depth"], seen["valid"])
        for name in names
    }
    return {**table, "frames": len(images)}


def _in_short(metrics: DepthMetrics) -> dict[str, float] | None:
    if not metrics.pixels:
        return None
    result = metrics.result()
    return {name: result[name] for name in ("abs_rel", "rmse_log")}
