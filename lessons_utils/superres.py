"""Super-resolution: the evaluation protocol of the literature and the SRCNN family.

Lesson 01 derives the protocol, lesson 02 the layers, lesson 03 the training. The reference is
Dong, Loy, He, Tang, "Image Super-Resolution Using Deep Convolutional Networks", TPAMI 2015
(arXiv 1501.00092), and the authors' released code where the two differ.

Bicubic, the decision. The literature's images were made by the MATLAB `imresize` of 2014: Keys'
kernel with a = -0.5, stretched when shrinking (antialiasing), borders repeated. PyTorch's
`interpolate(mode="bicubic", antialias=True)` is that filter, except that it renormalises the
kernel at the border. Called on an image whose border is repeated beforehand it is exact
everywhere, so `resize_bicubic` is that library call between a pad and a crop. Measured on Set5,
bicubic x3: 30.3936 dB, the authors' number to four decimals; without the pad, 30.396.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import scipy.io
import torch
import torch.nn.functional as F
from torch import Tensor, nn

LUMA_WEIGHTS = (65.481, 128.553, 24.966)
"""ITU-R BT.601, studio range: red, green and blue in [0, 1] add up to luma levels 16 to 235."""

_BORDER = 4  # low-resolution pixels repeated around an image before it is resized


# ---- Colour ----------------------------------------------------------------------------------


def rgb_to_luma(images: Tensor) -> Tensor:
    """Return the luma that super-resolution papers measure on (derived in lesson 01).

    Y = round(16 + 65.481 R + 128.553 G + 24.966 B), a level from 16 to 235, divided by 255.
    A one-channel batch is taken as luma already, as the papers do with a gray file.

    Args:
        images: (B, 3, H, W) or (B, 1, H, W), in [0, 1].

    Returns:
        (B, 1, H, W), float32 in [0, 1].

    Raises:
        ValueError: the batch has neither one nor three channels.
    """
    _check_batch(images, channels=(1, 3))
    if images.shape[1] == 1:
        return images
    weights = torch.tensor(LUMA_WEIGHTS, dtype=torch.float64)
    pixels = images.cpu().double()  # Apple's MPS has no float64
    levels = 16 + (pixels * weights.view(1, 3, 1, 1)).sum(1, keepdim=True)
    return (levels.round() / 255).float().to(images.device)


_TO_YCBCR = torch.tensor([LUMA_WEIGHTS, (-37.797, -74.203, 112.0), (112.0, -93.786, -18.214)]) / 255
_YCBCR_OFFSET = torch.tensor([16.0, 128.0, 128.0]) / 255


def rgb_to_ycbcr(images: Tensor) -> Tensor:
    """Split colour into luma and two colour differences (ITU-R BT.601, studio range, unrounded).

    Args:
        images: (B, 3, H, W), RGB in [0, 1].

    Returns:
        (B, 3, H, W): Y, Cb, Cr, in [0, 1].
    """
    _check_batch(images, channels=(3,))
    mixed = torch.einsum("yc,bchw->byhw", _TO_YCBCR.to(images), images)
    return mixed + _YCBCR_OFFSET.to(images).view(1, 3, 1, 1)


def ycbcr_to_rgb(ycbcr: Tensor) -> Tensor:
    """Undo `rgb_to_ycbcr`; colours outside [0, 1] are clipped."""
    _check_batch(ycbcr, channels=(3,))
    centred = ycbcr - _YCBCR_OFFSET.to(ycbcr).view(1, 3, 1, 1)
    inverse = torch.linalg.inv(_TO_YCBCR.double()).to(ycbcr)
    return torch.einsum("cy,byhw->bchw", inverse, centred).clamp(0, 1)


def _check_batch(images: Tensor, channels: tuple[int, ...]) -> None:
    if images.ndim != 4 or images.shape[1] not in channels:
        wanted = " or ".join(f"(B, {n}, H, W)" for n in channels)
        raise ValueError(f"Expected an image batch {wanted}; got shape {tuple(images.shape)}.")


# ---- Degradation -------------------------------------------------------------------------------


def crop_to_multiple(images: Tensor, scale: int) -> Tensor:
    """Cut rows and columns at the bottom and right until both sizes are multiples of `scale`.

    Args:
        images: (B, C, H, W).
        scale: 1 or more.

    Raises:
        ValueError: the picture is smaller than `scale` pixels on one side.
    """
    height, width = images.shape[-2:]
    if min(height, width) < scale:
        raise ValueError(f"A picture of {height} x {width} pixels is too small for scale {scale}.")
    return images[..., : height - height % scale, : width - width % scale]


def _check_scale(scale: int) -> None:
    if not isinstance(scale, int) or scale < 2:
        raise ValueError(f"The scale must be a whole number, 2 or more; got {scale!r}.")


def _resize(images: Tensor, height: int, width: int) -> Tensor:
    return F.interpolate(
        images, (height, width), mode="bicubic", antialias=True, align_corners=False
    )


def degrade(high: Tensor, scale: int) -> Tensor:
    """Shrink a picture the way the literature makes its low-resolution images.

    Bicubic with antialiasing, borders repeated; values stay floating point and may leave [0, 1]
    by a little (SRCNN's released code; lesson 01).

    Args:
        high: (B, C, H, W), H and W multiples of `scale` (see `crop_to_multiple`).
        scale: 2 or more.

    Returns:
        (B, C, H / scale, W / scale).

    Raises:
        ValueError: a size is no multiple of the scale.
    """
    _check_scale(scale)
    height, width = high.shape[-2:]
    if height % scale or width % scale:
        raise ValueError(
            f"{height} x {width} pixels are no multiple of scale {scale}; "
            "call crop_to_multiple first."
        )
    border = _BORDER * scale
    padded = F.pad(high, (border,) * 4, mode="replicate")
    low = _resize(padded, height // scale + 2 * _BORDER, width // scale + 2 * _BORDER)
    return low[..., _BORDER:-_BORDER, _BORDER:-_BORDER]


def enlarge(low: Tensor, scale: int) -> Tensor:
    """Enlarge a picture bicubically, borders repeated: the baseline, and SRCNN's input.

    Args:
        low: (B, C, h, w).
        scale: 2 or more.

    Returns:
        (B, C, h * scale, w * scale).
    """
    _check_scale(scale)
    height, width = low.shape[-2:]
    border = _BORDER * scale
    padded = F.pad(low, (_BORDER,) * 4, mode="replicate")
    up = _resize(padded, (height + 2 * _BORDER) * scale, (width + 2 * _BORDER) * scale)
    return up[..., border:-border, border:-border]


# ---- Metrics -----------------------------------------------------------------------------------


def to_levels(images: Tensor) -> Tensor:
    """Round an image batch in [0, 1] to a file's 256 levels: float64 in [0, 255], on the CPU."""
    return (images.cpu().double() * 255).round().clamp(0, 255)


def psnr(prediction: Tensor, target: Tensor, peak: float = 1.0) -> Tensor:
    """Peak signal-to-noise ratio in dB, one number an image (derived in lesson 01).

    Args:
        prediction: (B, C, H, W).
        target: the truth, same shape.
        peak: the largest possible value (not the largest present): 1 or 255.

    Returns:
        (B,), float64, on the CPU; infinite where the two are equal.

    Raises:
        ValueError: the shapes differ.

    Example:
        >>> round(psnr(torch.full((1, 1, 2, 2), 0.1), torch.zeros(1, 1, 2, 2)).item(), 3)
        20.0
    """
    _check_same_shape(prediction, target)
    mse = (prediction.cpu().double() - target.cpu().double()).square().mean(dim=(1, 2, 3))
    return 10 * torch.log10(peak**2 / mse)


def ssim(prediction: Tensor, target: Tensor, peak: float = 1.0) -> Tensor:
    """Structural similarity, one number an image (derived in lesson 01).

    Wang, Bovik, Sheikh, Simoncelli (2004) with their constants: Gaussian window of 11 x 11 with
    sigma 1.5, K1 = 0.01, K2 = 0.03, only windows that lie wholly inside the picture.

    Args:
        prediction: (B, C, H, W), H and W at least 11.
        target: the truth, same shape.
        peak: the largest possible value: 1 or 255.

    Returns:
        (B,), float64, on the CPU; at most 1.

    Raises:
        ValueError: the shapes differ, or a picture is smaller than the window.
    """
    _check_same_shape(prediction, target)
    if min(prediction.shape[-2:]) < 11:
        raise ValueError(f"SSIM needs at least 11 x 11 pixels; got {tuple(prediction.shape[-2:])}.")
    offsets = torch.arange(-5, 6, dtype=torch.float64)
    bell = torch.exp(-(offsets**2) / (2 * 1.5**2))
    bell = bell / bell.sum()

    def local_mean(values: Tensor) -> Tensor:
        flat = values.flatten(0, 1).unsqueeze(1)  # (B * C, 1, H, W)
        flat = F.conv2d(F.conv2d(flat, bell.view(1, 1, 11, 1)), bell.view(1, 1, 1, 11))
        return flat.view(*values.shape[:2], *flat.shape[-2:])

    x, y = prediction.cpu().double(), target.cpu().double()
    mean_x, mean_y = local_mean(x), local_mean(y)
    variance_x = local_mean(x * x) - mean_x**2
    variance_y = local_mean(y * y) - mean_y**2
    covariance = local_mean(x * y) - mean_x * mean_y
    c1, c2 = (0.01 * peak) ** 2, (0.03 * peak) ** 2
    luminance = (2 * mean_x * mean_y + c1) / (mean_x**2 + mean_y**2 + c1)
    structure = (2 * covariance + c2) / (variance_x + variance_y + c2)
    return (luminance * structure).mean(dim=(1, 2, 3))


def _check_same_shape(prediction: Tensor, target: Tensor) -> None:
    _check_batch(prediction, channels=(prediction.shape[1] if prediction.ndim == 4 else 1,))
    if prediction.shape != target.shape:
        raise ValueError(
            f"Prediction {tuple(prediction.shape)} and truth {tuple(target.shape)} differ in shape."
        )


# ---- The network -------------------------------------------------------------------------------


class SRCNN(nn.Module):
    """The three convolutions of SRCNN (paper, section 3; built step by step in lesson 02).

    1. patch extraction: 64 filters of f1 x f1, ReLU;
    2. non-linear mapping: 32 filters of f2 x f2, ReLU;
    3. reconstruction: one filter of f3 x f3, nothing after it.

    The names of the paper are the sizes: 9-1-5 (8,129 parameters), 9-3-5 (24,513), 9-5-5 (57,281).

    Args:
        f1: filter size of the first layer, odd.
        f2: filter size of the second layer, odd.
        f3: filter size of the third layer, odd.
        n1: number of filters in the first layer.
        n2: number of filters in the second layer.

    Example:
        >>> SRCNN(9, 1, 5)(torch.rand(1, 1, 33, 33), same_size=False).shape
        torch.Size([1, 1, 21, 21])
    """

    def __init__(self, f1: int = 9, f2: int = 5, f3: int = 5, n1: int = 64, n2: int = 32) -> None:
        super().__init__()
        if any(size < 1 or size % 2 == 0 for size in (f1, f2, f3)):
            raise ValueError(f"Filter sizes must be odd and positive; got {f1}-{f2}-{f3}.")
        self.patch_extraction = nn.Conv2d(1, n1, f1)
        self.mapping = nn.Conv2d(n1, n2, f2)
        self.reconstruction = nn.Conv2d(n2, 1, f3)

    @property
    def filter_sizes(self) -> tuple[int, int, int]:
        """(f1, f2, f3)."""
        layers = (self.patch_extraction, self.mapping, self.reconstruction)
        return tuple(layer.kernel_size[0] for layer in layers)

    @property
    def margin(self) -> int:
        """Pixels that an unpadded pass loses on each side; the receptive field is 2 margin + 1."""
        return (sum(self.filter_sizes) - 3) // 2

    def forward(self, upscaled: Tensor, same_size: bool = True) -> Tensor:
        """Sharpen a bicubically enlarged picture.

        Args:
            upscaled: (B, 1, H, W), luma in [0, 1].
            same_size: repeat the border before each layer, so that the output is as large as the
                input (how the authors test); otherwise no padding at all (how they train).

        Returns:
            (B, 1, H, W), or (B, 1, H - 2 margin, W - 2 margin) without padding.
        """
        layers = (self.patch_extraction, self.mapping, self.reconstruction)
        features = upscaled
        for layer in layers:
            if same_size:
                features = F.pad(features, (layer.kernel_size[0] // 2,) * 4, mode="replicate")
            features = layer(features)
            if layer is not self.reconstruction:
                features = F.relu(features)
        return features


def initialise_as_paper(model: SRCNN, generator: torch.Generator) -> None:
    """Draw all weights from N(0, 0.001^2), biases zero (paper, section 3.3), in place."""
    for layer in (model.patch_extraction, model.mapping, model.reconstruction):
        nn.init.normal_(layer.weight, std=0.001, generator=generator)
        nn.init.zeros_(layer.bias)


def initialise_as_identity(model: SRCNN, generator: torch.Generator) -> None:
    """Start as "output = input", beside features drawn after He (2015), in place.

    Filter 0 of each layer passes the centre pixel on, so that the untrained network returns its
    bicubic input and the other filters only have to learn the difference. Inputs are not negative,
    so the two ReLUs let the picture through unchanged. Lesson 03 compares this with the paper's
    initialisation.
    """
    for layer in (model.patch_extraction, model.mapping):
        nn.init.kaiming_normal_(layer.weight, nonlinearity="relu", generator=generator)
        nn.init.zeros_(layer.bias)
        with torch.no_grad():
            layer.weight[0] = 0
    nn.init.normal_(model.reconstruction.weight, std=0.001, generator=generator)
    nn.init.zeros_(model.reconstruction.bias)
    with torch.no_grad():
        model.reconstruction.weight[0, 0] = 0
        for layer in (model.patch_extraction, model.mapping, model.reconstruction):
            centre = layer.kernel_size[0] // 2
            layer.weight[0, 0, centre, centre] = 1


def load_authors_weights(path: str | Path) -> SRCNN:
    """Read a weight file of the SRCNN authors' MATLAB package.

    The file holds, a layer each, a matrix whose rows are filter positions column by column
    (`weights_conv1`: f1^2 x 64, `weights_conv2`: 64 x f2^2 x 32, `weights_conv3`: 32 x f3^2) and a
    vector of biases. Filters are applied without flipping, as PyTorch does.

    Args:
        path: a `.mat` file, such as `9-5-5_ImageNet_x3.mat`.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file does not have that layout.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"No weight file at {path}.")
    try:
        content = scipy.io.loadmat(path)
        first = content["weights_conv1"]  # (f1 * f1, n1)
        second = content["weights_conv2"]  # (n1, f2 * f2, n2)
        third = content["weights_conv3"]  # (n2, f3 * f3)
        biases = [content[f"biases_conv{layer}"].reshape(-1) for layer in (1, 2, 3)]
        sizes = [round(count**0.5) for count in (len(first), second.shape[1], third.shape[1])]
        model = SRCNN(*sizes, n1=first.shape[1], n2=second.shape[2])
        state = {
            "patch_extraction.weight": _columns_to_filters(first.T[:, None]),
            "mapping.weight": _columns_to_filters(second.transpose(2, 0, 1)),
            "reconstruction.weight": _columns_to_filters(third[None]),
        }
        for name, bias in zip(
            ("patch_extraction", "mapping", "reconstruction"), biases, strict=True
        ):
            state[f"{name}.bias"] = torch.from_numpy(bias.astype(np.float32))
        model.load_state_dict(state)
    except (KeyError, IndexError, ValueError, TypeError, RuntimeError) as error:
        raise ValueError(
            f"{path} is no SRCNN weight file of the authors' layout (weights_conv1 of shape "
            f"(f1*f1, n1), weights_conv2 (n1, f2*f2, n2), weights_conv3 (n2, f3*f3) and "
            f"biases_conv1 to 3): {error}"
        ) from error
    return model.eval()


def _columns_to_filters(columns: np.ndarray) -> Tensor:
    """(out, in, f * f), positions column by column -> (out, in, f, f)."""
    size = round(columns.shape[-1] ** 0.5)
    filters = columns.reshape(*columns.shape[:2], size, size).swapaxes(-1, -2)
    return torch.from_numpy(np.ascontiguousarray(filters, dtype=np.float32))


@torch.inference_mode()
def sharpen(model: SRCNN, upscaled: Tensor, tile: int = 256) -> Tensor:
    """Run SRCNN over a picture of any size, tile by tile, in bounded memory.

    Each tile is computed with `model.margin` pixels of its surroundings, so the tiles meet without
    a seam: the result equals one pass over the whole picture.

    Args:
        model: an SRCNN; its mode and parameters stay as they are.
        upscaled: (B, 1, H, W), luma in [0, 1], on the model's device.
        tile: side of a tile in pixels.

    Returns:
        (B, 1, H, W), not clipped.
    """
    _check_batch(upscaled, channels=(1,))
    height, width = upscaled.shape[-2:]
    halo = model.margin
    result = torch.empty_like(upscaled)
    for top in range(0, height, tile):
        for left in range(0, width, tile):
            bottom, right = min(top + tile, height), min(left + tile, width)
            first_row, first_column = max(top - halo, 0), max(left - halo, 0)
            surrounded = upscaled[..., first_row : bottom + halo, first_column : right + halo]
            rows = slice(top - first_row, bottom - first_row)
            columns = slice(left - first_column, right - first_column)
            result[..., top:bottom, left:right] = model(surrounded)[..., rows, columns]
    return result


def super_resolve(model: SRCNN, low: Tensor, scale: int) -> Tensor:
    """Enlarge a colour picture: luma by the network, colour bicubically (lesson 04).

    Args:
        model: an SRCNN trained for this scale, on the picture's device.
        low: (B, 3, h, w), RGB in [0, 1].
        scale: 2 or more.

    Returns:
        (B, 3, h * scale, w * scale), RGB in [0, 1].
    """
    ycbcr = rgb_to_ycbcr(enlarge(low, scale))
    luma = sharpen(model, ycbcr[:, :1])
    return ycbcr_to_rgb(torch.cat([luma, ycbcr[:, 1:]], dim=1))


# ---- The protocol ------------------------------------------------------------------------------


def prepare(image: Tensor, scale: int) -> tuple[Tensor, Tensor, Tensor]:
    """Make the three pictures that a test needs: small, enlarged again, and the truth.

    Args:
        image: (1, 3, H, W) or (1, 1, H, W), in [0, 1].
        scale: 2 or more.

    Returns:
        `low` (1, 1, h, w), `upscaled` (1, 1, H', W') and `high` (1, 1, H', W'), luma; H' and W'
        are H and W cropped to multiples of the scale.
    """
    _check_scale(scale)
    high = crop_to_multiple(rgb_to_luma(image), scale)
    low = degrade(high, scale)
    return low, enlarge(low, scale), high


@dataclass(frozen=True)
class Score:
    """How close a picture comes to the truth under the literature's protocol."""

    psnr: float
    """dB."""
    ssim: float


def score(prediction: Tensor, high: Tensor, scale: int) -> Score:
    """Compare a prediction with the truth as the literature does (lesson 01).

    Both are rounded to 8 bits, `scale` pixels are cut from each border, then PSNR with peak 255.

    Args:
        prediction: (1, 1, H, W), luma.
        high: the truth, same shape.
        scale: the border that is cut, in pixels.
    """
    inner = (..., slice(scale, -scale), slice(scale, -scale))
    ours, truth = to_levels(prediction)[inner], to_levels(high)[inner]
    return Score(psnr(ours, truth, peak=255).item(), ssim(ours, truth, peak=255).item())


def evaluate(model: SRCNN, images: Sequence[tuple[str, Tensor]], scale: int) -> dict:
    """Measure a network on a set of pictures: scores an image, then their means.

    Args:
        model: computes in float32, on the device where its parameters lie.
        images: pairs of a name and a picture (1, 3, H, W) or (1, 1, H, W), in [0, 1].
        scale: the factor that the network was trained for.

    Returns:
        `psnr`, `ssim`, `bicubic_psnr`, `bicubic_ssim` (means over images) and `per_image`, a
        dictionary from a picture's name to the same four numbers.

    Raises:
        ValueError: there are no images.
    """
    if not images:
        raise ValueError("There are no images to measure on.")
    device = next(model.parameters()).device
    per_image = {}
    for name, image in images:
        _, upscaled, high = prepare(image, scale)
        network = score(sharpen(model, upscaled.to(device)), high, scale)
        bicubic = score(upscaled, high, scale)
        per_image[name] = {
            "psnr": network.psnr,
            "ssim": network.ssim,
            "bicubic_psnr": bicubic.psnr,
            "bicubic_ssim": bicubic.ssim,
        }
    means = {
        key: float(np.mean([scores[key] for scores in per_image.values()]))
        for key in ("psnr", "ssim", "bicubic_psnr", "bicubic_ssim")
    }
    return {**means, "per_image": per_image}


# ---- Training data -----------------------------------------------------------------------------


class SubImages:
    """Random sub-images of a training set, the pairs that SRCNN learns from (lesson 03).

    Each picture is degraded as a whole, then cut (as in the authors' code; degrading each patch by
    itself would teach the network the patches' borders). Position, mirroring and quarter turns are
    random. The batch of a step depends on the seed and the step alone, so a training that was
    interrupted goes on with the very same batches.

    Args:
        images: pictures (1, 3, H, W) or (1, 1, H, W), in [0, 1].
        scale: 2 or more.
        size: side of a sub-image, in pixels; smaller pictures are left out.

    Raises:
        ValueError: no picture is large enough.
    """

    def __init__(self, images: Sequence[Tensor], scale: int, size: int = 33) -> None:
        pairs = [torch.cat(prepare(image, scale)[1:], dim=1)[0] for image in images]  # (2, H, W)
        self.pairs = [pair for pair in pairs if min(pair.shape[-2:]) >= size]
        if not self.pairs:
            raise ValueError(f"No picture has {size} pixels on both sides.")
        self.size = size
        counts = [(pair.shape[-2] - size + 1) * (pair.shape[-1] - size + 1) for pair in self.pairs]
        self._weights = torch.tensor(counts, dtype=torch.float64)

    def batch(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor]:
        """Draw `count` pairs.

        Returns:
            `upscaled` and `high`, each (count, 1, size, size).
        """
        chosen = torch.multinomial(self._weights, count, replacement=True, generator=generator)
        upscaled, high = [], []
        for index in chosen.tolist():
            pair = self.pairs[index]
            top = _draw(pair.shape[-2] - self.size + 1, generator)
            left = _draw(pair.shape[-1] - self.size + 1, generator)
            patch = pair[:, top : top + self.size, left : left + self.size]
            patch = torch.rot90(patch, _draw(4, generator), dims=(1, 2))
            if _draw(2, generator):
                patch = patch.flip(2)
            upscaled.append(patch[:1])
            high.append(patch[1:])
        return torch.stack(upscaled), torch.stack(high)


def _draw(limit: int, generator: torch.Generator) -> int:
    return int(torch.randint(limit, (), generator=generator))


@torch.no_grad()
def calibrate_brightness(model: SRCNN, upscaled: Tensor, high: Tensor) -> None:
    """Set the last bias to the value that is best for these pairs, in float32, in place.

    Given all other weights, the squared error is least when the mean error is zero. A network
    trained in bfloat16 has learnt that for its rounded weights; with full weights it is off by up
    to 0.6 of 255 levels, which costs 0.4 dB on a smooth picture.

    Args:
        model: changed in place.
        upscaled: (B, 1, S, S).
        high: (B, 1, S, S).
    """
    margin = model.margin
    error = high[..., margin:-margin, margin:-margin] - model(upscaled, same_size=False)
    model.reconstruction.bias += error.mean()


def pixel_loss(model: nn.Module, upscaled: Tensor, high: Tensor, margin: int) -> Tensor:
    """Mean squared error of an unpadded pass, in float32 (paper, equation 4; lesson 03).

    Args:
        model: an SRCNN, perhaps wrapped for several devices.
        upscaled: (B, 1, S, S).
        high: (B, 1, S, S); its border of `margin` pixels, which the pass cannot see, is left out.
        margin: `SRCNN.margin`.
    """
    output = model(upscaled, same_size=False)
    return F.mse_loss(output.float(), high[..., margin:-margin, margin:-margin])
