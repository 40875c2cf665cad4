"""How sure a classifier is of a picture: scores, larger for what it knows (lessons 11 to 14).

Functions of logits come first, then functions of a model and images. The second kind takes any
classifier: a module that turns a batch of images into logits (B, classes). It is run in eval mode
and put back into the modes that its parts had; its parameters, their gradients and its buffers
stay as they are.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor, nn

Images = Tensor | Iterable[Tensor | Sequence[Tensor]]
"""A tensor of images, uint8 0..255 or floating in [0, 1]; or batches of such, as a DataLoader gives
them: each a tensor, or a sequence that begins with one (labels after it are not read)."""

TEMPERATURE, EPSILON = 1000.0, 0.0014
"""The paper's setting for CIFAR-10; epsilon in units of the pixels' range, 0.36 of 255 levels."""


# ---- From logits -------------------------------------------------------------------------------


def temperature_softmax(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Divide the logits by a temperature, then take their softmax (paper, Eqn. 1).

    Computed in float64, since at temperature 1000 all scores of ten classes lie between 0.10 and
    0.11: in float16 or bfloat16 most would be equal.

    Args:
        logits: (B, N), of any floating type.
        temperature: positive. 1 is the usual softmax; the larger, the closer to 1 / N.

    Returns:
        (B, N) float64, on the logits' device (on the CPU if theirs knows no float64).

    Raises:
        ValueError: the logits are not (B, N) with two classes or more, not floating, or not finite;
            or the temperature is not positive.

    Example:
        >>> logits = torch.tensor([[2.0, 0.0]])
        >>> [round(p, 3) for p in temperature_softmax(logits, 2.0)[0].tolist()]
        [0.731, 0.269]
    """
    _check_temperature(temperature)
    return (_exact(logits) / temperature).softmax(dim=1)


def maximum_softmax(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return the largest probability, (B,): the baseline's score at temperature 1 (lesson 11).

    The detector of Hendrycks and Gimpel (ICLR 2017). Arguments and errors: `temperature_softmax`.
    """
    return temperature_softmax(logits, temperature).amax(dim=1)


def maximum_logit(logits: Tensor) -> Tensor:
    """Return the largest logit, (B,) float64: what the score nearly orders by at large temperature.

    Args:
        logits: (B, N).
    """
    return _exact(logits).amax(dim=1)


def negative_energy(logits: Tensor, temperature: float = 1.0) -> Tensor:
    """Return T log(sum(exp(logits / T))), (B,) float64: -E of Liu et al. (NeurIPS 2020; lesson 14).

    Args:
        logits: (B, N).
        temperature: positive.
    """
    _check_temperature(temperature)
    return temperature * (_exact(logits) / temperature).logsumexp(dim=1)


def logit_gaps(logits: Tensor) -> tuple[Tensor, Tensor]:
    """Return U1 and U2 of the paper's section 5, (B,) float64 each (lesson 12).

    U1 is the mean of largest logit minus another one, over the others; U2 the mean of the squares.
    For large temperature the score grows with (U1 - U2 / (2 T)) / T, in the limit with U1 alone.

    Args:
        logits: (B, N).

    Example:
        >>> [u.item() for u in logit_gaps(torch.tensor([[3.0, 1.0, 0.0]]))]
        [2.5, 6.5]
    """
    exact = _exact(logits)
    gaps = exact.amax(dim=1, keepdim=True) - exact
    others = exact.shape[1] - 1  # the largest logit's own gap is zero and adds nothing
    return gaps.sum(dim=1) / others, gaps.square().sum(dim=1) / others


def _exact(logits: Tensor) -> Tensor:
    """Return the logits in float64, checked."""
    if not isinstance(logits, Tensor) or not logits.is_floating_point():
        found = logits.dtype if isinstance(logits, Tensor) else type(logits).__name__
        raise ValueError(
            f"Expected logits, a floating tensor (B, classes); got {found}. If the model returns "
            "more than its logits, wrap it in a module that returns these alone."
        )
    if logits.ndim != 2 or logits.shape[1] < 2:
        raise ValueError(
            f"Expected logits (B, classes), of two classes or more; got {tuple(logits.shape)}."
        )
    exact = (logits.cpu() if logits.device.type == "mps" else logits).double()
    if not torch.isfinite(exact).all():
        raise ValueError("A logit is not finite; check the weights and the images' range.")
    return exact


def _check_temperature(temperature: float) -> None:
    if not (math.isfinite(temperature) and temperature > 0):
        raise ValueError(f"The temperature must be positive and finite; got {temperature}.")


# ---- From images -------------------------------------------------------------------------------


def classify(model: nn.Module, images: Images, batch_size: int = 32) -> Tensor:
    """Run a classifier over images.

    Args:
        model: takes a batch of images, returns logits (B, classes).
        images: (N, ...) or batches; see `Images`. They go to the model's device batch by batch.
        batch_size: of a tensor of images; batches that come as such are taken as they are.

    Returns:
        The logits, (N, classes) float64, on the CPU.

    Raises:
        ValueError: there are no images, they are neither uint8 nor floating, or the model returns
            something other than finite logits.
    """
    with _measuring(model), torch.no_grad():
        parts = [_logits(model, batch).cpu() for batch in _batches(model, images, batch_size)]
    return torch.cat(parts)


def baseline_scores(model: nn.Module, images: Images, batch_size: int = 32) -> Tensor:
    """Return the largest probability of each image, (N,) float64; arguments as of `classify`."""
    return maximum_softmax(classify(model, images, batch_size))


def perturb(
    model: nn.Module,
    images: Tensor,
    temperature: float = TEMPERATURE,
    epsilon: float = EPSILON,
) -> Tensor:
    """Move each pixel by epsilon, so that the model grows more sure of its answer (lesson 13).

    With y the class that the model names for the clean image, and S the softmax at this temperature
    (paper, Eqn. 2): x - epsilon * sign(-gradient of log S_y) = x + epsilon * sign(gradient of
    log S_y). An adversarial attack (the fast gradient sign method) takes the other sign. The result
    is not clipped to [0, 1]. A value whose gradient is zero stays as it is; the authors' code moves
    it.

    Epsilon is in the units of `images`. The course's models take pixels in [0, 1] and normalise
    inside, which gives the paper's units: its networks take normalised images, so the authors' code
    divides the sign by the channels' standard deviations, and 0.0014 again means pixels.

    An outer `torch.no_grad` or `torch.inference_mode` is overridden for the gradient.

    Args:
        model: a classifier; see `classify`.
        images: (B, ...), uint8 0..255 or floating in [0, 1].
        temperature: positive.
        epsilon: 0 or more.

    Returns:
        The shape of `images`, floating, on the model's device.

    Raises:
        ValueError: as of `classify`; or epsilon is negative; or the model's output has no gradient
            with respect to the images, or the model computes in half precision.
    """
    with _measuring(model):
        (batch,) = _batches(model, [images], 1)
        _, (sign,) = _clean_and_signs(model, batch, [temperature], [epsilon])
        return batch + epsilon * sign


def odin_scores(
    model: nn.Module,
    images: Images,
    temperature: float = TEMPERATURE,
    epsilon: float = EPSILON,
    batch_size: int = 32,
) -> Tensor:
    """Return ODIN's score of each image: the largest probability, after the step (lesson 14).

    Two forward passes and one backward pass. With epsilon 0 there is no backward pass, and with
    temperature 1 as well the score is the baseline's.

    Args:
        model: a classifier; see `classify`.
        images: (N, ...) or batches; see `Images`.
        temperature: positive.
        epsilon: in the units of the model's input; see `perturb`.
        batch_size: of a tensor of images. For the backward pass a DenseNet-BC (100, 12) keeps 40 MB
            an image.

    Returns:
        (N,) float64, on the CPU.

    Raises:
        ValueError: as of `perturb`.
    """
    return odin_grid(model, images, [temperature], [epsilon], batch_size)[0, 0]


def clean_and_odin_logits(
    model: nn.Module,
    images: Images,
    temperature: float = TEMPERATURE,
    epsilon: float = EPSILON,
    batch_size: int = 32,
) -> tuple[Tensor, Tensor]:
    """Return the logits of the images and of the perturbed images, (N, classes) float64 each.

    Both scores come from these in one go: `maximum_softmax(clean)` is the baseline's,
    `maximum_softmax(perturbed, temperature)` ODIN's. Arguments and errors as of `odin_scores`.
    """
    clean, perturbed = [], []
    with _measuring(model):
        for batch in _batches(model, images, batch_size):
            logits, (sign,) = _clean_and_signs(model, batch, [temperature], [epsilon])
            clean.append(logits.cpu())
            perturbed.append(_moved_logits(model, batch, logits, sign, epsilon).cpu())
    return torch.cat(clean), torch.cat(perturbed)


def odin_grid(
    model: nn.Module,
    images: Images,
    temperatures: Sequence[float],
    epsilons: Sequence[float],
    batch_size: int = 32,
) -> Tensor:
    """Return ODIN's scores for every pair of a temperature and an epsilon.

    For G temperatures and E epsilons: 1 + G * E forward passes (none for epsilon 0 but the first)
    and G backward passes.

    Args:
        model: a classifier; see `classify`.
        images: (N, ...) or batches; see `Images`.
        temperatures: G of them.
        epsilons: E of them.
        batch_size: of a tensor of images.

    Returns:
        (G, E, N) float64, on the CPU.

    Raises:
        ValueError: as of `perturb`.
    """
    parts = []
    with _measuring(model):
        for batch in _batches(model, images, batch_size):
            clean, signs = _clean_and_signs(model, batch, temperatures, epsilons)
            scores = [
                maximum_softmax(_moved_logits(model, batch, clean, sign, epsilon), temperature)
                for temperature, sign in zip(temperatures, signs, strict=True)
                for epsilon in epsilons
            ]
            parts.append(torch.stack(scores).cpu())
    return torch.cat(parts, dim=1).unflatten(0, (len(temperatures), len(epsilons)))


def _clean_and_signs(
    model: nn.Module, batch: Tensor, temperatures: Sequence[float], epsilons: Sequence[float]
) -> tuple[Tensor, list[Tensor]]:
    """Return the clean images' logits and the gradient's signs, one tensor a temperature.

    Where every epsilon is zero the signs are not worth a backward pass: zeros take their place.
    """
    for temperature in temperatures:
        _check_temperature(temperature)
    for epsilon in epsilons:
        if not (math.isfinite(epsilon) and epsilon >= 0):
            raise ValueError(f"Epsilon must be 0 or more, and finite; got {epsilon}.")
    if not any(epsilons):
        with torch.no_grad():
            return _logits(model, batch), [torch.zeros_like(batch) for _ in temperatures]
    _check_differentiable(model, batch)
    with torch.enable_grad():
        pixels = batch.detach().requires_grad_()
        logits = _logits(model, pixels.clone())  # a first layer may work in place
        label = logits.argmax(dim=1, keepdim=True)
        signs = []
        for temperature in temperatures:
            log_score = (logits / temperature).log_softmax(dim=1).gather(1, label)
            # The factor changes no sign and keeps small gradients away from underflow.
            signs.append(_sign_of_gradient((temperature * log_score).sum(), pixels))
    return logits.detach(), signs


def _sign_of_gradient(total: Tensor, pixels: Tensor) -> Tensor:
    gradient = None
    if total.requires_grad:
        (gradient,) = torch.autograd.grad(total, pixels, retain_graph=True, allow_unused=True)
    if gradient is None:
        raise ValueError(
            "The model's output has no gradient with respect to the images, which ODIN needs: "
            "remove torch.no_grad, torch.inference_mode or .detach() from the model's forward."
        )
    return gradient.sign()


def _moved_logits(
    model: nn.Module, batch: Tensor, clean: Tensor, sign: Tensor, epsilon: float
) -> Tensor:
    """Return the logits of moved images; where nothing moves, those of the clean ones."""
    if epsilon == 0:
        return clean
    with torch.no_grad():
        return _logits(model, batch + epsilon * sign)


def _check_differentiable(model: nn.Module, batch: Tensor) -> None:
    if batch.dtype not in (torch.float32, torch.float64):
        raise ValueError(
            f"The model computes in {batch.dtype}, in which a step of 0.0014 is lost. Use "
            "model.float() for ODIN."
        )
    if any(tensor.is_inference() for tensor in (*model.parameters(), *model.buffers())):
        raise ValueError(
            "The model was made or loaded under torch.inference_mode, and such weights give no "
            "gradient. Make or load it outside; only the call of ODIN may stand inside."
        )


@contextmanager
def _measuring(model: nn.Module) -> Iterator[None]:
    """Put a model into eval mode for a while, out of any outer inference mode."""
    modes = [(part, part.training) for part in model.modules()]
    model.eval()
    try:
        with torch.inference_mode(False):
            yield
    finally:
        for part, training in modes:
            part.training = training


def _batches(model: nn.Module, images: Images, batch_size: int) -> Iterator[Tensor]:
    """Yield images in batches, in the model's floating type and on its device."""
    tensors = (*model.parameters(), *model.buffers())
    like = next((tensor for tensor in tensors if tensor.is_floating_point()), torch.empty(0))
    empty = True
    for entry in images.split(batch_size) if isinstance(images, Tensor) else images:
        batch = entry if isinstance(entry, Tensor) else entry[0]
        if not (batch.dtype == torch.uint8 or batch.is_floating_point()):
            raise ValueError(
                f"Expected images, uint8 or floating, first in each batch; got {batch.dtype}."
            )
        if len(batch) == 0:
            continue
        empty = False
        batch = batch.clone() if batch.is_inference() else batch.detach()
        scale = 255 if batch.dtype == torch.uint8 else 1
        yield batch.to(like.device).to(like.dtype) / scale
    if empty:
        raise ValueError("There are no images.")


def _logits(model: nn.Module, batch: Tensor) -> Tensor:
    """Return a model's logits in float64, checked."""
    logits = _exact(model(batch))
    if len(logits) != len(batch):
        raise ValueError(
            f"Expected a row of logits for each of {len(batch)} images; got {len(logits)}."
        )
    return logits
