"""Classifiers of 32 x 32 images: the paper's DenseNet, a ResNet, and a compact one of the course.

All take pixels in [0, 1] and normalise them inside, so that ODIN's epsilon means pixels; they
return logits.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CIFAR10_CLASSES = (
    "airplane",
    "automobile",
    "bird",
    "cat",
    "deer",
    "dog",
    "frog",
    "horse",
    "ship",
    "truck",
)
"""In the order of the logits."""

CIFAR_MEAN, CIFAR_DEVIATION = (0.4914, 0.4822, 0.4465), (0.2023, 0.1994, 0.2010)
"""Of each channel; the deviations that most CIFAR-10 networks, the DenseNet's file too, use. They
are means of the images' own deviations; over all pixels it would be 0.247, 0.243, 0.262."""
IMAGENET_MEAN, IMAGENET_DEVIATION = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)


# ---- Normalisation -----------------------------------------------------------------------------


class Normalise(nn.Module):
    """A first layer: subtracts each channel's mean and divides by its deviation.

    Args:
        mean: of each channel, in the range of the pixels.
        deviation: of each channel, positive.

    Raises:
        ValueError: the two have different lengths, or a deviation is not positive.
    """

    mean: Tensor
    deviation: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        if len(mean) != len(deviation) or min(deviation, default=0) <= 0:
            raise ValueError(
                "Expected a mean and a positive deviation for each channel; got "
                f"{tuple(mean)} and {tuple(deviation)}."
            )
        self.register_buffer("mean", torch.tensor(mean).view(-1, 1, 1))
        self.register_buffer("deviation", torch.tensor(deviation).view(-1, 1, 1))

    def forward(self, images: Tensor) -> Tensor:
        """Return normalised images, (B, C, H, W).

        Args:
            images: (B, C, H, W) in [0, 1].

        Raises:
            ValueError: the images are not floating or have another number of channels.
        """
        channels = len(self.mean)
        if not images.is_floating_point() or images.ndim != 4 or images.shape[1] != channels:
            raise ValueError(
                f"Expected images (B, {channels}, H, W), floating, in [0, 1]; got "
                f"{tuple(images.shape)}, {images.dtype}."
            )
        return (images - self.mean) / self.deviation


class Normalised(nn.Sequential):
    """A classifier of normalised images, made to take pixels.

    Args:
        classifier: takes normalised images.
        mean: of each channel.
        deviation: of each channel.
    """

    def __init__(
        self, classifier: nn.Module, mean: Sequence[float], deviation: Sequence[float]
    ) -> None:
        parts = {"normalise": Normalise(mean, deviation), "classifier": classifier}
        super().__init__(OrderedDict(parts))


# ---- The course's own --------------------------------------------------------------------------


class CompactNet(nn.Module):
    """A small residual network that trains in minutes on a processor.

    A stem of 2 x 2 filters makes neighbouring pixels uncorrelated (`whiten`). Then come three
    stages: a convolution widens, maximum pooling halves, a second convolution adds to what it is
    given. Where the images are large the stages are narrow and where they are wide the images are
    small. For 32 x 32 pixels:

    | layer | output | parameters | million multiplications |
    | --- | --- | --- | --- |
    | stem 2 x 2 | 24 x 31 x 31 | 0.3 k | 0.3 |
    | stage 1 | 64 x 15 x 15 | 51 k | 21.6 |
    | stage 2 | 192 x 7 x 7 | 443 k | 41.1 |
    | stage 3 | 256 x 3 x 3 | 1,033 k | 27.0 |
    | mean, linear | 10 | 2.6 k | 0.0 |

    90 million in all, 1.5 million parameters, 6.1 MB. A ResNet-20, a sixth of its size, needs 41
    million, a DenseNet-BC (100, 12), half of its size, 288 million. Seven wide convolutions keep a
    processor busier than twenty or a hundred narrow ones: a training step (bfloat16, channels last)
    takes 1.4 times as long as that of the ResNet-20, for 2.2 times the multiplications.

    Args:
        classes: how many logits.
        widths: channels of the stages.
        mean: of each channel of the images, one entry a channel.
        deviation: of each channel.
        mirrored: in eval mode, give the mean of the logits of an image and of its mirror image, for
            twice the work: on CIFAR-10 a point of accuracy. Training sees single images.

    Example:
        >>> CompactNet()(torch.rand(2, 3, 32, 32)).shape
        torch.Size([2, 10])
    """

    def __init__(
        self,
        classes: int = 10,
        widths: Sequence[int] = (64, 192, 256),
        mean: Sequence[float] = CIFAR_MEAN,
        deviation: Sequence[float] = CIFAR_DEVIATION,
        mirrored: bool = False,
    ) -> None:
        super().__init__()
        channels = len(mean)
        self.mirrored = mirrored
        stem = 2 * 4 * channels  # each direction of a 2 x 2 patch, and its opposite
        self.normalise = Normalise(mean, deviation)
        self.stem = nn.Conv2d(channels, stem, 2, bias=False)
        self.stages = nn.Sequential(
            *(_Stage(a, b) for a, b in zip((stem, *widths), widths, strict=False))
        )
        self.output = nn.Linear(widths[-1], classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (B, classes).

        Args:
            images: (B, C, H, W) in [0, 1], at least 9 x 9.
        """
        features = self._features(images)
        if self.mirrored and not self.training:
            features = (features + self._features(images.flip(3))) / 2
        return self.output(features)

    def _features(self, images: Tensor) -> Tensor:
        maps = self.stages(F.relu(self.stem(self.normalise(images))))
        return maps.mean(dim=(2, 3))

    @torch.no_grad()
    def whiten(self, images: Tensor) -> None:
        """Set the stem so that its outputs are uncorrelated and of variance 1, in place.

        The filters are the principal directions of 2 x 2 patches, each divided by its deviation,
        and their opposites (which the ReLU that follows would lose). To be called once, before
        training; `stem.weight.requires_grad_(False)` keeps them.

        Args:
            images: (N, C, H, W) of the training set, uint8 or in [0, 1]; a few thousand do.
        """
        pixels = images.float() / 255 if images.dtype == torch.uint8 else images
        patches = F.unfold(self.normalise(pixels), 2)  # (N, 4 C, positions)
        rows = patches.transpose(1, 2).flatten(0, 1)
        variances, directions = torch.linalg.eigh(torch.cov(rows.T.double()))
        filters = (directions / (variances + 5e-4).sqrt()).T  # rare directions are mostly noise
        shaped = filters.view(-1, *self.stem.weight.shape[1:])
        self.stem.weight.copy_(torch.cat([shaped, -shaped]))


class _Stage(nn.Module):
    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.widen = nn.Conv2d(channels, width, 3, padding=1, bias=False)
        self.norm1 = nn.BatchNorm2d(width)
        self.refine = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.norm2 = nn.BatchNorm2d(width)

    def forward(self, maps: Tensor) -> Tensor:
        halved = F.relu(self.norm1(F.max_pool2d(self.widen(maps), 2)))
        return halved + F.relu(self.norm2(self.refine(halved)))


# ---- The paper's -------------------------------------------------------------------------------


class DenseNet(nn.Module):
    """DenseNet-BC, the paper's own network with depth 100 and growth 12 (Huang et al., CVPR 2017).

    Three blocks; in a block each layer sees the maps of all layers before it and adds `growth` of
    its own. B: a 1 x 1 convolution to 4 * growth maps stands before each 3 x 3 one. C: between two
    blocks the number of maps is halved, and so is their size. Takes normalised images; `Normalised`
    puts the normalisation before it.

    Args:
        depth: layers with weights; 4 more than a multiple of 6.
        growth: k.
        classes: how many logits.

    Raises:
        ValueError: no DenseNet-BC has this depth.

    Example:
        >>> sum(p.numel() for p in DenseNet().parameters())
        769162
    """

    def __init__(self, depth: int = 100, growth: int = 12, classes: int = 10) -> None:
        super().__init__()
        layers, rest = divmod(depth - 4, 6)
        if rest or layers < 1:
            raise ValueError(f"A DenseNet-BC has 6 n + 4 layers, such as 40 or 100; got {depth}.")
        maps = 2 * growth
        self.conv1 = nn.Conv2d(3, maps, 3, padding=1, bias=False)
        for number in (1, 2, 3):  # the names are those of the weights that can be had
            self.add_module(f"block{number}", _DenseBlock(maps, growth, layers))
            maps += layers * growth
            if number < 3:
                self.add_module(f"trans{number}", _Transition(maps, maps // 2))
                maps //= 2
        self.bn1 = nn.BatchNorm2d(maps)
        self.fc = nn.Linear(maps, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (B, classes).

        Args:
            images: (B, 3, H, W), normalised.
        """
        maps = self.trans1(self.block1(self.conv1(images)))
        maps = self.block3(self.trans2(self.block2(maps)))
        return self.fc(F.relu(self.bn1(maps)).mean(dim=(2, 3)))


class _DenseBlock(nn.Module):
    def __init__(self, maps: int, growth: int, layers: int) -> None:
        super().__init__()
        self.layer = nn.Sequential(*(_DenseLayer(maps + i * growth, growth) for i in range(layers)))

    def forward(self, maps: Tensor) -> Tensor:
        return self.layer(maps)


class _DenseLayer(nn.Module):
    def __init__(self, maps: int, growth: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(maps)
        self.conv1 = nn.Conv2d(maps, 4 * growth, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(4 * growth)
        self.conv2 = nn.Conv2d(4 * growth, growth, 3, padding=1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        narrow = self.conv1(F.relu(self.bn1(maps)))
        return torch.cat([maps, self.conv2(F.relu(self.bn2(narrow)))], dim=1)


class _Transition(nn.Module):
    def __init__(self, maps: int, fewer: int) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(maps)
        self.conv1 = nn.Conv2d(maps, fewer, 1, bias=False)

    def forward(self, maps: Tensor) -> Tensor:
        return F.avg_pool2d(self.conv1(F.relu(self.bn1(maps))), 2)


class ResNet20(nn.Module):
    """The ResNet of 20 layers for CIFAR-10 (He et al., CVPR 2016).

    Its shortcuts have no weights. Takes normalised images.

    Args:
        classes: how many logits.
    """

    def __init__(self, classes: int = 10) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(3, 16, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(16)
        self.layer1 = _residual_layers(16, 16)
        self.layer2 = _residual_layers(16, 32)
        self.layer3 = _residual_layers(32, 64)
        self.linear = nn.Linear(64, classes)

    def forward(self, images: Tensor) -> Tensor:
        """Return logits, (B, classes).

        Args:
            images: (B, 3, H, W), normalised.
        """
        maps = F.relu(self.bn1(self.conv1(images)))
        maps = self.layer3(self.layer2(self.layer1(maps)))
        return self.linear(maps.mean(dim=(2, 3)))


def _residual_layers(maps: int, width: int) -> nn.Sequential:
    return nn.Sequential(*(_Residual(maps if i == 0 else width, width) for i in range(3)))


class _Residual(nn.Module):
    def __init__(self, maps: int, width: int) -> None:
        super().__init__()
        self.stride = width // maps
        self.conv1 = nn.Conv2d(maps, width, 3, self.stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)

    def forward(self, maps: Tensor) -> Tensor:
        residual = self.bn2(self.conv2(F.relu(self.bn1(self.conv1(maps)))))
        if self.stride > 1:  # every second pixel, with empty maps on either side
            missing = (residual.shape[1] - maps.shape[1]) // 2
            maps = F.pad(maps[..., ::2, ::2], (0, 0, 0, 0, missing, missing))
        return F.relu(maps + residual)


# ---- Weights of others -------------------------------------------------------------------------


def load_pickled_classifier(path: str | Path) -> Normalised:
    """Load a CIFAR network that others trained and saved with `torch.save`.

    Known are DenseNet-BC (any depth) as in the DICE repository, and the ResNet-20 of
    `pytorch_resnet_cifar10`. Only tensors are unpickled: nothing in the file is executed.

    Returns:
        The network with its normalisation before it, in eval mode.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the file holds more than tensors, or the weights of another network.
    """
    if not Path(path).is_file():
        raise FileNotFoundError(f"No weights at {path}.")
    try:
        content = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:  # a damaged pickle may raise anything
        raise ValueError(f"{path} is no file of tensors that PyTorch saved: {error}") from error
    state = content.get("state_dict", content) if isinstance(content, dict) else {}
    state = {str(key).removeprefix("module."): value for key, value in state.items()}
    try:
        if "block1.layer.0.conv1.weight" in state:
            return _filled_densenet(state)
        if "layer3.2.conv2.weight" in state:
            network = ResNet20(len(state["linear.bias"]))
            return _filled(network, state, IMAGENET_MEAN, IMAGENET_DEVIATION)
    except (KeyError, RuntimeError) as error:
        raise ValueError(f"The weights in {path} do not fit: {error}") from error
    raise ValueError(
        f"{path} holds neither a DenseNet-BC nor a ResNet-20 for CIFAR; its first tensors are "
        f"{', '.join(list(state)[:3]) or 'none'}."
    )


def _filled_densenet(state: dict[str, Tensor]) -> Normalised:
    layers = sum(key.startswith("block1.layer.") and key.endswith("conv1.weight") for key in state)
    growth = len(state["block1.layer.0.conv2.weight"])
    network = DenseNet(6 * layers + 4, growth, len(state["fc.bias"]))
    return _filled(network, state, CIFAR_MEAN, CIFAR_DEVIATION)


def _filled(
    network: nn.Module,
    state: dict[str, Tensor],
    mean: Sequence[float],
    deviation: Sequence[float],
) -> Normalised:
    counters = {  # written by PyTorch since 2018 and used by nothing here
        key: value for key, value in network.state_dict().items() if "num_batches" in key
    }
    network.load_state_dict({**counters, **state})
    model = Normalised(network, mean, deviation).eval()
    return model.to(memory_format=torch.channels_last)  # which processors compute faster
