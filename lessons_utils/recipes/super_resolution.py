"""SRCNN on T91."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from lightning_fabric import Fabric

from lessons_utils import checkpoints, datasets, runtime, superres, training


@dataclass(frozen=True)
class SuperResolutionRecipe:
    """Trains one SRCNN on T91 for one scale.

    Chosen on images held out of T91, never on Set5: in short trials from the identity start Muon
    was ahead of Adam there, and shrunken copies of the training pictures did not help.
    """

    filter_sizes: tuple[int, int, int]
    scale: int
    steps: int
    learning_rate: float = 1e-3
    last_layer_learning_rate: float = 5e-4
    batch_size: int = 4
    output_size: int = 49
    """Side of the square that a sub-image's loss is taken on; the input is 2 margins larger."""

    @property
    def name(self) -> str:
        """Such as `srcnn-9-5-5-x3`."""
        return f"srcnn-{'-'.join(map(str, self.filter_sizes))}-x{self.scale}"

    def build_model(self) -> superres.SRCNN:
        """Return the untrained network."""
        return superres.SRCNN(*self.filter_sizes)


SUPER_RESOLUTION = {
    recipe.name: recipe
    for recipe in (
        SuperResolutionRecipe((9, 5, 5), scale=3, steps=40_000),
        SuperResolutionRecipe((9, 1, 5), scale=3, steps=40_000),
        SuperResolutionRecipe((9, 5, 5), scale=2, steps=30_000),
        SuperResolutionRecipe((9, 5, 5), scale=4, steps=30_000),
    )
}


def split_t91(
    images: Sequence[tuple[str, torch.Tensor]],
) -> tuple[list[torch.Tensor], list[tuple[str, torch.Tensor]]]:
    """Part T91 into training pictures and held-out pictures.

    Every eleventh picture by name is held out, unless the training part has the very same pixels
    (t65 is t36 again).
    """
    candidates = list(images[5::11])
    names = {name for name, _ in candidates}
    training_images = [image for name, image in images if name not in names]
    trained_on = {datasets.pixels_sha256([image]) for image in training_images}
    held_out = [
        (name, image)
        for name, image in candidates
        if datasets.pixels_sha256([image]) not in trained_on
    ]
    return training_images, held_out


def train_super_resolution(
    name: str,
    out: Path,
    runs: Path,
    fabric: Fabric,
    command: str,
    steps: int | None = None,
    seed: int = 0,
) -> checkpoints.Card:
    """Train a network by its recipe, measure it, and write weights and card.

    Validation is by PSNR on pictures held out of T91. Set5 is measured once, at the end, for the
    card.

    Args:
        name: a key of `SUPER_RESOLUTION`.
        out: folder of the checkpoint.
        runs: folder that keeps the state of unfinished runs; a killed run goes on from there.
        steps: instead of the recipe's; for short trials.
        seed: of initial weights and batches.
        fabric: devices, machines and precision.
        command: what was typed, for the card.
    """
    if name not in SUPER_RESOLUTION:
        raise ValueError(f"No recipe is named {name!r}. There are: {', '.join(SUPER_RESOLUTION)}.")
    recipe = SUPER_RESOLUTION[name]
    steps = steps or recipe.steps
    t91 = datasets.super_resolution_set("T91")
    training_images, held_out = split_t91(t91)
    runtime.seed_everything(seed)
    generator = torch.Generator().manual_seed(seed)
    model = recipe.build_model()
    superres.initialise_as_identity(model, generator)
    model = model.to(memory_format=torch.channels_last)
    margin = model.margin
    sub_images = superres.SubImages(
        training_images, recipe.scale, size=recipe.output_size + 2 * margin
    )
    hidden = [*model.patch_extraction.parameters(), *model.mapping.parameters()]
    optimizer = training.Muon(
        [
            {"params": hidden, "lr": recipe.learning_rate},
            {"params": model.reconstruction.parameters(), "lr": recipe.last_layer_learning_rate},
        ]
    )
    settings = training.TrainingSettings(
        steps=steps,
        batch_size=recipe.batch_size,
        seed=seed,
        validate_every=min(1000, steps),
        origin=json.dumps(asdict(recipe)),
    )

    def draw_batch(count: int, generator: torch.Generator) -> training.Batch:
        batch = sub_images.batch(count, generator)
        return tuple(part.to(memory_format=torch.channels_last) for part in batch)

    calibration_pairs = sub_images.batch(128, torch.Generator().manual_seed(seed))

    def calibrate(model: superres.SRCNN) -> None:
        device = model.reconstruction.bias.device
        superres.calibrate_brightness(model, *(part.to(device) for part in calibration_pairs))

    result = training.fit(
        model,
        optimizer,
        settings,
        draw_batch,
        loss=lambda model, upscaled, high: superres.pixel_loss(model, upscaled, high, margin),
        validate=lambda model: superres.evaluate(model, held_out, recipe.scale)["psnr"],
        calibrate=calibrate,
        folder=runs / f"{name}-seed{seed}",
        fabric=fabric,
    )
    model = model.cpu().to(memory_format=torch.contiguous_format).eval()
    card = checkpoints.Card(
        name=name,
        architecture=dict(zip(("f1", "f2", "f3"), recipe.filter_sizes, strict=True)),
        command=command,
        seed=seed,
        training_data=f"T91: {len(training_images)} of its 91 pictures; held out: "
        f"{', '.join(name for name, _ in held_out)}; neither: t65, which is t36 again",
        training_data_sha256=datasets.pixels_sha256(training_images),
        **checkpoints.circumstances(),
        seconds=round(result.seconds, 1),
        cpu_seconds=round(result.cpu_seconds, 1),
        settings={
            **asdict(settings),
            "precision": fabric.strategy.precision.precision,
            "learning_rate": recipe.learning_rate,
            "last_layer_learning_rate": recipe.last_layer_learning_rate,
            "sub_image": sub_images.size,
            "start": "identity",
        },
        metrics={
            "best_step": result.best_step,
            "held_out_t91_psnr": round(result.best_score, 4),
        },
    )
    if datasets.is_present("Set5"):
        measured = superres.evaluate(model, datasets.super_resolution_set("Set5"), recipe.scale)
        card.metrics["set5"] = checkpoints.rounded(measured)
    if fabric.is_global_zero:
        checkpoints.save(out, model, card)
    return card


def load_for_evaluation(
    name: str, weights: Path | None, scale: int | None
) -> tuple[superres.SRCNN, int]:
    """Return a network and its scale, by a shipped name or from a file.

    Args:
        name: a shipped checkpoint, or `srcnn` for weights from a file.
        weights: with `srcnn`: the authors' `.mat`, or a `.safetensors` with its card.
        scale: with `srcnn`: the factor that the weights were trained for.

    Raises:
        ValueError: the name is unknown, or the options do not go together.
        FileNotFoundError: there is no such file.
    """
    if name == "srcnn":
        if weights is None or scale is None:
            raise ValueError("`srcnn` needs --weights FILE and --scale 2, 3 or 4.")
        if weights.suffix == ".mat":
            return superres.load_authors_weights(weights), scale
        card = checkpoints.load_card(weights)
        return checkpoints.load(weights, superres.SRCNN(**card.architecture))[0], scale
    if name not in SUPER_RESOLUTION:
        raise ValueError(
            f"No network is named {name!r}. There are: {', '.join(SUPER_RESOLUTION)}, "
            "and srcnn (with --weights and --scale)."
        )
    if weights is not None or scale not in (None, SUPER_RESOLUTION[name].scale):
        raise ValueError(
            f"{name} is a shipped network of its own scale; use `srcnn` to give --weights and "
            "--scale."
        )
    recipe = SUPER_RESOLUTION[name]
    return checkpoints.load(name, recipe.build_model())[0], recipe.scale
