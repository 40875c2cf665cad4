"""GeoNet on rendered streets: depth and camera motion first, then what moves by itself.

Nothing here sees a label: `scenes.streets.images` gives pictures and intrinsics only, and held-out
streets are judged by the loss. Truth comes in when the finished networks are measured, in
`recipes.motion_tables`. (The recipe's own numbers, such as the size of a batch, were chosen by the
true flow of the held-out streets, not of the test's.)
"""

from __future__ import annotations

import copy
import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import torch
import torch.nn.functional as F
from lightning_fabric import Fabric
from torch import Tensor, nn

from lessons_utils import checkpoints, datasets, motion, runtime, training
from lessons_utils.recipes.motion_tables import measure_drive, measure_streets
from lessons_utils.scenes import streets

STREETS = {"train": 1_200, "validation": 40, "test": 100}
"""How many drives a part has; each goes through a street of its own."""

FRAMES = {"train": 5, "validation": 3, "test": 3}
"""Frames of a drive: five hold three snippets of three, at less rendering than three drives."""

_CALIBRATION = 25
"""Batches that set batch normalisation's statistics for averaged weights, which have none."""


@dataclass(frozen=True)
class RigidRecipe:
    """Trains depth and pose together (section 3.3).

    Unlike the paper, as measured on streets: an error counts in the source frame that explains the
    pixel better (Godard et al., "Digging into self-supervised monocular depth estimation", ICCV
    2019), which spares what one of them does not see; coarse disparity is enlarged and compared
    at full size; disparity is divided by its mean before it is smoothed, weakly. Without these the
    loss is easily lowest at one depth for everything.

    The minimum has a price. What is near leaves the frame after, so that only the frame before
    tells its depth: near and far may choose the step to one frame each, and the steps need not
    agree. They came out 18 % apart where all drives have a steady speed. So a short second part
    takes the mean over the sources, as the paper does.
    """

    steps: int
    learning_rate: float = 7e-4
    batch_size: int = 4
    """Snippets of three frames."""
    drives: int = 400
    """The first so many of the training part; the residual stage has all of them."""
    smoothness: float = 1e-3
    """Weight at full size; half of it at half size, and so on. The paper: 0.5."""
    minimum: bool = True
    """Count the smaller error of both sources; without, the mean over those that see the pixel."""
    auto_mask: bool = False
    """Leave out pixels that an unwarped source explains at least as well (Godard et al.). It keeps
    cars as fast as the camera from the depth loss, which else puts them far away. Off: far away,
    they have the rigid flow that is seen, and lesson 09 shows it."""


@dataclass(frozen=True)
class ResidualRecipe:
    """Trains residual flow on the frozen output of the rigid stage (sections 3.4 and 3.5).

    First without consistency, unlike the paper: once one direction has found a car and the other
    has not, they disagree on it, and a mask keeps it from being learnt. With the mask from the
    start, 4,000 steps left moving cars .65 of rigid flow's error, without it .53 (40 held-out
    drives; batches of 16).
    """

    steps: int
    learning_rate: float = 7e-4
    batch_size: int = 32
    """Pairs of frames, each learnt from in both directions. Moving cars are few: with 4 pairs a
    batch, 16,000 steps left them .64 of rigid flow's error, with 16 pairs 4,000 steps .53."""
    smoothness: float = 3e-2
    """Weight at the finest scale, of residual flow in pixels; half of it at the next one, and so
    on: rigid flow keeps its edges. The paper smooths final flow."""
    sharpness: float = 10.0
    """See `motion.smoothness_loss`: a car's flow ends at its edge."""
    agreement: float = 1e-2
    """Weight of a pixel's disagreement between forward and backward flow, with consistency."""
    consistency: bool = True
    """Learn only where forward and backward flow agree, and make them agree there; without, learn
    everywhere inside the source."""


@dataclass(frozen=True)
class MotionRecipe:
    """Trains GeoNet in two stages, as the paper does (section 4.1), of two parts each."""

    name: str
    rigid: RigidRecipe
    tied: RigidRecipe
    """The second part of the rigid stage."""
    residual: ResidualRecipe
    consistent: ResidualRecipe
    """The second part of the residual stage. It is trained once more without consistency, as many
    steps: that network's flow is measured for the card, its weights are not kept."""


MOTION = {
    recipe.name: recipe
    for recipe in (
        MotionRecipe(
            "geonet-streets",
            rigid=RigidRecipe(steps=5_000),
            tied=RigidRecipe(steps=1_000, learning_rate=2e-4, minimum=False),
            residual=ResidualRecipe(steps=3_500, learning_rate=1.5e-3, consistency=False),
            consistent=ResidualRecipe(steps=600, learning_rate=3e-4),
        ),
    )
}


# ---- The networks together ---------------------------------------------------------------------


class RigidStage(nn.Module):
    """Depth and pose, which are trained together.

    Args:
        widths: of `motion.DepthNet`.
        pose_widths: of `motion.PoseNet`.
    """

    def __init__(
        self,
        widths: Sequence[int] = motion.WIDTHS,
        pose_widths: Sequence[int] = motion.POSE_WIDTHS,
    ) -> None:
        super().__init__()
        self.depth = motion.DepthNet(widths)
        self.pose = motion.PoseNet(2, pose_widths)

    def forward(self, target: Tensor, sources: Tensor) -> tuple[list[Tensor], Tensor]:
        """Return disparity of the target at four scales, and the vectors of the poses (B, 2, 6).

        Arguments and errors: `motion.PoseNet`.
        """
        return self.depth(target), self.pose(target, sources)


class GeoNet(nn.Module):
    """All three networks: what a checkpoint holds.

    Args:
        widths: of the depth and the flow network's encoders.
        pose_widths: of the pose network.

    Example:
        >>> model = GeoNet()
        >>> before, target, after = torch.rand(3, 1, 3, 64, 96)
        >>> T = model.poses(target, torch.stack([before, after], dim=1))[:, 1]
        >>> K = torch.tensor([[[56.0, 0, 47.5], [0, 56, 29], [0, 0, 1]]])
        >>> rigid, final = model.flow(target, after, T, K)
        >>> final.shape
        torch.Size([1, 2, 64, 96])
    """

    def __init__(
        self,
        widths: Sequence[int] = motion.WIDTHS,
        pose_widths: Sequence[int] = motion.POSE_WIDTHS,
    ) -> None:
        super().__init__()
        self.rigid = RigidStage(widths, pose_widths)
        self.residual = motion.ResidualFlowNet(widths)

    def depth(self, images: Tensor) -> Tensor:
        """Return the depth of images (B, 3, H, W) in [0, 1], (B, 1, H, W), in an unknown unit."""
        return 1 / self.rigid.depth(images)[0]

    def poses(self, target: Tensor, sources: Tensor) -> Tensor:
        """Return T_target_to_source for each source, (B, 2, 4, 4), in the unit of `depth`.

        Args:
            target: (B, 3, H, W) in [0, 1], the middle frame of three.
            sources: (B, 2, 3, H, W), the ones before and after it.
        """
        return motion.pose_from_vector(self.rigid.pose(target, sources))

    def flow(self, target: Tensor, source: Tensor, T: Tensor, K: Tensor) -> tuple[Tensor, Tensor]:
        """Return rigid and final flow from target to source, (B, 2, H, W) each, pixels.

        For the way back give source and target, and `motion.invert_pose(T)`.

        Args:
            target: (B, 3, H, W) in [0, 1].
            source: (B, 3, H, W) in [0, 1].
            T: (B, 4, 4), from `poses`.
            K: (B, 3, 3).
        """
        rigid = motion.rigid_flow(self.depth(target), T, K)
        return rigid, rigid + _enlarged(self.residual(target, source, rigid)[0], rigid)


# ---- Losses ------------------------------------------------------------------------------------


def rigid_loss(
    disparities: Sequence[Tensor],
    vectors: Tensor,
    target: Tensor,
    sources: Tensor,
    K: Tensor,
    recipe: RigidRecipe,
) -> Tensor:
    """Return how badly depth and pose rebuild the target, and how rough depth is (section 3.3).

    Args:
        disparities: (B, 1, H / 2^s, W / 2^s), of the target.
        vectors: (B, S, 6), of the poses.
        target: (B, 3, H, W) in [0, 1].
        sources: (B, S, 3, H, W).
        K: (B, 3, 3).
        recipe: gives the weights.

    Returns:
        A scalar, the mean over the scales.
    """
    pairs = list(zip(motion.pose_from_vector(vectors).unbind(1), sources.unbind(1), strict=True))
    still = None
    if recipe.auto_mask:
        unwarped = [motion.photometric_error(target, source) for _, source in pairs]
        still = torch.stack(unwarped).amin(dim=0)
    loss = target.new_zeros(())
    for scale, disparity in enumerate(disparities):
        depth = 1 / _enlarged(disparity, target)
        errors, seen = [], []
        for T, source in pairs:
            warped, inside = motion.inverse_warp(source, motion.rigid_flow(depth, T, K))
            errors.append(motion.photometric_error(target, warped))
            seen.append(motion.erode(inside))
        error, counted = _over_sources(torch.stack(errors), torch.stack(seen), recipe.minimum)
        if still is not None:
            counted = counted & (error < still)
        rough = motion.smoothness_loss(
            motion.normalise_disparity(disparity), _shrunken(target, disparity)
        )
        loss = loss + motion.masked_mean(error, counted)
        loss = loss + recipe.smoothness / 2**scale * rough
    return loss / len(disparities)


def _over_sources(errors: Tensor, seen: Tensor, minimum: bool) -> tuple[Tensor, Tensor]:
    """Return the least, or the mean, error of those that see a pixel, and where one does.

    (S, B, 1, H, W) -> (B, 1, H, W).
    """
    if minimum:
        error = torch.where(seen, errors, torch.inf).amin(dim=0)
    else:
        error = torch.where(seen, errors, 0.0).sum(dim=0) / seen.sum(dim=0).clamp(min=1)
    return error, seen.any(dim=0)


def residual_loss(
    residuals: Sequence[Tensor],
    target: Tensor,
    source: Tensor,
    rigid: Tensor,
    recipe: ResidualRecipe,
) -> Tensor:
    """Return how badly final flow rebuilds, how rough it is, how forward and backward disagree.

    Where they disagree by much, what the target shows is hidden in the source: neither the picture
    nor the agreement counts there (section 3.5). Coarse answers are compared in shrunken pictures,
    as in the paper: what moves by itself may move far, and a large step is a small one there.

    Args:
        residuals: (2 B, 2, H / 2^s, W / 2^s), of some scales s, the finest first, in pixels of the
            full picture: B pairs one way, the same B the other way.
        target: (2 B, 3, H, W) in [0, 1].
        source: (2 B, 3, H, W): the second half of the targets, then the first.
        rigid: (2 B, 2, H, W), rigid flow from each target to its source.
        recipe: gives the weights.

    Returns:
        A scalar, the mean over the scales.
    """
    apart, seen = target.new_zeros(()), None
    if recipe.consistency:
        finest = rigid + _enlarged(residuals[0], rigid)
        back = finest.roll(len(finest) // 2, dims=0)  # of each pair, the flow the other way
        seen = motion.consistency_mask(finest, back)
        disagreement, _ = motion.flow_disagreement(finest, back)
        apart = motion.masked_mean(disagreement.abs(), seen)
    loss = target.new_zeros(())
    for scale, residual in enumerate(residuals):
        small, other = _shrunken(target, residual), _shrunken(source, residual)
        flow = _shrunken(rigid, residual) + residual
        warped, inside = motion.inverse_warp(other, flow * (flow.shape[-1] / rigid.shape[-1]))
        counted = inside if seen is None else inside & (_shrunken(seen.float(), residual) > 0.5)
        rough = motion.smoothness_loss(residual, small, recipe.sharpness)
        loss = loss + motion.photometric_loss(small, warped, counted)
        loss = loss + recipe.smoothness / 2**scale * rough
    return loss / len(residuals) + recipe.agreement * apart


def _enlarged(maps: Tensor, target: Tensor) -> Tensor:
    if maps.shape[-2:] == target.shape[-2:]:
        return maps
    return F.interpolate(maps, target.shape[-2:], mode="bilinear", align_corners=False)


def _shrunken(target: Tensor, maps: Tensor) -> Tensor:
    if maps.shape[-2:] == target.shape[-2:]:
        return target
    return F.interpolate(target, maps.shape[-2:], mode="area")


# ---- Training ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class _Clips:
    """What is learnt from: images (N, F, 3, H, W) uint8 and K (N, 3, 3) float32."""

    images: Tensor
    K: Tensor

    @classmethod
    def of(cls, part: str) -> _Clips:
        images, K = streets.images(part, STREETS[part], FRAMES[part])
        return cls(images, K.float())

    def first(self, count: int) -> _Clips:
        """Return the first drives."""
        return _Clips(self.images[:count], self.K[:count])

    def draw(self, count: int, generator: torch.Generator) -> tuple[Tensor, Tensor, Tensor]:
        """Return drives, their middle frames, and which to mirror, (count,) each."""
        drives = torch.randint(len(self.images), (count,), generator=generator)
        frames = self.images.shape[1]
        middles = torch.randint(1, frames - 1, (count,), generator=generator)
        return drives, middles, torch.rand(count, generator=generator) < 0.5

    def every(self) -> tuple[Tensor, Tensor, Tensor]:
        """Return each drive once, with its second frame, none mirrored."""
        drives = torch.arange(len(self.images))
        return drives, torch.ones_like(drives), torch.zeros_like(drives, dtype=torch.bool)

    def snippets(self, drives: Tensor, middles: Tensor, mirrored: Tensor) -> training.Batch:
        """Return three frames (B, 3, 3, H, W) uint8 in the order of time, and K (B, 3, 3)."""
        frames = self.images[drives[:, None], middles[:, None] + torch.tensor([-1, 0, 1])]
        K = self.K[drives].clone()
        K[:, 0, 2] = torch.where(mirrored, frames.shape[-1] - 1 - K[:, 0, 2], K[:, 0, 2])
        return _mirror(frames, mirrored), K


@dataclass(frozen=True)
class _Explained:
    """Clips with what the rigid stage says: depth (N, F, 1, H, W), poses (N, F - 2, 2, 4, 4)."""

    clips: _Clips
    depth: Tensor
    poses: Tensor

    @classmethod
    @torch.no_grad()
    def by(cls, stage: RigidStage, clips: _Clips, device: torch.device) -> _Explained:
        depth, poses = [], []
        for images in clips.images.split(4):
            frames = images.to(device).float() / 255
            flat = frames.flatten(0, 1)
            depth.append((1 / stage.depth(flat)[0]).unflatten(0, frames.shape[:2]).cpu())
            found = [
                stage.pose(frames[:, t], frames[:, [t - 1, t + 1]])
                for t in range(1, frames.shape[1] - 1)
            ]
            poses.append(motion.pose_from_vector(torch.stack(found, dim=1)).cpu())
        return cls(clips, torch.cat(depth), torch.cat(poses))

    def pairs(
        self, drives: Tensor, middles: Tensor, mirrored: Tensor, after: Tensor
    ) -> training.Batch:
        """Return target and source (B, 3, H, W) uint8, rigid flow there and back (B, 2, H, W)."""
        others = middles + 2 * after.long() - 1
        K, T = self.clips.K[drives], self.poses[drives, middles - 1, after.long()]
        images = self.clips.images
        target, source = images[drives, middles], images[drives, others]
        forward = motion.rigid_flow(self.depth[drives, middles], T, K)
        backward = motion.rigid_flow(self.depth[drives, others], motion.invert_pose(T), K)
        turn = torch.ones(len(drives), 2, 1, 1)
        turn[mirrored, 0] = -1.0  # to the left becomes to the right
        flows = (_mirror(flow, mirrored) * turn for flow in (forward, backward))
        return _mirror(target, mirrored), _mirror(source, mirrored), *flows


def _mirror(maps: Tensor, mirrored: Tensor) -> Tensor:
    return torch.where(mirrored.view(-1, *[1] * (maps.ndim - 1)), maps.flip(-1), maps)


def train_motion(
    name: str,
    out: Path,
    runs: Path,
    fabric: Fabric,
    command: str,
    steps: int | None = None,
    seed: int = 0,
) -> checkpoints.Card:
    """Train the stages by their recipe, measure them, and write weights and card.

    Validation is by the loss on held-out streets. The test streets, with their true depth, flow and
    poses, are measured at the end, for the card.

    Args:
        name: a key of `MOTION`.
        out: folder of the checkpoint.
        runs: folder that keeps the state of unfinished runs; a killed run goes on from there.
        fabric: devices, machines and precision.
        command: what was typed, for the card.
        steps: of each stage, instead of the recipe's; for short trials.
        seed: of initial weights and batches.
    """
    recipe = _recipe(name, steps)
    with fabric.rank_zero_first():  # one process renders, the others read
        clips, held_out = _Clips.of("train"), _Clips.of("validation")
    runtime.seed_everything(seed)
    architecture = {"widths": list(motion.WIDTHS), "pose_widths": list(motion.POSE_WIDTHS)}
    model = GeoNet(**architecture)
    folder = runs / f"{name}-seed{seed}"
    stages, unmasked = _train_stages(model, recipe, clips, held_out, seed, folder, fabric)
    drives = drives_for_test()
    table = measure_streets(model, *drives)
    without = measure_streets(unmasked, *drives)
    card = checkpoints.Card(
        name=name,
        architecture=architecture,
        command=command,
        seed=seed,
        training_data=f"{len(clips.images)} rendered drives of {FRAMES['train']} frames "
        "(lessons_utils.scenes.streets, part `train`), pictures and intrinsics only",
        training_data_sha256=datasets.pixels_sha256(
            frame[None] / 255 for drive in clips.images for frame in drive
        ),
        **checkpoints.circumstances(),
        seconds=round(sum(stage.seconds for stage in stages.values()), 1),
        cpu_seconds=round(sum(stage.cpu_seconds for stage in stages.values()), 1),
        settings={**asdict(recipe), **_data(), "precision": fabric.strategy.precision.precision},
        metrics={
            "stages": {
                stage: {
                    "best_step": result.best_step,
                    "held_out_loss": round(-result.best_score, 4),
                    "cpu_seconds": round(result.cpu_seconds, 1),
                }
                for stage, result in stages.items()
            },
            "streets": checkpoints.rounded(table),
            "no_consistency": checkpoints.rounded(
                {name: without[name] for name in ("flow", "occlusions")}
            ),
        },
    )
    if datasets.kitti_drive_folder():
        measured = measure_drive(model, *datasets.kitti_drive())
        card.metrics["kitti_drive"] = checkpoints.rounded(measured)
    if fabric.is_global_zero:
        checkpoints.save(out, model, card)
    return card


def _recipe(name: str, steps: int | None) -> MotionRecipe:
    if name not in MOTION:
        raise ValueError(f"No recipe is named {name!r}. There are: {', '.join(MOTION)}.")
    recipe = MOTION[name]
    if not steps:
        return recipe
    stages = ("rigid", "tied", "residual", "consistent")
    return replace(
        recipe, **{stage: replace(getattr(recipe, stage), steps=steps) for stage in stages}
    )


def _train_stages(
    model: GeoNet,
    recipe: MotionRecipe,
    clips: _Clips,
    held_out: _Clips,
    seed: int,
    folder: Path,
    fabric: Fabric,
) -> tuple[dict[str, training.TrainingResult], GeoNet]:
    """Train the model in place; return each stage's result, and what learnt without consistency."""
    settings = _settings(recipe.rigid, seed)
    few = clips.first(recipe.rigid.drives)
    stages = {
        "rigid": _train_rigid(
            model.rigid, few, held_out, recipe.rigid, settings, folder / "rigid", fabric
        )
    }
    settings = _settings(recipe.tied, seed, rigid=checkpoints.fingerprint(model.rigid))
    few = clips.first(recipe.tied.drives)
    stages["tied"] = _train_rigid(
        model.rigid, few, held_out, recipe.tied, settings, folder / "tied", fabric
    )

    model.rigid.to(fabric.device).eval().requires_grad_(False)  # nothing below changes it
    frozen = checkpoints.fingerprint(model.rigid)
    explained = [_Explained.by(model.rigid, part, fabric.device) for part in (clips, held_out)]
    settings = _settings(recipe.residual, seed, rigid=frozen)
    stages["residual"] = _train_residual(
        model.residual, *explained, recipe.residual, settings, folder / "residual", fabric
    )
    unmasked = copy.deepcopy(model)
    start = checkpoints.fingerprint(model.residual)
    everywhere = replace(recipe.consistent, consistency=False)
    for stage, network, chosen in (
        ("consistent", model, recipe.consistent),
        ("no_consistency", unmasked, everywhere),
    ):
        settings = _settings(chosen, seed, residual=start)
        stages[stage] = _train_residual(
            network.residual, *explained, chosen, settings, folder / stage, fabric
        )
    if checkpoints.fingerprint(model.rigid) != frozen:
        raise RuntimeError("The residual stage changed the rigid one, which was to stand still.")
    for network in (model, unmasked):
        network.cpu().to(memory_format=torch.contiguous_format).eval()
    return stages, unmasked


def drives_for_test() -> tuple[streets.Sequences, streets.Sequences]:
    """Return the drives that the table is measured on, and those of its label-using baseline."""
    return tuple(
        streets.sequences(part, STREETS[part], FRAMES[part]) for part in ("test", "validation")
    )


def load_geonet(name: str, weights: Path | None = None) -> GeoNet:
    """Return the trained networks, in eval mode.

    Args:
        name: a key of `MOTION`.
        weights: a `.safetensors` of your own training, with its card; None takes the shipped ones.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: the weights are those of another kind of network.
    """
    architecture = checkpoints.load_card(weights or name).architecture
    try:
        model = GeoNet(**architecture)
    except TypeError as error:
        raise ValueError(f"{weights} is no GeoNet: its card says {architecture}.") from error
    return checkpoints.load(weights or name, model)[0]


def _data() -> dict[str, Any]:
    return {"streets": STREETS, "drawn": streets.VERSION}


def _settings(
    recipe: RigidRecipe | ResidualRecipe, seed: int, **starts: str
) -> training.TrainingSettings:
    """Return what decides a stage: its recipe, and fingerprints of what it starts from."""
    return training.TrainingSettings(
        steps=recipe.steps,
        batch_size=recipe.batch_size,
        seed=seed,
        averaging=0.998,
        validate_every=min(500, recipe.steps),
        origin=json.dumps({**asdict(recipe), **_data(), **starts}),
    )


def _train_rigid(
    stage: RigidStage,
    clips: _Clips,
    held_out: _Clips,
    recipe: RigidRecipe,
    settings: training.TrainingSettings,
    folder: Path,
    fabric: Fabric,
) -> training.TrainingResult:
    def draw_batch(count: int, generator: torch.Generator) -> training.Batch:
        return clips.snippets(*clips.draw(count, generator))

    def inputs(frames: Tensor) -> tuple[Tensor, Tensor]:
        frames = frames.float() / 255
        return frames[:, 1], frames[:, [0, 2]]

    def loss(network: nn.Module, frames: Tensor, K: Tensor) -> Tensor:
        target, sources = inputs(frames)
        disparities, vectors = network(target, sources)
        disparities = [disparity.float() for disparity in disparities]
        return rigid_loss(disparities, vectors.float(), target, sources, K, recipe)

    stage = stage.to(memory_format=torch.channels_last).train()
    return training.fit(
        stage,
        torch.optim.Adam(stage.parameters(), lr=recipe.learning_rate),
        settings,
        draw_batch,
        loss,
        _validation(loss, held_out.snippets(*held_out.every()), fabric.device),
        calibrate=_calibration(lambda batch: inputs(batch[0]), draw_batch, settings),
        folder=folder,
        fabric=fabric,
    )


def _train_residual(
    network: nn.Module,
    explained: _Explained,
    held_out: _Explained,
    recipe: ResidualRecipe,
    settings: training.TrainingSettings,
    folder: Path,
    fabric: Fabric,
) -> training.TrainingResult:
    def draw_batch(count: int, generator: torch.Generator) -> training.Batch:
        chosen = explained.clips.draw(count, generator)
        return explained.pairs(*chosen, torch.rand(count, generator=generator) < 0.5)

    def inputs(
        target: Tensor, source: Tensor, forward: Tensor, backward: Tensor
    ) -> tuple[Tensor, Tensor, Tensor]:
        both = torch.cat([target, source]).float() / 255
        return both, both.roll(len(target), dims=0), torch.cat([forward, backward])

    def loss(network: nn.Module, *batch: Tensor) -> Tensor:
        given = inputs(*batch)
        residuals = [residual.float() for residual in network(*given)]
        return residual_loss(residuals, *given, recipe)

    held_out_drives = held_out.clips.every()
    after = torch.arange(len(held_out_drives[0])) % 2 == 0
    network = network.to(memory_format=torch.channels_last).train()
    return training.fit(
        network,
        torch.optim.Adam(network.parameters(), lr=recipe.learning_rate),
        settings,
        draw_batch,
        loss,
        _validation(loss, held_out.pairs(*held_out_drives, after), fabric.device),
        calibrate=_calibration(lambda batch: inputs(*batch), draw_batch, settings),
        folder=folder,
        fabric=fabric,
    )


def _validation(
    loss: Callable[..., Tensor], batch: training.Batch, device: torch.device
) -> Callable[[nn.Module], float]:
    """Return what gives a network's score: the held-out loss, with a minus."""
    parts = list(zip(*(tensor.split(4) for tensor in batch), strict=True))

    @torch.no_grad()
    def validate(network: nn.Module) -> float:
        network.eval()
        losses = [loss(network, *(tensor.to(device) for tensor in part)).item() for part in parts]
        return -sum(losses) / len(losses)

    return validate


def _calibration(
    inputs: Callable[[training.Batch], tuple[Tensor, ...]],
    draw_batch: Callable[[int, torch.Generator], training.Batch],
    settings: training.TrainingSettings,
) -> Callable[[nn.Module], None]:
    """Return what sets a network's statistics from some of the training batches."""

    def calibrate(network: nn.Module) -> None:
        device = next(network.parameters()).device
        generator = torch.Generator().manual_seed(settings.seed)
        drawn = (draw_batch(settings.batch_size, generator) for _ in range(_CALIBRATION))
        set_statistics(
            network, (inputs(tuple(part.to(device) for part in batch)) for batch in drawn)
        )

    return calibrate


@torch.no_grad()
def set_statistics(network: nn.Module, batches: Iterable[tuple[Tensor, ...]]) -> None:
    """Set what batch normalisation keeps, to the mean over batches; leaves the network in training.

    Averaged weights have seen no batch. `torch.optim.swa_utils.update_bn` does this for networks
    with one input.

    Args:
        network: changed in place.
        batches: arguments of each call.
    """
    norms = [layer for layer in network.modules() if isinstance(layer, nn.BatchNorm2d)]
    kept = [layer.momentum for layer in norms]
    for layer in norms:
        layer.reset_running_stats()
        layer.momentum = None  # the mean over all calls
    network.train()
    for batch in batches:
        network(*batch)
    for layer, momentum in zip(norms, kept, strict=True):
        layer.momentum = momentum
