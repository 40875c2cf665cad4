"""GeoNet's recipe: its losses, its batches, a run from start to card, and the tables."""

import json
from dataclasses import asdict, replace
from functools import partial

import pytest
import torch
from lightning_fabric import Fabric
from scipy.spatial.transform import Rotation
from torch import nn
from torch.optim.swa_utils import update_bn

from lessons_utils import __main__, checkpoints, datasets, motion, recipes, training
from lessons_utils.recipes import motion as recipe_module
from lessons_utils.scenes import streets

RECIPE = recipes.MOTION["geonet-streets"]
RIGID, RESIDUAL = RECIPE.rigid, RECIPE.consistent


@pytest.fixture(scope="module")
def drives(tmp_path_factory):
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LESSONS_CACHE", str(tmp_path_factory.mktemp("cache")))
        return streets.sequences("test", 3, height=64, width=160, progress=False)


@pytest.fixture
def few_streets(monkeypatch, tmp_path):
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.delenv("LESSONS_DATA", raising=False)
    monkeypatch.setenv("LESSONS_DEVICE", "cpu")  # as the card's numbers: GPUs round otherwise
    for part in recipe_module.STREETS:
        monkeypatch.setitem(recipe_module.STREETS, part, 2)
    for name in ("images", "sequences"):
        small = partial(getattr(streets, name), height=32, width=64, progress=False)
        monkeypatch.setattr(streets, name, small)


def train(tmp_path):
    fabric = Fabric(accelerator="cpu", devices=1)
    folders = {"out": tmp_path / "out", "runs": tmp_path / "runs"}
    return recipes.train_motion("geonet-streets", **folders, fabric=fabric, command="t", steps=2)


def pictures(drives):
    frames = drives.images.float() / 255
    return frames[:, 1], frames[:, [0, 2]]


def vectors_of(T):
    """The pose network's six numbers, from poses (B, S, 4, 4)."""
    angles = Rotation.from_matrix(T[..., :3, :3].flatten(0, 1).numpy()).as_euler("XYZ")
    angles = torch.tensor(angles, dtype=torch.float32).view(*T.shape[:2], 3)
    return torch.cat([T[..., :3, 3], angles], dim=-1)


# ---- Losses ------------------------------------------------------------------------------------


def test_the_truth_has_the_lowest_rigid_loss(drives):
    target, sources = pictures(drives)
    K = drives.K.float()
    disparity = 1 / drives.depth[:, 1].clamp(max=1e6)
    T = torch.stack([drives.pose(1, 0), drives.pose(1, 2)], dim=1)
    recipe = replace(RIGID, smoothness=0.0)

    def loss(disparity, T):
        return recipes.rigid_loss([disparity], vectors_of(T), target, sources, K, recipe)

    right = loss(disparity, T)
    assert right < 0.05
    assert right < 0.5 * loss(disparity, torch.eye(4).expand_as(T))
    assert right < 0.5 * loss(disparity, motion.invert_pose(T))
    assert right < 0.7 * loss(disparity.mean().expand_as(disparity), T)


def test_the_rigid_loss_is_a_mean_over_scales_and_reaches_every_answer(drives):
    target, sources = pictures(drives)
    disparities = [
        torch.full((3, 1, 64 // 2**s, 160 // 2**s), 0.1, requires_grad=True) for s in range(4)
    ]
    vectors = 0.01 * torch.randn(3, 2, 6, generator=torch.Generator().manual_seed(0))
    vectors.requires_grad_()
    given = vectors, target, sources, drives.K.float(), RIGID
    whole = recipes.rigid_loss(disparities, *given)
    # Equal disparity everywhere says the same at every scale.
    assert whole.item() == pytest.approx(recipes.rigid_loss(disparities[:1], *given).item())
    whole.backward()
    for leaf in (*disparities, vectors):
        assert leaf.grad.isfinite().all() and leaf.grad.abs().sum() > 0


def test_the_mean_over_sources_counts_what_the_minimum_spares(drives):
    """Said the wrong way, one source is no help: the minimum takes the other one."""
    target, sources = pictures(drives)
    disparity = 1 / drives.depth[:, 1].clamp(max=1e6)
    T = torch.stack([drives.pose(1, 0), drives.pose(1, 2)], dim=1)
    wrong = T.clone()
    wrong[:, 1] = T[:, 0]

    def loss(T, minimum):
        recipe = replace(RIGID, smoothness=0.0, minimum=minimum)
        vectors, K = vectors_of(T), drives.K.float()
        return recipes.rigid_loss([disparity], vectors, target, sources, K, recipe).item()

    assert loss(T, True) < loss(T, False)
    assert loss(wrong, False) - loss(T, False) > 2 * (loss(wrong, True) - loss(T, True))


def test_where_no_source_sees_a_pixel_nothing_counts():
    errors = torch.tensor([1.0, 3.0, 5.0, 7.0]).view(2, 1, 1, 1, 2).repeat(1, 1, 1, 1, 2)
    seen = torch.tensor([[1, 0, 1, 0], [1, 1, 0, 0]]).view(2, 1, 1, 1, 4).bool()
    least, counted = recipe_module._over_sources(errors, seen, minimum=True)
    mean, also = recipe_module._over_sources(errors, seen, minimum=False)
    assert counted.flatten().tolist() == also.flatten().tolist() == [True, True, True, False]
    assert least.flatten()[:3].tolist() == [1, 7, 1]
    assert mean.flatten()[:3].tolist() == [3, 7, 1]


def test_auto_mask_leaves_out_what_stands_still_before_the_camera(drives):
    target, _ = pictures(drives)
    vectors = torch.full((3, 2, 6), 0.01, requires_grad=True)
    given = [torch.ones(3, 1, 64, 160)], vectors, target, torch.stack([target] * 2, 1)
    K = drives.K.float()
    assert recipes.rigid_loss(*given, K, RIGID) > 0.01
    loss = recipes.rigid_loss(*given, K, replace(RIGID, auto_mask=True))
    loss.backward()
    assert loss == 0 and not vectors.grad.any()


def both_ways(drives, flow):
    target, sources = pictures(drives)
    there, back = flow(1, 2), flow(2, 1)
    source = sources[:, 1]
    return torch.cat([target, source]), torch.cat([source, target]), torch.cat([there, back])


def test_exact_flow_has_the_lowest_residual_loss(drives):
    target, source, full = both_ways(drives, drives.full_flow)
    rigid = both_ways(drives, drives.rigid_flow)[2]
    zero = torch.zeros_like(full)
    recipe = replace(RESIDUAL, smoothness=0.0)

    def loss(residual, rigid):
        return recipes.residual_loss([residual], target, source, rigid, recipe).item()

    right = loss(full - rigid, rigid)
    assert right == pytest.approx(loss(zero, full), rel=1e-3)
    assert right < loss(zero, rigid) < loss(zero, zero)


def test_coarse_residual_flow_is_in_pixels_of_the_full_picture(drives):
    target, source, full = both_ways(drives, drives.full_flow)
    zero, recipe = torch.zeros_like(full), replace(RESIDUAL, smoothness=0.0)
    coarse = torch.nn.functional.interpolate(full, scale_factor=0.25, mode="area")

    def loss(factor):
        return recipes.residual_loss([full, factor * coarse], target, source, zero, recipe)

    assert loss(1) < 0.8 * min(loss(0), loss(0.25), loss(4))


def test_occluded_pixels_do_not_count_in_the_residual_loss(drives):
    target, source, full = both_ways(drives, drives.full_flow)
    zero = [torch.zeros_like(full)]
    everywhere = replace(RESIDUAL, consistency=False)
    seen = recipes.residual_loss(zero, target, source, full, RESIDUAL)
    assert seen < recipes.residual_loss(zero, target, source, full, everywhere)


def test_the_residual_loss_reaches_every_scale(drives):
    target, source, rigid = both_ways(drives, drives.rigid_flow)
    residuals = [
        (0.1 * torch.randn(6, 2, 64 // 2**s, 160 // 2**s)).requires_grad_() for s in range(4)
    ]
    recipes.residual_loss(residuals, target, source, rigid, RESIDUAL).backward()
    for residual in residuals:
        assert residual.grad.isfinite().all() and residual.grad.abs().sum() > 0


# ---- Batches -----------------------------------------------------------------------------------


def test_mirrored_pairs_fit_as_well_as_others(drives):
    K = drives.K.float().clone()
    K[:, 0, 2] += 3  # off the middle, so that forgetting it shows
    clips = recipe_module._Clips(drives.images, K)
    T = torch.stack([drives.pose(1, 0), drives.pose(1, 2)], dim=1)[:, None]
    explained = recipe_module._Explained(clips, drives.depth, T)
    number = torch.arange(3)
    middle, yes = torch.ones(3, dtype=torch.long), torch.ones(3, dtype=torch.bool)
    plain = explained.pairs(number, middle, ~yes, yes)
    turned = explained.pairs(number, middle, yes, yes)
    assert torch.equal(turned[0], plain[0].flip(-1))

    def error(target, source, flow, _):
        warped, inside = motion.inverse_warp(source.float() / 255, flow)
        return motion.photometric_loss(target.float() / 255, warped, inside).item()

    assert error(*turned) == pytest.approx(error(*plain), rel=1e-4)
    assert torch.allclose(plain[2], motion.rigid_flow(drives.depth[:, 1], T[:, 0, 1], K))
    back = motion.rigid_flow(drives.depth[:, 2], motion.invert_pose(T[:, 0, 1]), K)
    assert torch.allclose(plain[3], back)

    # The flow of a mirrored scene, from a mirrored camera, is the mirrored flow.
    frames, turned_K = clips.snippets(number, middle, yes)
    assert torch.equal(frames[:, 2], turned[1])
    flip = torch.diag(torch.tensor([-1.0, 1, 1, 1]))
    seen = motion.rigid_flow(drives.depth[:, 1].flip(-1), flip @ T[:, 0, 1] @ flip, turned_K)
    assert torch.allclose(seen, turned[2], atol=2e-3)


def test_snippets_are_neighbours_in_time():
    images = torch.arange(10, dtype=torch.uint8).view(2, 5, 1, 1, 1).expand(2, 5, 3, 4, 6)
    clips = recipe_module._Clips(images, torch.eye(3).repeat(2, 1, 1))
    frames, _ = clips.snippets(*clips.draw(200, torch.Generator().manual_seed(0)))
    times = frames[:, :, 0, 0, 0].int()
    assert (times.diff(dim=1) == 1).all()
    assert set(times[:, 1].tolist()) == {1, 2, 3, 6, 7, 8}


def test_statistics_are_those_of_torch():
    batches = [torch.rand(4, 3, 8, 8, generator=torch.Generator().manual_seed(s)) for s in (0, 1)]
    torch.manual_seed(0)
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.BatchNorm2d(4))
    recipe_module.set_statistics(network, [(batch,) for batch in batches])
    found = {name: value.clone() for name, value in network.state_dict().items()}
    update_bn(batches, network)
    assert all(torch.allclose(found[name], value) for name, value in network.state_dict().items())
    assert network[1].momentum == 0.1


# ---- A run -------------------------------------------------------------------------------------


def test_a_run_goes_from_start_to_card_and_on(few_streets, tmp_path, monkeypatch, capsys):
    card = train(tmp_path)
    weights = tmp_path / "out" / "geonet-streets.safetensors"
    assert train(tmp_path).sha256 == card.sha256, "all stages are found finished"
    assert list(card.metrics["stages"]) == [
        "rigid",
        "tied",
        "residual",
        "consistent",
        "no_consistency",
    ]
    assert set(card.metrics["no_consistency"]) == {"flow", "occlusions"}
    typed = ["evaluate", "geonet-streets", "--weights", str(weights)]
    assert __main__.main([*typed, "--json"]) == 0
    measured = json.loads(capsys.readouterr().out.splitlines()[-1])
    stated = card.metrics["streets"]
    for row in ("geonet", "constant", "ground_plane", "mean_map"):
        assert measured["depth"][row] == pytest.approx(stated["depth"][row], abs=1e-4)
    assert {"rigid", "final"} < set(measured["flow"])
    assert __main__.main(typed) == 0
    assert "ground_plane" in capsys.readouterr().out
    assert __main__.main([*typed, "--scale", "2"]) == 2

    changed = replace(RECIPE, rigid=replace(RIGID, learning_rate=1.0))
    monkeypatch.setitem(recipes.MOTION, "geonet-streets", changed)
    with pytest.raises(ValueError, match=r"learning_rate.*Give another folder"):
        train(tmp_path)


def test_a_rigid_stage_that_moves_is_noticed(few_streets, tmp_path, monkeypatch):
    fit, stages = training.fit, []

    def spoil(model, *rest, **named):
        stages.append(model)
        result = fit(model, *rest, **named)
        if len(stages) == 3:  # the residual network
            stages[0].depth.layers.answers[0].bias.data += 1
        return result

    monkeypatch.setattr(training, "fit", spoil)
    with pytest.raises(RuntimeError, match="was to stand still"):
        train(tmp_path)


def test_the_rigid_stage_learns_from_the_first_drives(few_streets, tmp_path, monkeypatch):
    def note(stage, clips, *rest):
        seen.append(clips.images)
        raise InterruptedError

    seen = []
    one = replace(RECIPE, rigid=replace(RECIPE.rigid, drives=1))
    monkeypatch.setitem(recipes.MOTION, "geonet-streets", one)
    monkeypatch.setattr(recipe_module, "_train_rigid", note)
    with pytest.raises(InterruptedError):
        train(tmp_path)
    both, _ = streets.images("train", 2, recipe_module.FRAMES["train"])
    assert len(both) == 2 and torch.equal(seen[0], both[:1])


def test_what_is_unknown_is_refused(tmp_path, capsys):
    with pytest.raises(ValueError, match="geonet-streets"):
        recipes.train_motion("geonet", tmp_path, tmp_path, None, "typed")
    assert __main__.main(["train", "geonet", "--accelerator", "cpu"]) == 2
    assert "geonet-streets" in capsys.readouterr().err


def test_weights_of_another_network_are_refused():
    srcnn = recipe_module.checkpoints.runtime.data_path("checkpoints/srcnn-9-5-5-x3.safetensors")
    with pytest.raises(ValueError, match="is no GeoNet"):
        recipes.load_geonet("geonet-streets", srcnn)


# ---- The shipped weights -----------------------------------------------------------------------


def test_the_card_says_where_the_weights_come_from():
    card = checkpoints.load_card("geonet-streets")
    assert card.command.startswith("python -m lessons_utils train geonet-streets")
    assert len(card.training_data_sha256) == 64 and card.cpu_seconds > 600
    assert card.settings["drawn"] == streets.VERSION, "the weights are of other streets"
    assert card.settings["streets"] == recipe_module.STREETS
    for stage in ("rigid", "tied", "residual", "consistent"):
        assert card.settings[stage] == asdict(getattr(RECIPE, stage)), "of another recipe"


def test_bars_on_streets():
    """The card's numbers; the test below measures them again."""
    stated = checkpoints.load_card("geonet-streets").metrics["streets"]
    depth, flow = stated["depth"], stated["flow"]
    for prior in ("constant", "ground_plane"):
        assert depth["geonet"]["abs_rel"] < 0.6 * depth[prior]["abs_rel"]
    assert flow["rigid"]["static_epe"] < 0.5 * flow["none"]["static_epe"]
    assert flow["final"]["moving_epe"] <= 0.6 * flow["rigid"]["moving_epe"]
    assert flow["final"]["static_epe"] < flow["rigid"]["static_epe"] + 0.1


def test_shipped_weights_measure_what_their_card_says():
    model = recipes.load_geonet("geonet-streets")
    measured = recipes.measure_streets(model, *recipes.drives_for_test())
    stated = checkpoints.load_card("geonet-streets").metrics["streets"]
    for table in ("depth", "flow", "pose", "occlusions"):
        for row, numbers in stated[table].items():
            assert measured[table][row] == pytest.approx(numbers, rel=0.01, abs=1e-3)


def test_the_real_drive_measures_what_the_card_says():
    if not datasets.kitti_drive_folder():
        pytest.skip("the real drive is not on this machine")
    model = recipes.load_geonet("geonet-streets")
    measured = recipes.measure_drive(model, *datasets.kitti_drive())
    stated = checkpoints.load_card("geonet-streets").metrics["kitti_drive"]
    assert measured["pairs"] == stated["pairs"] == 152
    assert measured["photometric"] == pytest.approx(stated["photometric"], abs=1e-3)


# ---- Tables ------------------------------------------------------------------------------------


class Oracle(nn.Module):
    """Says the truth about rigid scenes, in a unit of its own."""

    def __init__(self, drives, unit=3.0):
        super().__init__()
        self.place = nn.Parameter(torch.zeros(1))
        self.drives, self.unit = drives, unit
        self.frames = drives.images.float() / 255

    def time_of(self, images):
        return next(t for t in range(3) if torch.equal(images, self.frames[:, t]))

    def depth(self, images):
        return self.drives.depth[:, self.time_of(images)] * self.unit

    def poses(self, target, sources):
        T = torch.stack([self.drives.pose(1, 0), self.drives.pose(1, 2)], dim=1)
        T[..., :3, 3] *= self.unit
        return T

    def flow(self, target, source, T, K):
        times = self.time_of(target), self.time_of(source)
        return motion.rigid_flow(self.depth(target), T, K), self.drives.full_flow(*times)


def test_the_truth_measures_as_the_truth(drives):
    table = recipes.measure_streets(Oracle(drives), drives, drives)
    json.dumps(table, allow_nan=False)
    depth, flow, pose = table["depth"], table["flow"], table["pose"]
    assert depth["geonet"]["abs_rel"] < 1e-6 and depth["geonet"]["delta1"] == 1
    assert min(depth[name]["abs_rel"] for name in ("constant", "ground_plane", "mean_map")) > 0.1
    assert flow["rigid"]["static_epe"] < 0.01
    assert flow["rigid"]["moving_epe"] == pytest.approx(flow["exact_rigid"]["moving_epe"], abs=0.01)
    assert flow["final"]["moving_epe"] < 1e-6 < flow["exact_rigid"]["moving_epe"]
    assert flow["none"]["static_epe"] > 1
    assert pose["geonet"]["rotation_error"] < 0.01 < pose["straight_ahead"]["rotation_error"]
    assert pose["geonet"]["ate"] < 1e-3 < pose["straight_ahead"]["ate"]
    for row in table["occlusions"].values():  # 3 pixels are much in small pictures
        assert row["recall"] > 0.1 and row["precision"] > 0.5 and 0 < row["share"] < 0.5
    found = [table["occlusions"][name] for name in ("hidden", "hidden_by_exact_flow")]
    assert found[0] == pytest.approx(found[1])


def test_the_straight_ahead_camera_drives_forward(drives):
    """The other way round it would be scaled by a negative number, and fit as well."""
    poses = []
    tables = recipes.measure_streets.__globals__
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            tables["motion"], "snippet_positions", lambda T: poses.append(T) or T[..., :3, 3]
        )
        tables["_pose_table"](Oracle(drives).poses(None, None), drives)
    truth, geonet, ahead = poses
    assert (truth[:, :, 2, 3].sign() == ahead[:, :, 2, 3].sign()).all()
    assert torch.equal(geonet[..., :3, :3], truth[..., :3, :3])


def test_longer_drives_are_refused(drives):
    with pytest.raises(ValueError, match="3 frames"):
        recipes.measure_streets(
            None, replace(drives, images=drives.images.repeat(1, 2, 1, 1, 1)), drives
        )


def test_a_drive_without_truth_is_rebuilt(drives):
    one = drives[:1]
    measured = recipes.measure_drive(Oracle(one), one.images[0].float() / 255, one.K[0].float())
    assert measured["frames"] == 3 and measured["pairs"] == 2
    errors = measured["photometric"]
    assert 0 < errors["final"] <= errors["rigid"] < 0.6 * errors["none"]
    with pytest.raises(ValueError, match="at least 3 frames; got 2"):
        recipes.measure_drive(Oracle(one), one.images[0, :2].float() / 255, one.K[0].float())
