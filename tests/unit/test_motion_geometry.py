"""Cameras that move: by hand, against kornia and SciPy, in a rendered room, on real frames."""

import doctest
import os
from dataclasses import replace
from pathlib import Path

import kornia.geometry as kornia_geometry
import numpy as np
import pytest
import torch
from kornia.geometry.depth import depth_to_3d_v2, warp_frame_depth
from PIL import Image
from scipy.spatial.transform import Rotation
from torch.autograd import gradcheck

from lessons_utils import datasets, motion
from lessons_utils.motion import geometry
from lessons_utils.scenes import raycaster, rooms

DATA = os.environ.get("LESSONS_DATA")
FRAMES = Path(DATA or "") / "sequences" / "sevenscenes_rgbd"
needs_frames = pytest.mark.skipif(
    not (DATA and FRAMES.is_dir()), reason="LESSONS_DATA/sequences/sevenscenes_rgbd is not there"
)
HEIGHT, WIDTH = 12, 17


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def uniform(low, high, *shape, seed=0, dtype=torch.float64):
    return low + (high - low) * torch.rand(*shape, generator=seeded(seed), dtype=dtype)


def intrinsics(batch=2, dtype=torch.float64):
    """One camera a picture, no two alike, with a little skew."""
    K = torch.tensor([[15.0, 0.3, 7.6], [0, 14, 5.9], [0, 0, 1]], dtype=dtype).repeat(batch, 1, 1)
    K[:, 0, 0] += torch.arange(batch, dtype=dtype)
    return K


def poses(batch=2, size=0.1, seed=3, dtype=torch.float64):
    vectors = uniform(-size, size, batch, 6, seed=seed, dtype=dtype)
    return motion.pose_from_axis_angle(vectors[:, :3], vectors[:, 3:])


def depths(batch=2, dtype=torch.float64):
    return uniform(1.0, 4.0, batch, 1, HEIGHT, WIDTH, seed=1, dtype=dtype)


def pictures(batch=2, dtype=torch.float64):
    return uniform(0.0, 1.0, batch, 3, HEIGHT, WIDTH, seed=2, dtype=dtype)


def close(found, expected, tolerance=1e-5):
    assert found.shape == expected.shape
    assert (found - expected).abs().max() < tolerance
    return True


def test_the_docstrings_examples_hold():
    assert doctest.testmod(geometry).failed == 0


# ---- The conventions -----------------------------------------------------------------------------


def test_pixel_centres_are_whole_numbers():
    """A point on the axis is seen at the principal point; one to the right and below, there."""
    K = torch.tensor([[[10.0, 0, 3], [0, 20, 2], [0, 0, 1]]])
    points = motion.unproject(torch.full((1, 1, 5, 7), 2.0), K)
    assert points[0, :, 2, 3].tolist() == [0, 0, 2]
    assert points[0, :, 4, 6].tolist() == pytest.approx([3 / 10 * 2, 2 / 20 * 2, 2])


def test_a_pose_takes_points_of_the_target_to_the_source():
    """The source's camera stands 1 m to the right of the target's: what it sees is more left."""
    target, source = (torch.from_numpy(raycaster.pose((x, -1.5, 4.0), yaw=0.3)) for x in (2.0, 2.0))
    source[:3, 3] += source[:3, 0]  # along its own x
    T = motion.relative_pose(target, source)[None]
    points = torch.tensor([0.5, 0.2, 5.0]).view(1, 3, 1, 1)
    assert motion.transform(points, T).flatten().tolist() == pytest.approx([-0.5, 0.2, 5], abs=1e-6)


def test_moving_forward_expands_from_the_middle():
    K = torch.tensor([[[10.0, 0, 3], [0, 10, 2], [0, 0, 1]]])
    T = motion.pose_from_vector(torch.tensor([[0.0, 0, -1, 0, 0, 0]]))  # what is seen comes nearer
    flow = motion.rigid_flow(torch.full((1, 1, 5, 7), 5.0), T, K)
    x = torch.arange(7) - 3.0
    assert torch.allclose(flow[0, 0, 0], x / 4, atol=1e-5)  # 5 m become 4 m
    assert flow[0, :, 2, 3].abs().max() < 1e-5


def test_turning_does_not_tell_depth():
    T = motion.pose_from_vector(torch.tensor([[0.0, 0, 0, 0.02, -0.03, 0.01]]).double())
    near, far = (motion.rigid_flow(d * depths(1), T, intrinsics(1)) for d in (1, 50))
    assert torch.allclose(near, far, atol=1e-9)
    assert near.abs().max() > 0.1


def test_what_is_infinitely_far_moves_with_turns_only():
    turn = uniform(-0.05, 0.05, 1, 3)
    translation = torch.tensor([[3.0, 2.0, 1.0]]).double()
    sky = torch.full((1, 1, HEIGHT, WIDTH), torch.inf).double()
    flow = motion.rigid_flow(sky, motion.pose_from_axis_angle(turn, translation), intrinsics(1))
    still = motion.pose_from_axis_angle(turn, 0 * translation)
    assert close(flow, motion.rigid_flow(depths(1), still, intrinsics(1)), 1e-6)


def test_resized_pictures_have_resized_intrinsics():
    """A pixel x of the picture is pixel (x + 0.5) / 2 - 0.5 of its half, for a whole batch."""
    points, K = motion.unproject(depths(), intrinsics()), intrinsics()
    half = motion.project(points, datasets.scale_intrinsics(K, 0.5))
    assert close(half, (motion.project(points, K) + 0.5) / 2 - 0.5, 1e-9)


def test_no_motion_is_no_flow_and_the_same_picture():
    for dtype, tolerance in ((torch.float64, 1e-12), (torch.float32, 1e-4)):
        identity = torch.eye(4, dtype=dtype).expand(2, 4, 4)
        flow = motion.rigid_flow(depths(dtype=dtype), identity, intrinsics(dtype=dtype))
        assert close(flow, torch.zeros_like(flow), tolerance)
        warped, inside = motion.inverse_warp(pictures(dtype=dtype), flow)
        assert close(warped, pictures(dtype=dtype), tolerance)
        assert inside.all() and inside.dtype == torch.bool


def test_whole_pixels_are_fetched_exactly():
    source = pictures(1)
    flow = torch.tensor([2.0, -1.0]).double().view(1, 2, 1, 1).expand(1, 2, HEIGHT, WIDTH)
    warped, inside = motion.inverse_warp(source, flow)
    expected = torch.zeros_like(source)
    expected[..., 1:, :-2] = source[..., :-1, 2:]
    assert close(warped, expected, 1e-12)
    assert torch.equal(inside, (expected != 0).any(dim=1, keepdim=True))


def test_one_row_can_be_warped():
    warped, inside = motion.inverse_warp(torch.tensor([[[[1.0, 2.0]]]]), torch.zeros(1, 2, 1, 2))
    assert warped.flatten().tolist() == [1, 2] and inside.all()


def test_what_is_behind_is_in_no_pixel():
    T = motion.pose_from_vector(torch.tensor([[0.0, 0, -3.0, 0, 0, 0]]).double())
    depth = depths(1).requires_grad_()
    flow = motion.rigid_flow(depth, T, intrinsics(1))
    behind = depth < 3 + motion.NEAR
    assert 0.3 < behind.double().mean() < 0.9
    positions = (flow + motion.pixel_grid(flow)).detach()
    assert (positions[behind.expand_as(positions)] == motion.BEHIND).all()
    _, inside = motion.inverse_warp(pictures(1), flow)
    assert not inside[behind].any()
    flow.sum().backward()
    assert torch.isfinite(depth.grad).all() and (depth.grad[behind] == 0).all()
    at_the_lens = torch.zeros(1, 3, 1, 1).double().requires_grad_()
    pixel = motion.project(at_the_lens, intrinsics(1))
    pixel.sum().backward()
    assert (pixel == motion.BEHIND).all() and (at_the_lens.grad == 0).all()


def test_a_camera_for_all_serves_a_batch():
    K, T = intrinsics(1), poses(1)
    together = motion.rigid_flow(depths(), T, K)
    assert close(together, motion.rigid_flow(depths(), T.repeat(2, 1, 1), K.repeat(2, 1, 1)), 1e-12)


# ---- Poses ---------------------------------------------------------------------------------------


def test_euler_angles_are_scipys_intrinsic_xyz():
    angles = uniform(-3, 3, 5, 2, 3)
    expected = Rotation.from_euler("XYZ", angles.flatten(0, 1).numpy()).as_matrix()
    found = motion.rotation_from_euler(angles).flatten(0, 1)
    assert close(found, torch.from_numpy(expected), 1e-12)


def test_axis_angles_are_scipys_and_kornias():
    vectors = torch.cat([uniform(-4, 4, 20, 3), uniform(-1e-4, 1e-4, 5, 3), torch.zeros(1, 3)])
    found = motion.rotation_from_axis_angle(vectors)
    assert close(found, torch.from_numpy(Rotation.from_rotvec(vectors.numpy()).as_matrix()), 1e-12)
    assert close(found, kornia_geometry.axis_angle_to_rotation_matrix(vectors))


@pytest.mark.parametrize(
    "rotation", [motion.rotation_from_axis_angle, motion.rotation_from_euler], ids=["axis", "euler"]
)
def test_gradients_at_no_rotation_are_exact(rotation):
    """[e]x for each axis e; a formula that divides by the angle has none."""
    found = torch.autograd.functional.jacobian(rotation, torch.zeros(3).double())
    for axis in range(3):
        unit = torch.eye(3).double()[axis]
        expected = torch.stack([torch.linalg.cross(unit, e) for e in torch.eye(3).double()], dim=1)
        assert close(found[..., axis], expected, 1e-12)
    assert gradcheck(rotation, uniform(-1, 1, 2, 3).requires_grad_())


def test_six_numbers_are_translation_then_euler_angles():
    vector = uniform(-1, 1, 2, 3, 6)
    T = motion.pose_from_vector(vector)
    assert T.shape == (2, 3, 4, 4)
    assert torch.equal(T[..., :3, 3], vector[..., :3])
    assert torch.equal(T[..., :3, :3], motion.rotation_from_euler(vector[..., 3:]))
    assert (T[..., 3, :] == torch.tensor([0.0, 0, 0, 1])).all()


def test_there_and_back_again():
    T, points = poses(size=2.0), motion.unproject(depths(), intrinsics())
    there = motion.transform(points, T)
    assert close(motion.transform(there, motion.invert_pose(T)), points, 1e-12)
    assert close(motion.invert_pose(T), torch.linalg.inv(T), 1e-12)
    target, source = poses(seed=5), poses(seed=6)
    assert close(source @ motion.relative_pose(target, source), target, 1e-12)


# ---- Against kornia ------------------------------------------------------------------------------


def test_unproject_is_kornias():
    K = intrinsics()
    K[:, 0, 1] = 0  # kornia knows no skew
    found = motion.unproject(depths(), K)
    assert close(found, depth_to_3d_v2(depths()[:, 0], K).permute(0, 3, 1, 2))


def test_project_is_kornias():
    K = intrinsics()
    K[:, 0, 1] = 0
    points = motion.transform(motion.unproject(depths(), K), poses())
    expected = kornia_geometry.project_points(points.permute(0, 2, 3, 1), K[:, None, None])
    assert close(motion.project(points, K), expected.permute(0, 3, 1, 2))


@pytest.mark.parametrize("size", [0.5, 5.0])
def test_warping_by_flow_is_kornias(size):
    flow = uniform(-size, size, 2, 2, HEIGHT, WIDTH, seed=4)
    positions = motion.pixel_grid(flow) + flow
    expected = kornia_geometry.remap(pictures(), *positions.unbind(1), align_corners=True)
    assert close(motion.inverse_warp(pictures(), flow)[0], expected)


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32])
def test_warping_by_depth_and_pose_is_kornias(dtype):
    K = intrinsics(dtype=dtype)
    K[:, 0, 1] = 0
    given = depths(dtype=dtype), poses(dtype=dtype), K
    expected = warp_frame_depth(pictures(dtype=dtype), *given)
    warped, inside = motion.inverse_warp(pictures(dtype=dtype), motion.rigid_flow(*given))
    assert close(warped, expected)
    assert 0.5 < inside.double().mean() < 1
    inverted = motion.rigid_flow(given[0], motion.invert_pose(given[1]), K)
    assert (motion.inverse_warp(pictures(dtype=dtype), inverted)[0] - expected).abs().mean() > 0.02


# ---- Gradients -----------------------------------------------------------------------------------


def test_the_warp_has_the_right_gradients():
    """With respect to the source, the depth, the camera and the six numbers of the pose."""
    size = (5, 6)
    source, depth = uniform(0, 1, 1, 2, *size), uniform(1, 3, 1, 1, *size, seed=1)
    vector = uniform(-0.1, 0.1, 1, 6, seed=7)

    def warp(source, depth, vector, K):
        flow = motion.rigid_flow(depth, motion.pose_from_vector(vector), K)
        return motion.inverse_warp(source, flow)[0]

    inputs = source, depth, vector, intrinsics(1)
    assert gradcheck(warp, [part.clone().requires_grad_() for part in inputs])


# ---- In a rendered room --------------------------------------------------------------------------


@pytest.fixture(scope="module")
def two_views():
    """Two frames of one room: the camera goes 20 cm, turns and tilts a little."""
    room, camera = rooms.sample_view(5, 96, 128)
    pose = raycaster.pose((0.12, 0.05, 0.15), yaw=0.05, pitch=-0.03, roll=0.02)
    moved = replace(camera, camera_to_world=camera.camera_to_world @ pose)
    return [raycaster.render(room.scene, view) for view in (camera, moved)]


def as_maps(values):
    maps = torch.from_numpy(values).double()
    return maps.movedim(-1, 0)[None] if maps.ndim == 3 else maps[None, None]


def test_flow_follows_points_of_a_rendered_room(two_views):
    target, source = two_views
    T = motion.relative_pose(
        *(torch.from_numpy(view.camera_to_world).double()[None] for view in two_views)
    )
    K, depth = as_maps(target.K)[0], as_maps(target.depth)
    flow = motion.rigid_flow(depth, T, K)

    world = np.concatenate([target.points, np.ones((96, 128, 1))], axis=2).astype(float)
    seen = world @ (source.K @ np.linalg.inv(source.camera_to_world.astype(float))[:3]).T
    expected = as_maps(seen[..., :2] / seen[..., 2:]) - motion.pixel_grid(flow)
    assert close(flow, expected, 1e-3)  # the frames are float32
    assert flow.abs().mean() > 2

    # The source's own depth, fetched, is the depth that the points have there: off occlusions.
    fetched, inside = motion.inverse_warp(as_maps(source.depth), flow)
    moved = motion.transform(motion.unproject(depth, K), T)[:, 2:]
    agrees = ((fetched - moved).abs() < 0.02 * moved)[inside]
    assert agrees.double().mean() > 0.9

    visible = inside & ((fetched - moved).abs() < 0.02 * moved)
    rgb = as_maps(target.rgb)

    def error(flow):
        warped, _ = motion.inverse_warp(as_maps(source.rgb), flow)
        return motion.masked_mean((rgb - warped).abs(), visible)

    assert error(flow) < 0.3 * error(0 * flow)
    inverted = motion.rigid_flow(depth, motion.invert_pose(T), K)
    assert error(0 * flow) < error(inverted)


# ---- On real frames ------------------------------------------------------------------------------


def real_frame(number):
    """Picture, depth, where it is valid, and camera to world, of a frame of 7-Scenes."""
    stem = FRAMES / f"frame-{number:06d}"
    with Image.open(f"{stem}.color.jpg") as picture:
        image = torch.from_numpy(np.array(picture)).permute(2, 0, 1)[None].float() / 255
    with Image.open(f"{stem}.depth.png") as stored:
        millimetres = torch.from_numpy(np.array(stored).astype(np.float32))[None, None]
    pose = torch.from_numpy(np.loadtxt(f"{stem}.pose.txt", dtype=np.float32))[None]
    return image, millimetres / 1000, (millimetres > 0) & (millimetres < 65535), pose


@needs_frames
def test_the_conventions_are_right_in_the_real_world():
    """Three frames apart, mean difference: 0.021 warped, 0.049 as it is, 0.071 warped backwards."""
    K = torch.from_numpy(np.loadtxt(FRAMES / "camera-intrinsics.txt", dtype=np.float32))[None]
    errors = []
    for number in range(0, 60, 10):
        (target, depth, valid, pose), (source, _, _, source_pose) = map(
            real_frame, (number, number + 3)
        )
        T = motion.relative_pose(pose, source_pose)
        row = []
        for tried in (T, torch.eye(4)[None], motion.invert_pose(T)):
            flow = motion.rigid_flow(torch.where(valid, depth, 1.0), tried, K)
            warped, inside = motion.inverse_warp(source, flow)
            row.append(motion.masked_mean((target - warped).abs(), valid & inside))
        errors.append(row)
    warped, still, inverted = torch.tensor(errors).unbind(1)
    assert (warped < still).all() and (still < inverted).all()
    assert warped.mean() < 0.025
    assert warped.mean() < 0.5 * still.mean()
    assert still.mean() < 0.8 * inverted.mean()


# ---- What is refused -----------------------------------------------------------------------------


def test_other_shapes_are_refused():
    depth, K, T = depths(), intrinsics(), poses()
    with pytest.raises(ValueError, match=r"depth \(B, 1, H, W\)"):
        motion.unproject(depth[:, 0], K)
    with pytest.raises(ValueError, match=r"K \(B, 3, 3\)"):
        motion.unproject(depth, K[0])
    with pytest.raises(ValueError, match=r"T \(B, 4, 4\)"):
        motion.rigid_flow(depth, T[:, :3], K)
    with pytest.raises(ValueError, match=r"points \(B, 3, H, W\)"):
        motion.project(depth, K)
    with pytest.raises(ValueError, match=r"flow \(B, 2, H, W\)"):
        motion.inverse_warp(pictures(), depth)
    with pytest.raises(ValueError, match="as large as the flow"):
        motion.inverse_warp(pictures(), torch.zeros(2, 2, HEIGHT, WIDTH + 1))
    with pytest.raises(ValueError, match="floating"):
        motion.unproject(depth.long(), K)
