"""Drives through streets: geometry, flow, occlusions, light, and how they are kept."""

import itertools

import numpy as np
import pytest
import torch

from lessons_utils.scenes import raycaster, streets
from lessons_utils.scenes.raycaster import HIP, WHEEL, Camera, Material, Scene, Sun
from lessons_utils.scenes.streets import Course
from lessons_utils.scenes.textures import SIDE, TextureBank

SIZE = (24, 80)
GRAY = Material("gray")


@pytest.fixture(scope="module")
def drives():
    return [streets.sample_sequence(seed, frames=3) for seed in range(8)]


@pytest.fixture(scope="module")
def flows(drives):
    return [drive.flow(0, 1) for drive in drives]


@pytest.fixture
def scene():
    return Scene(TextureBank({"gray": np.full((SIDE, SIDE, 3), 0.5)}))


@pytest.fixture
def small_shards(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path))
    monkeypatch.setattr(streets, "SHARD", 2)
    return tmp_path / "streets" / f"2x80x24-v{streets.VERSION}"


def bilinear(image, x, y):
    """Sample (H, W, C) at x, y, each (H, W); outside, the border's values."""
    height, width = image.shape[:2]
    x, y = np.clip(x, 0, width - 1), np.clip(y, 0, height - 1)
    left, top = np.minimum(x.astype(int), width - 2), np.minimum(y.astype(int), height - 2)
    a, b = (x - left)[..., None], (y - top)[..., None]
    upper = image[top, left] * (1 - a) + image[top, left + 1] * a
    lower = image[top + 1, left] * (1 - a) + image[top + 1, left + 1] * a
    return upper * (1 - b) + lower * b


def warp_error(drive, flow, sign=1.0):
    """(H, W): mean absolute difference over the channels between frame 0 and warped frame 1."""
    y, x = np.indices(flow.shape[1:])
    warped = bilinear(drive.rgb[1], x + sign * flow[0], y + sign * flow[1])
    return np.abs(warped - drive.rgb[0]).mean(2)


# Warping -----------------------------------------------------------------------------------------


def test_warping_by_the_full_flow_gives_the_frame_before(drives, flows):
    """Off occlusions, mirrors and the border; measured: median 0.003, mean 0.012, none 0.074."""
    exact, none, wrong = [], [], []
    for drive, flow in zip(drives, flows, strict=True):
        counts = flow.visible & ~drive.shiny[0]
        exact.append(warp_error(drive, flow.full)[counts])
        none.append(warp_error(drive, flow.full, 0.0)[counts])
        wrong.append(warp_error(drive, flow.full, -1.0)[counts])
    exact, none, wrong = (np.concatenate(parts) for parts in (exact, none, wrong))
    assert np.median(exact) < 0.006
    assert exact.mean() < 0.018
    assert exact.mean() < 0.25 * none.mean()
    assert none.mean() < 0.9 * wrong.mean()


def test_on_what_moves_only_the_full_flow_warps_well(drives, flows):
    full, rigid = [], []
    for drive, flow in zip(drives, flows, strict=True):
        counts = flow.visible & drive.moving[0]
        full.append(warp_error(drive, flow.full)[counts])
        rigid.append(warp_error(drive, flow.rigid)[counts])
    assert np.concatenate(full).mean() < 0.4 * np.concatenate(rigid).mean()


def test_flow_works_backwards_in_time_too(drives):
    for drive in drives[:3]:
        there, back = drive.flow(0, 1), drive.flow(1, 0)
        y, x = np.indices(there.visible.shape)
        landed = x + there.full[0], y + there.full[1]
        returned = bilinear(np.moveaxis(back.full, 0, 2), *landed)
        gap = np.linalg.norm(np.moveaxis(there.full, 0, 2) + returned, axis=2)
        assert np.median(gap[there.visible]) < 0.03
        assert np.median(gap[there.occluded]) > 0.5


# Geometry ----------------------------------------------------------------------------------------


def test_depth_poses_and_flow_agree(drives):
    """By matrices in homogeneous coordinates, apart from how the module does it."""
    for drive, (target, source) in itertools.product(drives[:3], ((0, 1), (1, 0), (0, 2))):
        flow, depth = drive.flow(target, source), drive.depth[target].astype(float)
        height, width = depth.shape
        y, x = np.indices(depth.shape)
        seen = np.isfinite(depth)
        pixels = np.stack([x, y, np.ones_like(x)], 2)[seen].T
        points = np.linalg.inv(drive.K) @ pixels * depth[seen]
        moved = drive.pose(target, source) @ np.vstack([points, np.ones(seen.sum())])
        landed = drive.K @ moved[:3]
        before = landed[2] > 0.1
        landed = landed[:2] / landed[2] - pixels[:2]
        error = np.abs(landed - flow.rigid[:, seen])[:, before]
        near = np.abs(landed[:, before]).max(0) < max(height, width)
        assert error[:, near].max() < 1e-4


def test_the_sky_moves_with_rotation_alone(drives):
    for drive in drives[:4]:
        sky = ~np.isfinite(drive.depth[0])
        y, x = np.nonzero(sky)
        turn = drive.pose(0, 1)[:3, :3]
        landed = drive.K @ turn @ np.linalg.inv(drive.K) @ np.stack([x, y, np.ones_like(x)])
        assert (
            np.abs(drive.flow(0, 1).full[:, sky] - (landed[:2] / landed[2] - [x, y])).max() < 1e-3
        )


def test_poses_are_proper_and_drive_ahead(drives):
    for drive in drives:
        rotation = drive.camera_to_world[:, :3, :3]
        assert np.allclose(rotation @ rotation.transpose(0, 2, 1), np.eye(3), atol=1e-6)
        step = np.linalg.inv(drive.pose(0, 1))[:3, 3]  # where frame 1 stands, seen from frame 0
        assert 0.45 < step[2] < 1.25
        assert np.abs(step[:2]).max() < 0.2
        assert drive.camera_to_world[:, 1, 3].max() < -1.4


def test_flows_are_some_pixels(drives, flows):
    sizes = [np.linalg.norm(flow.full, axis=0)[flow.visible].mean() for flow in flows]
    assert min(sizes) > 1.0
    assert max(sizes) < 12


def test_where_nothing_moves_rigid_and_full_flow_are_the_same(drives, flows):
    for drive, flow in zip(drives, flows, strict=True):
        assert np.array_equal(flow.rigid[:, ~drive.moving[0]], flow.full[:, ~drive.moving[0]])


def test_where_something_moves_the_flows_differ(drives, flows):
    gaps = [
        np.linalg.norm(flow.full - flow.rigid, axis=0)[drive.moving[0]]
        for drive, flow in zip(drives, flows, strict=True)
    ]
    assert (np.concatenate(gaps) > 0).mean() > 0.999
    assert np.concatenate(gaps).mean() > 1
    assert np.mean([drive.moving[0].mean() for drive in drives]) > 0.02


def test_what_moves_are_cars_and_people(drives):
    named = {
        name
        for drive in drives
        for name in np.array(drive.names)[np.unique(drive.instances[drive.moving])]
    }
    assert "car" in named
    assert named <= {"car", "person"}


# Occlusion ---------------------------------------------------------------------------------------


def test_occlusions_are_those_of_a_ray_to_every_point(drives, flows):
    """One ray from camera 1 to each point seen in frame 0, cast by itself."""
    wrong, found, total = 0, 0, 0
    for drive, flow in list(zip(drives, flows, strict=True))[:4]:
        scene, eye = drive.street.at(1), drive.camera_to_world[1, :3, 3]
        points, sky = streets._points(drive, 0)
        step = np.concatenate([np.eye(4)[None], streets._steps(drive.motions, 0, 1)])
        step = step[drive.movers[0]]
        moved = np.einsum("hwij,hwj->hwi", step[..., :3, :3], points) + step[..., :3, 3]
        way = np.where(sky[..., None], points * 2000, moved - eye)
        inside = ~flow.outside
        rays = [axis[inside][:, None].astype(np.float32) for axis in np.moveaxis(way, 2, 0)]
        every = np.ones((len(rays[0]), len(scene.shapes.kind)), bool)
        with np.errstate(over="ignore", invalid="ignore"):
            first, _ = raycaster._first_hits(scene.shapes, eye.astype(np.float32), rays, every)
        length = np.linalg.norm(way, axis=2)[inside]
        hidden = first[:, 0] * length < length - 0.01
        wrong += (hidden != flow.occluded[inside]).sum()
        found += hidden.sum()
        total += inside.sum()
    assert found > 500
    assert wrong < 0.01 * found
    assert wrong < 1e-3 * total


def test_occluded_and_outside_are_kept_apart(drives, flows):
    for drive, flow in zip(drives, flows, strict=True):
        assert not (flow.occluded & flow.outside).any()
        assert np.array_equal(flow.visible, ~(flow.occluded | flow.outside))
        y, x = np.indices(flow.visible.shape)
        x, y = x + flow.full[0], y + flow.full[1]
        out = (x < 0) | (x > x.shape[1] - 1) | (y < 0) | (y > y.shape[0] - 1)
        border = np.minimum(np.abs(x), np.abs(x - x.shape[1] + 1)) < 1e-3
        border |= np.minimum(np.abs(y), np.abs(y - y.shape[0] + 1)) < 1e-3
        assert (out == flow.outside)[~border].all()
        assert 0 < flow.occluded.mean() < 0.2
        assert drive.moving[0].shape == flow.occluded.shape


# Motion ------------------------------------------------------------------------------------------


def test_a_course_without_spin_is_straight_and_with_spin_a_circle():
    straight = Course(1.0, 2.0, np.pi / 2, 0.5).motion(4)
    assert np.allclose(straight[:3, 3], (2, 0, 0))
    assert np.allclose(straight[:3, :3], np.eye(3))
    course = Course(0.0, 0.0, 0.0, 0.5, 2 * np.pi / 40)
    places = np.array([course.motion(time)[:3, 3] for time in range(41)])
    assert np.allclose(places[40], 0, atol=1e-9)
    centre = np.array([0.5 * 40 / (2 * np.pi), 0, 0])
    assert np.allclose(np.linalg.norm(places - centre, axis=1), centre[0])


def test_moved_things_move_and_the_rest_stays(scene):
    still, going = scene.thing("still"), scene.thing("going")
    for thing in (still, going):
        scene.box((1, 0, 4), (1, 1, 2), 0.2, GRAY, thing)
    motion = Course(1.0, 4.0, 0.0, 2.0, 0.3).motion(1.0)
    shapes = scene.moved({going: motion}).shapes
    assert np.allclose(shapes.centre[0], (1, 0, 4))
    assert np.allclose(shapes.centre[1], motion[:3] @ (1, 0, 4, 1), atol=1e-6)
    assert shapes.yaw == pytest.approx([0.2, 0.5])
    assert np.allclose(scene.shapes.yaw, 0.2)


# Shapes and light that rooms do not have ---------------------------------------------------------


def test_hips_and_wheels_lie_within_their_outlines(scene):
    """Hits satisfy the surfaces' equations; what is missed passes outside."""
    thing = scene.thing("thing")
    scene.hip((-1, 0, 5), (2, 1.2, 3), 0.5, (0.3, 0.8, 0.4), GRAY, thing)
    scene.wheel((1.2, 0.2, 4), 0.7, 0.4, -0.8, GRAY, thing)
    view = Camera(raycaster.intrinsics(80, 120, 70), raycaster.pose((0, -0.6, 0), 0, -0.1), 80, 120)
    frame = raycaster.render(scene, view)
    hits = raycaster.cast(scene, view)
    row = hits.tiling.join(hits.shape)
    shapes = scene.shapes
    assert set(np.unique(row)) == {-1, 0, 1}
    rays = raycaster.directions(view)
    for number, kind in ((0, HIP), (1, WHEEL)):
        assert shapes.kind[number] == kind
        off = frame.points - shapes.centre[number]
        cos, sin = np.cos(shapes.yaw[number]), np.sin(shapes.yaw[number])

        def outside(points, cos=cos, sin=sin, number=number, kind=kind):
            x = cos * points[..., 0] - sin * points[..., 2]
            y, z = points[..., 1], sin * points[..., 0] + cos * points[..., 2]
            half = shapes.half[number]
            if kind == WHEEL:
                return np.maximum(np.abs(x) - half[0], np.hypot(y, z) - half[1])
            up = (half[1] - y) / (2 * half[1])
            side, front, back = shapes.lean[number]
            parts = (
                np.abs(x) - half[0] + side * up,
                z - half[2] + front * up,
                -z - half[2] + back * up,
            )
            return np.maximum.reduce([*parts, np.abs(y) - half[1]])

        assert np.abs(outside(off[row == number])).max() < 2e-5
        missed = rays[row == -1][:, None] * np.linspace(1, 9, 400)[:, None]
        missed = missed + view.camera_to_world[:3, 3] - shapes.centre[number]
        assert outside(missed).min() > -0.02
    facing = (rays * frame.normals).sum(2)[row >= 0]
    assert facing.max() < 1e-3
    assert np.allclose(np.linalg.norm(frame.normals[row >= 0], axis=1), 1, atol=1e-5)


def test_the_sun_throws_parallel_shadows(scene):
    scene.ambient = (0, 0, 0)
    scene.sun = Sun((0.6, -0.8, 0.0), (1, 1, 1))
    ground = scene.thing("ground")
    scene.plane((0, 0, 0), (0, -1, 0), GRAY, ground)
    scene.box((0, -1.05, 6), (1, 0.1, 2), 0, GRAY, scene.thing("roof"))
    view = Camera(raycaster.intrinsics(96, 128, 80), raycaster.pose((0, -3, 0), 0, -0.5), 96, 128)
    frame = raycaster.render(scene, view)
    x, _, z = np.moveaxis(frame.points, 2, 0)
    dark = (frame.rgb == 0).all(2)
    inside = (np.abs(z - 6) < 0.97) & (x > -0.5 - 0.75 + 0.03) & (x < 0.5 - 0.825 - 0.03)
    outside = (np.abs(z - 6) > 1.03) | (x < -0.5 - 0.825 - 0.03) | (x > 0.5 - 0.75 + 0.03)
    seen = frame.instances == ground
    assert dark[seen & inside].all()
    assert not dark[seen & outside].any()
    assert (seen & inside).sum() > 40
    lit = frame.rgb[seen & outside]
    assert np.allclose(lit, (0.5**2.2 * 0.8) ** (1 / 2.2), atol=1e-3)  # the same at any distance


def test_the_highlight_moves_against_the_surface():
    """The sun in a wet road: it goes with the camera, what lies on the road does not."""
    scene = Scene(streets.textures.outdoor(), ambient=(0.2, 0.2, 0.2))
    scene.sun = Sun((0.0, -0.6, 0.8), (1, 1, 1))
    scene.dome = raycaster.Dome((0.1, 0.2, 0.5), (0.5, 0.6, 0.7), "clouds", 0.0)
    wet = Material("asphalt0", (0.2, 0.2, 0.2), 7.0, gloss=1.0, mirror=True)
    scene.plane((0, 0, 0), (0, -1, 0), wet, scene.thing("road"))
    mark = Material("plain", (0.9, 0.1, 0.1))
    scene.box((1.0, 0.19, 6), (0.5, 0.4, 0.5), 0, mark, scene.thing("mark"))
    where = []
    for z in (0.0, 0.8):
        matrix = streets.intrinsics(96, 320)
        view = Camera(matrix, raycaster.pose((0, -2.0, z), 0, -0.55), 96, 320)
        frame = raycaster.render(scene, view, 0.15)
        glint = np.argwhere(frame.rgb.min(2) > 0.9 * frame.rgb.min(2).max()).mean(0)
        where.append((glint, np.argwhere(frame.instances == 2).mean(0)))
    (glint, painted), (glint_after, painted_after) = where
    assert np.abs(glint_after - glint).max() < 1.0  # the sun is infinitely far, and so is its image
    assert painted_after[0] - painted[0] > 6


def test_mirrors_break_the_warp_that_holds_elsewhere(drives, flows):
    """Exact flow explains a wet road worse than a dry one."""
    wet, dry = [], []
    for drive, flow in zip(drives, flows, strict=True):
        named, error = np.array(drive.names)[drive.instances[0]], warp_error(drive, flow.full)
        wet.append(error[flow.visible & (named == "puddle")])
        dry.append(error[flow.visible & (named == "road")])
    assert sum(len(part) for part in wet) > 100
    assert np.concatenate(wet).mean() > 2 * np.concatenate(dry).mean()


# Seeds, splits and the cache ---------------------------------------------------------------------


def test_a_sequence_has_the_shapes_and_ranges_that_it_promises(drives):
    for drive in drives:
        assert len(drive) == 3
        assert drive.rgb.shape == drive.normals.shape == (3, 96, 320, 3)
        assert drive.depth.shape == drive.moving.shape == drive.shiny.shape == (3, 96, 320)
        assert drive.rgb.dtype == drive.depth.dtype == np.float32
        assert 0 <= drive.rgb.min() <= drive.rgb.max() <= 1
        assert drive.depth.min() > streets.NEAREST
        assert 0.3 < drive.rgb[0].mean() < 0.6
        assert 1 <= len(drive.motions) <= streets.MOST_MOVERS
        assert drive.K[0, 0] == pytest.approx(0.58 * 320)


def test_many_streets_stay_within_bounds():
    for seed in range(60):
        street = streets.sample_street(seed)
        assert 1 <= len(street.movers) <= streets.MOST_MOVERS


def test_the_same_seed_gives_the_same_drive_and_another_another(drives):
    again = streets.sample_sequence(1)
    for name in ("rgb", "depth", "camera_to_world", "movers", "motions"):
        assert np.array_equal(getattr(again, name), getattr(drives[1], name))
    assert not np.array_equal(drives[1].depth, drives[2].depth)


def test_more_frames_begin_with_the_same_ones():
    short, long = (streets.sample_sequence(3, frames, *SIZE) for frames in (2, 4))
    assert np.array_equal(short.rgb, long.rgb[:2])
    assert np.array_equal(short.depth, long.depth[:2])
    assert np.array_equal(short.flow(0, 1).full, long.flow(0, 1).full)


def test_splits_share_no_street():
    parts = [set(streets.seeds(split, 3000)) for split in streets.SPLITS]
    assert len(set.union(*parts)) == 9000


def test_tensors_agree_with_the_drive(small_shards):
    kept = streets.sequences("test", 3, 2, *SIZE, progress=False)
    names = sorted(path.name for path in small_shards.iterdir())
    assert names == ["test-000000.npz", "test-000002.npz"]
    assert (kept.images.shape, kept.images.dtype) == ((3, 2, 3, 24, 80), torch.uint8)
    assert (kept.depth.shape, kept.depth.dtype) == ((3, 2, 1, 24, 80), torch.float32)
    drive = streets.sample_sequence(streets.seeds("test", 3)[1], 2, *SIZE)
    part = kept[1]
    assert len(part) == 1
    known = np.isfinite(drive.depth)
    relative = np.abs(part.depth[0, :, 0].numpy()[known] / drive.depth[known] - 1)
    assert relative.max() < 3e-3
    assert np.median(relative) < 2e-4
    assert np.array_equal(np.isfinite(part.depth[0, :, 0].numpy()), known)
    for target, source in ((0, 1), (1, 0)):
        flow = drive.flow(target, source)
        inside = ~flow.outside
        for ours, exact in (
            (part.rigid_flow(target, source), flow.rigid),
            (part.full_flow(target, source), flow.full),
        ):
            assert ours.shape == (1, 2, 24, 80)
            assert np.abs(ours[0].numpy() - exact)[:, inside].max() < 5e-3
        assert (part.occluded(target, source)[0, 0].numpy() != flow.occluded).mean() < 1e-3
        assert (part.outside(target, source)[0, 0].numpy() != flow.outside).mean() < 1e-3
        assert np.array_equal(part.moving(target)[0, 0].numpy(), drive.moving[target])
        assert np.allclose(part.pose(target, source)[0], drive.pose(target, source), atol=1e-6)


def test_more_drives_keep_the_first_and_render_only_the_rest(small_shards, monkeypatch):
    rendered, render_one = [], streets._render_one

    def count(job):
        rendered.append(job[0])
        return render_one(job)

    monkeypatch.setattr(streets, "_render_one", count)
    few = streets.sequences("train", 1, 2, *SIZE, progress=False)
    many = streets.sequences("train", 3, 2, *SIZE, progress=False)
    assert rendered == [0, 1, 2]
    assert torch.equal(few.images, many.images[:1])
    pictures, matrix = streets.images("train", 3, 2, *SIZE, progress=False)
    assert rendered == [0, 1, 2]
    assert torch.equal(pictures, many.images)
    assert torch.equal(matrix, many.K)


@pytest.mark.parametrize(
    ("call", "message"),
    [
        (lambda: streets.sample_sequence(-1), "seed is 0 or more, not -1"),
        (lambda: streets.sample_sequence(0, 0), "0 frames of 96 x 320"),
        (lambda: streets.sequences("dev", 3), "No split 'dev' of streets; use one of train"),
        (lambda: streets.sequences("train", 0), "count must lie between 1 and 1,000,000, not 0"),
        (lambda: streets.sequences("train", 1, 1), "2 frames or more, not 1"),
    ],
)
def test_impossible_drives_are_refused(call, message):
    with pytest.raises(ValueError, match=message):
        call()


def test_occlusions_are_kept_between_neighbours_only(small_shards):
    kept = streets.sequences("train", 1, 3, *SIZE, progress=False)
    with pytest.raises(ValueError, match="between neighbours, not 0 and 2"):
        kept.occluded(0, 2)
