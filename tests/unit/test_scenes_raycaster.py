"""The ray caster, against Embree, against closed forms, and seen from two places."""

import numpy as np
import pytest
import trimesh
from embreex import rtcore_scene
from embreex.mesh_construction import TriangleMesh

from lessons_utils.scenes import raycaster, rooms, textures
from lessons_utils.scenes.raycaster import BOX, CYLINDER, PLANE, Camera, Light, Material
from lessons_utils.scenes.textures import SIDE, TextureBank

GRAY = Material("gray")
RED_BLUE = np.array([[1.0, 0, 0], [0, 0, 1.0]])


@pytest.fixture(scope="module")
def bank():
    chess = np.indices((SIDE, SIDE)).sum(0) // 16 % 2
    return TextureBank(
        {
            "gray": np.full((SIDE, SIDE, 3), 0.5),
            "chess": np.repeat(chess[..., None].astype(float), 3, axis=2),
            "corner": np.where((np.indices((SIDE, SIDE)) < SIDE // 2).all(0)[..., None], *RED_BLUE),
        }
    )


@pytest.fixture
def scene(bank):
    return raycaster.Scene(bank)


def camera(pose=None, height=48, width=64, field_of_view=70.0):
    matrix = raycaster.intrinsics(height, width, field_of_view)
    return Camera(matrix, np.eye(4, dtype=np.float32) if pose is None else pose, height, width)


# Against Embree ----------------------------------------------------------------------------------


def triangles(shapes, row):
    """One shape as triangles (n, 3, 3), independent of how the caster meets it."""
    kind, half = shapes.kind[row], shapes.half[row].astype(float)
    if kind == PLANE:
        across = np.cross(half, [0.31, 0.5, 0.81])
        across /= np.linalg.norm(across)
        down = np.cross(half, across)
        corners = 60 * np.array([across, down, -across, -down])
        return (corners + shapes.centre[row])[[[0, 1, 2], [0, 2, 3]]]
    if kind == BOX:
        mesh = trimesh.creation.box(extents=2 * half)
    elif kind == CYLINDER:
        mesh = trimesh.creation.cylinder(radius=half[0], height=2 * half[1], sections=360)
        mesh.apply_transform(trimesh.transformations.rotation_matrix(np.pi / 2, [1, 0, 0]))
    else:
        mesh = trimesh.creation.icosphere(subdivisions=5, radius=half[0])
    mesh.apply_transform(trimesh.transformations.rotation_matrix(shapes.yaw[row], [0, 1, 0]))
    return mesh.triangles + shapes.centre[row]


def embree_depth(scene, view):
    """Depth by Embree (H, W), and the kind of shape that is hit."""
    parts = [triangles(scene.shapes, row) for row in range(len(scene.shapes.kind))]
    kinds = np.repeat(scene.shapes.kind, [len(part) for part in parts])
    embree = rtcore_scene.EmbreeScene(robust=True)
    TriangleMesh(embree, np.concatenate(parts).astype(np.float32))
    rays = raycaster.directions(view).reshape(-1, 3)
    origins = np.tile(view.camera_to_world[:3, 3], (len(rays), 1)).astype(np.float32)
    found = embree.run(origins, rays, output=True)
    depth = np.where(found["primID"] >= 0, found["tfar"], np.inf)
    kind = np.where(found["primID"] >= 0, kinds[found["primID"]], -1)
    return depth.reshape(view.height, view.width), kind.reshape(view.height, view.width)


@pytest.mark.parametrize("seed", [3, 11, 42])
def test_rooms_have_the_depth_that_embree_finds(seed):
    room, view = rooms.sample_view(seed, 120, 160)
    hits = raycaster.cast(room.scene, view)
    truth, kind = embree_depth(room.scene, view)
    ours = np.where(hits.shape < 0, -1, room.scene.shapes.kind[hits.shape])
    same = hits.tiling.join(ours) == kind
    error = np.abs(hits.depth - truth)
    flat = same & np.isin(kind, (PLANE, BOX))
    assert same.mean() > 0.998  # the rest: outlines of round things, which Embree has with corners
    assert np.median(error[flat]) < 2e-6
    assert np.quantile(error[flat], 0.999) < 1e-4


def test_boxes_and_planes_agree_with_embree_at_every_pixel(scene):
    rng = np.random.default_rng(0)
    thing = scene.thing("thing")
    scene.plane((0, 1.5, 0), (0, -1, 0), GRAY, thing)
    scene.plane((0, 0, 9), (0.3, 0.1, -1), GRAY, thing)
    for _ in range(30):
        centre = rng.uniform((-3, -1.5, 2), (3, 1.5, 7))
        scene.box(centre, rng.uniform(0.05, 1.2, 3), rng.uniform(-3, 3), GRAY, thing)
    view = camera(raycaster.pose((0.2, -0.1, -0.5), 0.1, -0.1, 0.05), 90, 121)
    truth, _ = embree_depth(scene, view)
    depth = raycaster.cast(scene, view).depth
    assert np.array_equal(np.isfinite(depth), np.isfinite(truth))
    seen = np.isfinite(truth)
    assert seen.mean() > 0.5
    assert np.abs(depth - truth)[seen].max() < 1e-4


# Against closed forms ----------------------------------------------------------------------------


def rays_of(view):
    """Directions (H, W, 3) in float64, as the conventions say, for an unturned camera."""
    v, u = np.mgrid[0 : view.height, 0 : view.width]
    matrix = view.K.astype(float)
    x, y = (u - matrix[0, 2]) / matrix[0, 0], (v - matrix[1, 2]) / matrix[1, 1]
    return np.stack([x, y, np.ones_like(x)], axis=2)


def test_a_sphere_lies_where_the_quadratic_equation_says(scene):
    centre, radius = np.array([0.3, -0.2, 4.0]), 0.9
    scene.sphere(centre, radius, GRAY, scene.thing("ball"))
    view = camera()
    rays = rays_of(view)
    a, b = (rays**2).sum(2), rays @ centre
    under_root = b**2 - a * (centre @ centre - radius**2)
    truth = np.where(under_root > 0, (b - np.sqrt(np.abs(under_root))) / a, np.inf)
    frame = raycaster.render(scene, view)
    clear = np.abs(under_root) > 1e-3  # beside the outline, where rounding decides
    assert np.array_equal(np.isfinite(frame.depth)[clear], np.isfinite(truth)[clear])
    seen = np.isfinite(truth) & clear
    assert np.abs(frame.depth[seen] - truth[seen]).max() < 1e-4
    outwards = (rays[seen] * truth[seen][:, None] - centre) / radius
    assert np.abs(frame.normals[seen] - outwards).max() < 1e-3


def test_a_cylinder_has_a_round_side_and_flat_lids(scene):
    scene.cylinder((0, 1.0, 3.0), 0.5, 1.0, GRAY, scene.thing("drum"))
    frame = raycaster.render(scene, camera())
    points, normals = frame.points, frame.normals
    lid = normals[..., 1] < -0.99
    side = (frame.instances == 1) & ~lid
    assert lid.sum() > 20
    assert side.sum() > 100
    assert np.abs(points[lid][:, 1] - 0.5).max() < 1e-4
    assert np.abs(np.hypot(points[side][:, 0], points[side][:, 2] - 3) - 0.5).max() < 1e-4
    assert np.abs(normals[side][:, 1]).max() == 0


def test_thin_far_cylinders_are_round(scene):
    scene.cylinder((0.0, 0.0, 8.0), 0.02, 2.0, GRAY, scene.thing("pole"))
    frame = raycaster.render(scene, camera(height=65, width=129, field_of_view=3.0))
    seen = frame.instances == 1
    assert (
        np.abs(np.hypot(frame.points[seen][:, 0], frame.points[seen][:, 2] - 8) - 0.02).max() < 1e-5
    )


# Conventions -------------------------------------------------------------------------------------


def test_the_unturned_camera_sees_x_to_the_right_and_y_down(scene):
    right, below = scene.thing("right"), scene.thing("below")
    scene.box((1, 0, 4), (0.4, 0.4, 0.4), 0, GRAY, right)
    scene.box((0, 1, 4), (0.4, 0.4, 0.4), 0, GRAY, below)
    instances = raycaster.render(scene, camera()).instances
    rows, columns = np.nonzero(instances == right)
    assert abs(rows.mean() - 23.5) < 1
    assert columns.min() > 32
    rows, columns = np.nonzero(instances == below)
    assert rows.min() > 24
    assert abs(columns.mean() - 31.5) < 1


@pytest.mark.parametrize(
    ("turn", "ahead"),
    [
        ({"yaw": 0.3}, (np.sin(0.3), 0, np.cos(0.3))),
        ({"yaw": 0, "pitch": 0.2}, (0, -np.sin(0.2), np.cos(0.2))),
        ({"yaw": 0, "roll": 0.4}, (0, 0, 1)),
    ],
)
def test_a_pose_is_a_proper_rotation_that_turns_right_and_looks_up(turn, ahead):
    pose = raycaster.pose((1, 2, 3), **turn)
    rotation = pose[:3, :3]
    assert np.allclose(rotation.T @ rotation, np.eye(3), atol=1e-6)
    assert np.linalg.det(rotation) == pytest.approx(1)
    assert np.allclose(rotation[:, 2], ahead, atol=1e-6)
    assert pose[:3, 3].tolist() == [1, 2, 3]


def test_depth_is_along_the_axis_and_not_along_the_ray(scene):
    scene.plane((0, 0, 5), (0, 0, -1), GRAY, scene.thing("wall"))
    frame = raycaster.render(scene, camera())
    assert np.allclose(frame.depth, 5, atol=1e-5)
    assert np.allclose(frame.points[..., 2], 5, atol=1e-5)


def test_where_nothing_is_hit(scene):
    scene.sky = (0.1, 0.2, 0.9)
    scene.sphere((0, 0, 3), 0.5, GRAY, scene.thing("ball"))
    frame = raycaster.render(scene, camera())
    empty = frame.instances == 0
    assert 0.5 < empty.mean() < 1
    assert np.isinf(frame.depth[empty]).all()
    assert np.isfinite(frame.depth[~empty]).all()
    assert (frame.normals[empty] == 0).all()
    sky = frame.rgb[empty]
    assert np.allclose(sky, np.array([0.1, 0.2, 0.9]) ** (1 / 2.2), atol=1e-5)
    assert [frame.names[i] for i in np.unique(frame.instances)] == ["nothing", "ball"]


def test_a_plane_is_seen_from_its_front_only(scene):
    scene.plane((0, 0, 3), (0, 0, 1), GRAY, scene.thing("wall"))
    assert np.isinf(raycaster.cast(scene, camera()).depth).all()


def test_a_scene_without_shapes_says_so(scene):
    with pytest.raises(ValueError, match="no shapes"):
        raycaster.cast(scene, camera())


def test_frames_need_not_divide_into_tiles():
    room, view = rooms.sample_view(7, 64, 80)
    part = Camera(view.K, view.camera_to_world, 45, 61)
    whole = raycaster.render(room.scene, view)
    cut = raycaster.render(room.scene, part)
    assert cut.rgb.shape == (45, 61, 3)
    assert np.array_equal(cut.depth, whole.depth[:45, :61])
    assert np.array_equal(cut.instances, whole.instances[:45, :61])


# Light and texture -------------------------------------------------------------------------------


def test_a_box_between_lamp_and_wall_throws_its_shadow(scene):
    scene.ambient = (0, 0, 0)
    wall, block = scene.thing("wall"), scene.thing("block")
    scene.plane((0, 0, 4), (0, 0, -1), GRAY, wall)
    scene.box((0, 0, 2), (0.4, 0.4, 0.1), 0, GRAY, block)
    scene.lights.append(Light((0, 0, 0), (1, 1, 1)))
    view = camera(raycaster.pose((1.2, 0, 0), 0.0), 64, 64, 90.0)
    frame = raycaster.render(scene, view)
    on_wall = frame.instances == wall
    x, y, _ = np.moveaxis(frame.points, 2, 0)
    reach = 0.2 * 4 / 1.95  # the block's near face is 1.95 m off
    inside = np.maximum(np.abs(x), np.abs(y)) < reach - 0.02
    outside = np.maximum(np.abs(x), np.abs(y)) > reach + 0.02
    assert (frame.rgb[on_wall & inside] == 0).all()
    assert (frame.rgb[on_wall & outside & (np.abs(x) < 2) & (np.abs(y) < 2)] > 0.1).all()
    assert (on_wall & inside).sum() > 20


def test_a_lamp_lights_what_is_near_it_and_faces_it_more(scene):
    scene.ambient = (0, 0, 0)
    scene.plane((0, 1, 0), (0, -1, 0), GRAY, scene.thing("floor"))
    scene.lights.append(Light((0, 0, 3), (1, 1, 1)))
    frame = raycaster.render(scene, camera())
    distance = np.hypot(frame.points[..., 0], frame.points[..., 2] - 3)
    floor = frame.instances == 1
    nearest = frame.rgb[floor & (distance < 0.5)].mean()
    assert nearest > 2 * frame.rgb[floor & (distance > 2) & (distance < 4)].mean() > 0


def test_a_window_shines_to_its_front_only(scene):
    scene.ambient = (0, 0, 0)
    scene.plane((0, 1, 0), (0, -1, 0), GRAY, scene.thing("floor"))
    scene.lights.append(Light((0, 0, 4), (1, 1, 1), facing=(0, 0, -1)))
    frame = raycaster.render(scene, camera())
    floor = frame.instances == 1
    assert (frame.rgb[floor & (frame.points[..., 2] > 4.01)] == 0).all()
    assert (frame.rgb[floor & (frame.points[..., 2] < 3.5)] > 0).all()


@pytest.mark.parametrize("yaw", [0, np.pi / 2, np.pi, -np.pi / 2])
def test_a_picture_is_drawn_once_and_upright_on_every_side(scene, yaw):
    scene.ambient = (0, 0, 0)
    material = Material("corner", emission=1.0, fit=True)
    scene.box((0, 0, 2), (1, 1, 1), yaw, material, scene.thing("picture"))
    rgb = raycaster.render(scene, camera()).rgb[9:39, 17:47]  # the face before us, without edges
    rows, columns = np.indices((30, 30))
    assert (rgb[(rows < 13) & (columns > 16)] == (1, 0, 0)).all()
    assert (rgb[(rows > 16) | (columns < 13)] == (0, 0, 1)).all()


def test_far_textures_become_their_mean_not_flicker(bank):
    count = 500
    rng = np.random.default_rng(0)
    u, v = rng.random((2, count)).astype(np.float32)
    index = np.full(count, bank.index("chess"))
    repeats = np.zeros(count, bool)
    near = bank.sample(index, u, v, np.full(count, 1 / SIDE, np.float32), repeats)
    far = bank.sample(index, u, v, np.full(count, 0.5, np.float32), repeats)
    assert near.std() > 0.4
    assert far.std() < 0.01
    assert far.mean() == pytest.approx(0.5, abs=0.01)


def test_texture_mistakes_are_named(bank):
    with pytest.raises(ValueError, match="No texture 'oak'; there are gray, chess"):
        bank.index("oak")
    with pytest.raises(ValueError, match=r"'wall' must be \(256, 256, 3\), not \(8, 8, 3\)"):
        TextureBank({"wall": np.zeros((8, 8, 3))})


def test_indoor_textures_are_in_range_and_the_same_every_time():
    first = textures.indoor()
    assert {"plaster0", "brick", "picture_chelsea", "rug0", "view_night"} <= set(first.names)
    again = textures.indoor.__wrapped__()
    assert first.names == again.names
    assert np.array_equal(first._texels, again._texels)
    assert first._texels.min() >= 0
    assert first._texels.max() <= 1


# Two views ---------------------------------------------------------------------------------------


def bilinear(image, u, v):
    left, top = np.floor(u).astype(int), np.floor(v).astype(int)
    x, y = u - left, v - top
    if image.ndim == 3:
        x, y = x[:, None], y[:, None]
    upper = image[top, left] * (1 - x) + image[top, left + 1] * x
    lower = image[top + 1, left] * (1 - x) + image[top + 1, left + 1] * x
    return upper * (1 - y) + lower * y


@pytest.mark.parametrize("seed", [5, 17])
def test_a_second_view_sees_the_same_points_and_colours(seed):
    room, view = rooms.sample_view(seed)
    to_right = view.camera_to_world @ raycaster.pose((0.12, 0.02, 0.05), 0.04, 0.01, 0.02)
    other = Camera(view.K, to_right, view.height, view.width)
    a, b = (raycaster.render(room.scene, camera, factor=1.5) for camera in (view, other))
    in_b = np.linalg.inv(to_right) @ np.append(a.points.reshape(-1, 3), np.ones((19200, 1)), 1).T
    projected = view.K @ in_b[:3]
    u, v, z = projected[0] / projected[2], projected[1] / projected[2], projected[2]
    inside = (u >= 0) & (u < 158.9) & (v >= 0) & (v < 118.9) & (z > 0.1)
    assert inside.mean() > 0.7
    u, v, z = u[inside], v[inside], z[inside]
    seen = 1 / bilinear(1 / b.depth, u, v)  # exact on flat surfaces
    error = np.abs(seen - z)
    visible = error < 0.02
    assert visible.mean() > 0.85
    assert np.median(error) < 1e-5
    colour = a.rgb.reshape(-1, 3)[inside][visible]
    unwarped = b.rgb.reshape(-1, 3)[inside][visible]
    warped = bilinear(b.rgb, u, v)[visible]
    assert np.abs(colour - warped).mean() < 0.35 * np.abs(colour - unwarped).mean()
