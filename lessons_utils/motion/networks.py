"""The networks of both stages: depth and pose (lesson 09), residual flow (lesson 10).

Small ones, for a processor: the authors' depth network with the VGG-like encoder has 32 million
parameters. The shape is kept: an encoder that halves the picture, a decoder that doubles it, skip
connections between them, and an answer at each of the four finest scales.
"""

from __future__ import annotations

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from lessons_utils.motion.geometry import inverse_warp
from lessons_utils.motion.losses import photometric_error

SCALES = 4
"""Answers of a network: of the size that it works at, a half, a quarter, an eighth. The flow
network works at half size."""

WIDTHS = (16, 32, 64, 96, 128)
POSE_WIDTHS = (16, 32, 64, 128, 128, 128)

FLOW_KERNELS = (7, 5)
"""Of the first stages of the flow network's encoder: both ends of a motion are to be in a window.
The authors' encoder has 7 x 7 and 5 x 5 there, too."""

_STEEPEST, _FARTHEST = 10.0, 0.01  # disparity = 10 sigmoid + 0.01, as in the paper
_POSE_UNIT = 0.01  # poses start near "no motion"
_FLOW_UNIT = 10.0  # pixels of the halved picture
_MEAN, _DEVIATION = 0.45, 0.225  # of the pixels of photographs, roughly


class _Block(nn.Sequential):
    """A convolution, batch normalisation, ReLU."""

    def __init__(self, inputs: int, outputs: int, kernel: int = 3, stride: int = 1) -> None:
        super().__init__(
            nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=False),
            nn.BatchNorm2d(outputs),
            nn.ReLU(inplace=True),
        )


class _UNet(nn.Module):
    """Encoder and decoder with skip connections, and an answer at each of the finest scales.

    For widths (16, 32, 64, 96, 128) the encoder's stages are 16 wide at half the size, to 128 at
    1/32; the decoder's 96 wide at 1/16, and 64, 32, 16, 16 up to full size.

    Args:
        inputs: channels that come in.
        outputs: channels of each answer.
        widths: of the encoder's stages; four or more.
        kernels: size of the first convolution of each stage; 3 where there are fewer than stages.
    """

    def __init__(
        self, inputs: int, outputs: int, widths: Sequence[int], kernels: Sequence[int] = ()
    ) -> None:
        super().__init__()
        kernels = (*kernels, *[3] * len(widths))
        self.encoder = nn.ModuleList(
            nn.Sequential(_Block(before, width, kernel, stride=2), _Block(width, width))
            for before, width, kernel in zip((inputs, *widths), widths, kernels, strict=False)
        )
        self.narrow, self.join, self.answers = (nn.ModuleList() for _ in range(3))
        skipped = (0, *widths[:-1])  # the finest stage of the decoder has no partner
        decoder = (widths[0], *widths[:-1])
        for stage in reversed(range(len(widths))):
            self.narrow.append(_Block(widths[stage], decoder[stage]))
            self.join.append(_Block(decoder[stage] + skipped[stage], decoder[stage]))
            if stage < SCALES:
                self.answers.append(nn.Conv2d(decoder[stage], outputs, 3, padding=1))

    def forward(self, maps: Tensor) -> list[Tensor]:
        """Return the answers, the one of full size first."""
        sizes, skips = [maps.shape[-2:]], []
        for stage in self.encoder:
            maps = stage(maps)
            sizes.append(maps.shape[-2:])
            skips.append(maps)
        maps, found = skips.pop(), []
        sizes.pop()
        first_answer = len(self.narrow) - len(self.answers)
        for index, (narrow, join) in enumerate(zip(self.narrow, self.join, strict=True)):
            maps = F.interpolate(narrow(maps), sizes.pop(), mode="nearest")
            maps = join(torch.cat([maps, skips.pop()], dim=1) if skips else maps)
            if index >= first_answer:
                found.append(self.answers[index - first_answer](maps))
        return found[::-1]


class DepthNet(nn.Module):
    """Sees one frame and says how near each pixel is, at four scales (paper, section 3.3).

    0.93 million parameters. Disparity is 1 / depth in an unknown unit: 10 sigmoid + 0.01, so that
    depth lies between 0.1 and 100 units.

    Args:
        widths: of the encoder's stages, as a card lists them.

    Example:
        >>> [tuple(d.shape) for d in DepthNet()(torch.rand(1, 3, 64, 96))]
        [(1, 1, 64, 96), (1, 1, 32, 48), (1, 1, 16, 24), (1, 1, 8, 12)]
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.layers = _UNet(3, 1, widths)

    def forward(self, images: Tensor) -> list[Tensor]:
        """Return disparity, four maps (B, 1, H / 2^s, W / 2^s), sizes rounded up.

        Args:
            images: (B, 3, H, W) in [0, 1].

        Raises:
            ValueError: the images have another shape, or are uint8.
        """
        _check_images("images", images)
        answers = self.layers(_normalised(images))
        return [_STEEPEST * answer.sigmoid() + _FARTHEST for answer in answers]


class PoseNet(nn.Module):
    """Sees all frames of a snippet and says how the camera moved (paper, section 3.3).

    0.41 million parameters. Six convolutions, each halving the picture, then the mean over what is
    left. Six numbers a source: `pose_from_vector` makes T_target_to_source of them. In training,
    batch normalisation needs some snippets at a time: with one, it learns from one.

    Args:
        sources: how many source frames a snippet has: 2 of 3, 4 of 5.
        widths: channels after each convolution.

    Example:
        >>> frames = torch.rand(2, 3, 3, 64, 96)
        >>> PoseNet()(frames[:, 1], frames[:, [0, 2]]).shape
        torch.Size([2, 2, 6])
    """

    def __init__(self, sources: int = 2, widths: Sequence[int] = POSE_WIDTHS) -> None:
        super().__init__()
        self.sources = sources
        kernels = (7, 5, *[3] * len(widths))
        before = (3 * (1 + sources), *widths)
        self.layers = nn.Sequential(
            *(_Block(*sizes, 2) for sizes in zip(before, widths, kernels, strict=False)),
            nn.Conv2d(widths[-1], 6 * sources, 1),
        )

    def forward(self, target: Tensor, sources: Tensor) -> Tensor:
        """Return a vector for `pose_from_vector` for each source, (B, S, 6).

        Args:
            target: (B, 3, H, W) in [0, 1], the middle frame of the snippet.
            sources: (B, S, 3, H, W), the others in the order of time.

        Raises:
            ValueError: the frames have other shapes, or are uint8.
        """
        _check_images("target", target)
        batch, _, *size = target.shape
        if sources.shape != (batch, self.sources, 3, *size):
            raise ValueError(
                f"Expected sources {(batch, self.sources, 3, *size)}; got {tuple(sources.shape)}."
            )
        snippet = torch.cat([target, sources.flatten(1, 2)], dim=1)  # (B, 3 (1 + S), H, W)
        answer = self.layers(_normalised(snippet)).mean(dim=(2, 3))
        return _POSE_UNIT * answer.unflatten(1, (self.sources, 6))


class ResidualFlowNet(nn.Module):
    """Adds to rigid flow what moves by itself (lesson 10; paper, section 3.4).

    0.95 million parameters. It sees both frames, the source warped by rigid flow, the flow, and the
    photometric error that is left: 3 + 3 + 3 + 2 + 1 channels. All are halved first, unlike in the
    paper: a step of training costs a third. Each scale adds to the coarser one, which finds long
    ways. The last layers start at zero, so that training starts from rigid flow.

    Args:
        widths: of the encoder's stages.

    Example:
        >>> frames = torch.rand(2, 1, 3, 64, 96)
        >>> [tuple(f.shape) for f in ResidualFlowNet()(*frames, torch.zeros(1, 2, 64, 96))]
        [(1, 2, 32, 48), (1, 2, 16, 24), (1, 2, 8, 12), (1, 2, 4, 6)]
    """

    def __init__(self, widths: Sequence[int] = WIDTHS) -> None:
        super().__init__()
        self.layers = _UNet(12, 2, widths, FLOW_KERNELS)
        for answer in self.layers.answers:
            nn.init.zeros_(answer.weight)
            nn.init.zeros_(answer.bias)

    def forward(self, target: Tensor, source: Tensor, rigid: Tensor) -> list[Tensor]:
        """Return residual flow at four scales, all in pixels of the full picture.

        Final flow is `rigid` plus the first of them, enlarged.

        Args:
            target: (B, 3, H, W) in [0, 1].
            source: (B, 3, H, W) in [0, 1].
            rigid: (B, 2, H, W), rigid flow from target to source, pixels.

        Returns:
            Four maps (B, 2, H / 2^s, W / 2^s), s from 1 to 4, sizes rounded up.

        Raises:
            ValueError: the shapes are others, or the frames are uint8.
        """
        _check_images("target", target)
        _check_images("source", source)
        half = [-(-size // 2) for size in target.shape[-2:]]
        target, source, rigid = (
            F.interpolate(maps, half, mode="area") for maps in (target, source, rigid / 2)
        )
        warped, _ = inverse_warp(source, rigid)
        error = photometric_error(target, warped)
        pictures = _normalised(torch.cat([target, source, warped], dim=1))
        answers = self.layers(torch.cat([pictures, rigid / _FLOW_UNIT, error], dim=1))
        flows = [2 * _FLOW_UNIT * answers.pop()]
        while answers:
            finer = 2 * _FLOW_UNIT * answers.pop()
            flows.append(finer + F.interpolate(flows[-1], finer.shape[-2:], mode="bilinear"))
        return flows[::-1]


def _check_images(name: str, images: Tensor) -> None:
    if images.ndim != 4 or images.shape[1] != 3 or not images.is_floating_point():
        raise ValueError(
            f"Expected {name} (B, 3, H, W), floating, in [0, 1]; got {tuple(images.shape)}, "
            f"{images.dtype}."
        )


def _normalised(images: Tensor) -> Tensor:
    return (images - _MEAN) / _DEVIATION
