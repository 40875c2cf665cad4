"""Furnished rooms: what their frames look like, and how they are kept in the cache."""

import errno
import itertools
import multiprocessing
import os
import re
import signal
import subprocess
import sys
import time
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import torch

from lessons_utils.scenes import cache as scenes_cache
from lessons_utils.scenes import furniture, raycaster, rooms

SIZE = (24, 32)


@pytest.fixture(scope="module")
def sample():
    return [rooms.sample_frame(seed) for seed in range(20)]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """An empty cache with shards of four frames; returns the folder of the small frames."""
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path))
    monkeypatch.setattr(rooms, "SHARD", 4)
    return tmp_path / "rooms" / f"32x24-v{rooms.VERSION}"


@pytest.fixture
def rendered(monkeypatch):
    """The seeds that are rendered, in order."""
    seeds, render_one = [], rooms._render_one

    def count(job):
        seeds.append(job[0])
        return render_one(job)

    monkeypatch.setattr(rooms, "_render_one", count)
    return seeds


def equal(a, b):
    return all(torch.equal(x, y) for x, y in zip(a, b, strict=True))


# Frames ------------------------------------------------------------------------------------------


def test_a_frame_has_the_shapes_and_ranges_that_it_promises(sample):
    for frame in sample:
        assert frame.rgb.shape == frame.normals.shape == (120, 160, 3)
        assert frame.rgb.dtype == frame.depth.dtype == frame.normals.dtype == np.float32
        assert frame.instances.dtype == np.int32
        assert 0 <= frame.rgb.min() <= frame.rgb.max() <= 1
        assert 0.3 < frame.depth.min() <= frame.depth.max() < 12
        assert 1 <= frame.instances.min() <= frame.instances.max() < len(frame.names)
        assert frame.K.shape == (3, 3)
        assert np.linalg.det(frame.camera_to_world[:3, :3]) == pytest.approx(1, abs=1e-5)


def test_normals_have_unit_length_and_face_the_camera(sample):
    for frame in sample:
        view = raycaster.Camera(frame.K, frame.camera_to_world, 120, 160)
        assert np.abs(np.linalg.norm(frame.normals, axis=2) - 1).max() < 1e-5
        assert (raycaster.directions(view) * frame.normals).sum(2).max() < 1e-3


def test_frames_stand_upright(sample):
    """World y points down: floors at y = 0 look up and are seen below, ceilings above."""
    for frame in sample:
        named = np.array(frame.names)[frame.instances]
        rows = np.indices(named.shape)[0]
        assert (frame.normals[named == "floor"] == (0, -1, 0)).all()
        assert np.abs(frame.points[named == "floor"][:, 1]).max(initial=0) < 1e-4
        if (named == "floor").sum() > 50:
            assert rows[named == "floor"].mean() > 60
        if (named == "ceiling").sum() > 50:
            assert rows[named == "ceiling"].mean() < 60
    below = np.mean([frame.normals[80:, :, 1].mean() for frame in sample])
    above = np.mean([frame.normals[:40, :, 1].mean() for frame in sample])
    assert below < -0.3 < above


def test_the_rooms_are_furnished_and_differ(sample):
    named = {name for frame in sample for name in np.array(frame.names)[np.unique(frame.instances)]}
    assert {"floor", "wall", "window", "door", "picture", "chair", "table", "shelf"} <= named
    assert len(named) > 20
    spread = np.std([np.log(frame.depth).mean() for frame in sample])
    assert 0.1 < spread < 0.5


def test_depth_and_brightness_resemble_indoor_photographs(sample):
    log_depth = np.log([frame.depth for frame in sample])
    assert 0.35 < log_depth.std() < 0.5
    assert 2.2 < np.exp(log_depth).mean() < 3.2
    for frame in sample:
        assert 0.3 < frame.rgb.mean() < 0.65
        assert frame.rgb.std() > 0.08


def test_the_same_seed_gives_the_same_frame_and_another_another(sample):
    again = rooms.sample_frame(3)
    for name in ("rgb", "depth", "normals", "instances", "camera_to_world"):
        assert np.array_equal(getattr(again, name), getattr(sample[3], name))
    assert not np.array_equal(sample[3].depth, sample[4].depth)


@pytest.mark.parametrize(
    ("seed", "means"),
    [
        (0, (0.4791, 0.4964, 0.4999, 1.5986)),
        (1, (0.4241, 0.4404, 0.4026, 3.8393)),
        (2, (0.5560, 0.5549, 0.5155, 2.6966)),
    ],
)
def test_the_pictures_are_those_of_the_version(seed, means):
    """Red, green, blue and metres; caches of this version hold such pictures."""
    frame = rooms.sample_frame(seed, *SIZE)
    found = (*frame.rgb.mean((0, 1), dtype=float), frame.depth.mean(dtype=float))
    assert found == pytest.approx(means, abs=1e-3), (
        "The same seed gives another picture: raise rooms.VERSION, and store these means here."
    )


def test_a_view_can_be_taken_again_larger(sample):
    room, view = rooms.sample_view(5, 240, 320)
    assert np.allclose(view.camera_to_world, sample[5].camera_to_world)
    assert raycaster.render(room.scene, view).rgb.shape == (240, 320, 3)


def test_field_of_view_is_that_of_the_nyu_sensor(sample):
    width, focal = 160, sample[0].K[0, 0]
    assert 2 * np.degrees(np.arctan(width / 2 / focal)) == pytest.approx(63.3, abs=0.01)


@pytest.mark.parametrize("name", furniture.PIECES)
def test_a_piece_stays_on_the_floor_it_asks_for(name):
    """Its shapes lie over its rectangle, give or take a cushion or a ball, and above the floor."""
    for seed in range(6):
        piece = furniture.PIECES[name](np.random.default_rng(seed))
        scene = rooms.Scene(rooms.textures.indoor())
        piece.place(scene, 0.0, 0.0, 0.0)
        corners = scene.shapes.corners()
        assert corners[..., 1].max() < 1e-5
        assert corners[..., 1].min() > -2.4
        assert np.abs(corners[..., 0]).max() < piece.width / 2 + 0.25
        assert np.abs(corners[..., 2]).max() < piece.depth / 2 + 0.25
        assert len(scene.names) == 2


def test_furniture_does_not_stand_in_furniture():
    for seed in range(10):
        room = rooms.make_room(np.random.default_rng(seed))
        taken = np.array(room.taken)
        assert len(taken) > 3
        apart = np.abs(taken[:, None, :2] - taken[None, :, :2])
        reach = taken[:, None, 2:] + taken[None, :, 2:]
        overlap = (apart < reach - 1e-6).all(2)
        assert overlap.sum() == len(taken)  # each with itself


@pytest.mark.parametrize(
    ("arguments", "message"),
    [((-1,), "seed is 0 or more, not -1"), ((0, 0, 10), "at least one row .* not 0 x 10")],
)
def test_impossible_frames_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        rooms.sample_frame(*arguments)


# The sensor --------------------------------------------------------------------------------------


def step_frame():
    """A near square before a far wall, evenly bright, without a room."""
    depth = np.full((120, 160), 3.0, np.float32)
    depth[40:80, 60:100] = 1.5
    return rooms.Frame(
        rgb=np.full((120, 160, 3), 0.5, np.float32),
        depth=depth,
        normals=np.broadcast_to(np.float32([0, 0, -1]), (120, 160, 3)),
        instances=np.ones((120, 160), np.int32),
        names=("nothing", "wall"),
        K=raycaster.intrinsics(120, 160, rooms.FIELD_OF_VIEW),
        camera_to_world=np.eye(4, dtype=np.float32),
    )


def test_the_projector_cannot_see_to_the_left_of_near_things():
    frame = step_frame()
    missing = ~rooms.sensor_mask(frame, 0)
    assert not missing[:40].any()
    assert not missing[80:].any()
    width = frame.K[0, 0] * rooms.BASELINE * (1 / 1.5 - 1 / 3.0)
    assert np.abs(missing[40:80].sum(1) - width).max() <= 1.5
    columns = np.flatnonzero(missing[60])
    assert columns.max() == 59
    assert columns.min() >= 59 - np.ceil(width)


def test_the_sensor_misses_dark_flat_and_far_places():
    frame = step_frame()
    assert rooms.sensor_mask(replace(frame, rgb=frame.rgb * 0), 0).mean() == pytest.approx(
        0.3, abs=0.03
    )
    sideways = np.broadcast_to(np.float32([1, 0, 0]), (120, 160, 3))
    assert not rooms.sensor_mask(replace(frame, normals=sideways), 0)[:, 80:].any()
    for factor in (0.1, 4.0):
        assert not rooms.sensor_mask(replace(frame, depth=frame.depth * factor), 0)[:, :40].any()


def test_the_mask_is_repeatable_and_leaves_most_of_a_frame(sample):
    shares = []
    for seed, frame in enumerate(sample):
        mask = rooms.sensor_mask(frame, seed)
        assert mask.shape == frame.depth.shape
        assert mask.dtype == bool
        assert np.array_equal(mask, rooms.sensor_mask(frame, seed))
        shares.append(mask.mean())
    assert min(shares) > 0.5
    assert 0.9 < np.mean(shares) < 0.99


# Splits and the cache ----------------------------------------------------------------------------


def test_splits_share_no_room():
    parts = [set(rooms.seeds(split, 3000)) for split in rooms.SPLITS]
    assert len(set.union(*parts)) == 9000
    ends = [rooms.seeds(split, rooms.SPLIT_SIZE) for split in rooms.SPLITS]
    assert all(a[-1] < b[0] for a, b in itertools.pairwise(ends))


def test_frames_come_as_tensors_that_agree_with_the_frame(cache):
    images, depth, valid = rooms.frames("test", 2, *SIZE, progress=False)
    assert (images.shape, images.dtype) == ((2, 3, 24, 32), torch.uint8)
    assert (depth.shape, depth.dtype) == ((2, 1, 24, 32), torch.float32)
    assert (valid.shape, valid.dtype) == ((2, 1, 24, 32), torch.bool)
    seed = rooms.seeds("test", 2)[1]
    frame = rooms.sample_frame(seed, *SIZE)
    assert np.abs(depth[1, 0].numpy() - frame.depth).max() <= rooms.DEPTH_STEP / 2 + 1e-6
    assert np.abs(images[1].numpy() / 255 - frame.rgb.transpose(2, 0, 1)).max() <= 0.5 / 255 + 1e-6
    assert np.array_equal(valid[1, 0].numpy(), rooms.sensor_mask(frame, seed))


def test_more_frames_keep_the_first_and_render_only_the_rest(cache, rendered):
    few = rooms.frames("train", 3, *SIZE, progress=False)
    many = rooms.frames("train", 10, *SIZE, progress=False)
    assert rendered == list(range(10))
    assert equal(few, [tensor[:3] for tensor in many])
    again = rooms.frames("train", 6, *SIZE, progress=False)
    assert rendered == list(range(10))
    assert equal(again, [tensor[:6] for tensor in many])
    names = sorted(path.name for path in cache.iterdir())
    assert names == ["train-000000.npz", "train-000004.npz", "train-000008.npz"]


def test_a_kill_half_way_loses_one_shard_at_most(cache, monkeypatch, rendered):
    counted = rooms._render_one

    def killed_at_six(job):
        if job[0] == 6:
            raise KeyboardInterrupt
        return counted(job)

    monkeypatch.setattr(rooms, "_render_one", killed_at_six)
    with pytest.raises(KeyboardInterrupt):
        rooms.frames("train", 8, *SIZE, progress=False)
    assert [path.name for path in cache.iterdir()] == ["train-000000.npz"]
    monkeypatch.setattr(rooms, "_render_one", counted)
    rooms.frames("train", 8, *SIZE, progress=False)
    assert rendered == [0, 1, 2, 3, 4, 5, 4, 5, 6, 7]


def test_a_kill_while_writing_leaves_no_broken_shard(cache, monkeypatch, rendered):
    whole = rooms.frames("train", 4, *SIZE, progress=False)

    def killed(file, **arrays):
        file.write(b"half of a shard")
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(np, "savez", killed)
        rooms.frames("train", 8, *SIZE, progress=False)
    assert [path.name for path in cache.iterdir()] == ["train-000000.npz"]
    assert equal(rooms.frames("train", 4, *SIZE, progress=False), whole)
    assert len(rendered) == 8


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows knows no such signal")
def test_what_a_killed_process_left_is_completed(cache, tmp_path, monkeypatch, rendered):
    program = (
        "from lessons_utils.scenes import rooms; rooms.SHARD = 4; "
        "rooms.frames('train', 60, 12, 16, progress=False)"
    )
    folder, deadline = cache.with_name(f"16x12-v{rooms.VERSION}"), time.monotonic() + 60
    with subprocess.Popen([sys.executable, "-c", program]) as process:
        while process.poll() is None and time.monotonic() < deadline:
            if len(list(folder.glob("*.npz"))) > 1:
                break
            time.sleep(0.01)
        process.kill()
    assert process.returncode == -signal.SIGKILL
    completed = rooms.frames("train", 60, 12, 16, progress=False)
    assert 0 < len(rendered) <= 52
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "another"))
    assert equal(completed, rooms.frames("train", 60, 12, 16, progress=False))


def test_unfinished_shards_are_removed_once_they_are_old(cache):
    cache.mkdir(parents=True)
    old, new = cache / "train-000000.npz.1.part", cache / "train-000000.npz.2.part"
    for path, age in ((old, 3700), (new, 3500)):
        path.write_bytes(b"half of a shard")
        os.utime(path, (time.time() - age,) * 2)
    rooms.frames("train", 1, *SIZE, progress=False)
    assert sorted(cache.glob("*.part")) == [new]


def test_a_longer_shard_that_another_process_wrote_meanwhile_is_kept(cache, monkeypatch, rendered):
    counted = rooms._render_one

    def meanwhile(job):
        monkeypatch.setattr(rooms, "_render_one", counted)
        rooms.frames("train", 4, *SIZE, progress=False)
        return counted(job)

    monkeypatch.setattr(rooms, "_render_one", meanwhile)
    few = rooms.frames("train", 2, *SIZE, progress=False)
    assert rendered == [0, 1, 2, 3, 0, 1]
    many = rooms.frames("train", 4, *SIZE, progress=False)
    assert len(rendered) == 6
    assert equal(few, [tensor[:2] for tensor in many])


def test_a_shard_that_cannot_be_replaced_is_given_all_the_same(cache, monkeypatch):
    """On Windows, while another process reads it."""
    rooms.frames("train", 1, *SIZE, progress=False)

    def refuse(self, target):
        raise PermissionError(errno.EACCES, "Access is denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", refuse)
        given = rooms.frames("train", 3, *SIZE, progress=False)
    assert [path.name for path in cache.iterdir()] == ["train-000000.npz"]
    assert equal(given, rooms.frames("train", 3, *SIZE, progress=False))


@pytest.mark.parametrize(
    ("number", "message"),
    [
        (errno.ENOSPC, "the disk is full.\nFree some space, or set LESSONS_CACHE"),
        (errno.EROFS, "Make the cache folder writable, or set LESSONS_CACHE"),
    ],
)
def test_a_cache_that_takes_no_shard_says_what_to_do(cache, monkeypatch, number, message):
    def fail(file, **arrays):
        raise OSError(number, os.strerror(number))

    monkeypatch.setattr(np, "savez", fail)
    with pytest.raises(OSError, match=re.escape(message)):
        rooms.frames("train", 1, *SIZE, progress=False)
    assert list(cache.iterdir()) == []


@pytest.mark.parametrize("damage", ["cut", "flipped", "empty", "foreign"])
def test_a_damaged_shard_is_rendered_again(cache, rendered, damage):
    whole = rooms.frames("validation", 4, *SIZE, progress=False)
    path = cache / "validation-000000.npz"
    content = bytearray(path.read_bytes())
    if damage == "cut":
        content = content[: len(content) // 2]
    elif damage == "flipped":
        content[len(content) // 2] ^= 0xFF
    else:
        content = bytearray() if damage == "empty" else bytearray(b"not an archive at all")
    path.write_bytes(content)
    assert equal(rooms.frames("validation", 4, *SIZE, progress=False), whole)
    assert len(rendered) == 8


def test_another_process_renders_the_same(cache, monkeypatch):
    here = rooms.frames("train", 3, *SIZE, progress=False)
    for path in cache.iterdir():
        path.unlink()
    monkeypatch.setattr(scenes_cache, "workers", lambda count, few: 1)
    assert equal(rooms.frames("train", 3, *SIZE, progress=False), here)


def test_no_process_outlives_an_error(cache, monkeypatch):
    def fail(self, path, shard):
        raise OSError("the disk is full")

    monkeypatch.setattr(scenes_cache, "workers", lambda count, few: 1)
    monkeypatch.setattr(scenes_cache.Store, "write", fail)
    with pytest.raises(OSError, match="the disk is full") as kept:  # and with it all its frames
        rooms.frames("train", 8, *SIZE, progress=False)
    assert kept.value.__traceback__ is not None
    assert multiprocessing.active_children() == []


def test_one_core_goes_on_where_processes_end_early(cache, monkeypatch, capsys):
    monkeypatch.setattr(scenes_cache, "workers", lambda count, few: 1)
    monkeypatch.setattr(scenes_cache, "end_with_parent", partial(os._exit, 1))
    images, _, _ = rooms.frames("train", 2, *SIZE, progress=False)
    assert len(images) == 2
    message = capsys.readouterr().err
    assert "one core goes on alone" in message
    assert message.count("\n") == 1


@pytest.mark.parametrize("by_affinity", [True, False])
def test_few_frames_need_no_other_process_and_many_few(monkeypatch, by_affinity):
    def let_cores_be(count):
        if by_affinity:
            monkeypatch.setattr(os, "sched_getaffinity", lambda pid: range(count), raising=False)
        else:
            monkeypatch.delattr(os, "sched_getaffinity", raising=False)
        monkeypatch.setattr(os, "cpu_count", lambda: 64 if by_affinity else count)

    let_cores_be(8)
    assert scenes_cache.workers(200, 200) == 0
    assert scenes_cache.workers(201, 200) == 2
    assert scenes_cache.workers(2000, 200) == scenes_cache.MOST_WORKERS == 4
    let_cores_be(2)
    assert scenes_cache.workers(2000, 200) == 2
    let_cores_be(1)
    assert scenes_cache.workers(2000, 200) == 0


def test_progress_is_shown_only_where_frames_are_rendered(cache, capsys):
    rooms.frames("train", 2, *SIZE)
    shown = capsys.readouterr()
    assert "rendering rooms" in shown.err
    assert shown.out == ""
    rooms.frames("train", 2, *SIZE)
    assert capsys.readouterr().err == ""


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("dev", 3), "No split 'dev' of rooms; use one of train, validation, test"),
        (("train", 0), "count must lie between 1 and 1,000,000, not 0"),
        (("train", 2_000_000), "not 2000000"),
        (("train", 3, 0, 160), "not 0 x 160"),
    ],
)
def test_impossible_sets_are_refused(cache, arguments, message):
    with pytest.raises(ValueError, match=message):
        rooms.frames(*arguments)
