"""Frames with depth: folders, NYU Depth v2, the stereo pair. No network but this machine's."""

import io
import json
import os
from pathlib import Path

import h5py
import numpy as np
import pytest
import scipy.io
import torch
from PIL import Image
from torch.nn import functional

from lessons_utils import __main__, datasets
from lessons_utils.datasets import nyu

DATA = Path(os.environ.get("LESSONS_DATA") or ".")
needs_nyu = pytest.mark.skipif(
    not (DATA / "nyuv2").is_dir(), reason="needs NYU Depth v2: set LESSONS_DATA"
)

HEIGHT, WIDTH = 60, 80
"""Of made-up frames; the white frame is one pixel wide here."""


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache folder, and no LESSONS_DATA unless a test sets it."""
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("LESSONS_DATA", raising=False)
    return tmp_path / "cache"


def picture(seed, height=HEIGHT, width=WIDTH):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def millimetres(seed, height=HEIGHT, width=WIDTH):
    return np.random.default_rng(seed).integers(500, 9000, (height, width)).astype(np.uint16)


def write_frame(folder, name, array, stored):
    for part, content in (("rgb", array), ("depth", stored)):
        (folder / part).mkdir(parents=True, exist_ok=True)
        Image.fromarray(content).save(folder / part / f"{name}.png")


def as_tensor(array):
    return torch.from_numpy(array.astype(np.float32))


# Folders


def test_folder_of_frames(tmp_path):
    for name in ("b", "a"):
        write_frame(tmp_path, name, picture(ord(name)), millimetres(ord(name)))
    (tmp_path / "rgb" / "notes.txt").write_text("no picture")
    images, depth, valid = datasets.rgbd_folder(tmp_path, depth_scale=1000)
    assert (images.shape, images.dtype) == ((2, 3, HEIGHT, WIDTH), torch.uint8)
    assert (depth.shape, depth.dtype) == ((2, 1, HEIGHT, WIDTH), torch.float32)
    assert (valid.shape, valid.dtype) == ((2, 1, HEIGHT, WIDTH), torch.bool)
    for index, name in enumerate("ab"):
        assert np.array_equal(images[index].permute(1, 2, 0), picture(ord(name)))
        assert torch.allclose(depth[index, 0], as_tensor(millimetres(ord(name))) / 1000)
    assert valid.all()


@pytest.mark.parametrize(("scale", "metres"), [(1000, 2.56), (5000, 0.512), (256, 10)])
def test_depth_scale(scale, metres, tmp_path):
    write_frame(tmp_path, "a", picture(0), np.full((HEIGHT, WIDTH), 2560, np.uint16))
    _, depth, _ = datasets.rgbd_folder(tmp_path, scale)
    assert depth.unique().tolist() == pytest.approx([metres])


def test_missing_depth_is_zero_and_not_valid(tmp_path):
    stored = millimetres(0)
    stored[3, 4], stored[5, 6] = 0, 65535
    write_frame(tmp_path, "a", picture(0), stored)
    _, depth, valid = datasets.rgbd_folder(tmp_path, 1000)
    assert (~valid).nonzero()[:, 2:].tolist() == [[3, 4], [5, 6]]
    assert depth[~valid].tolist() == [0, 0]


def test_gray_pictures_have_three_equal_channels(tmp_path):
    write_frame(tmp_path, "a", picture(0)[..., 0], millimetres(0))
    images, _, _ = datasets.rgbd_folder(tmp_path, 1000)
    for channel in images[0]:
        assert np.array_equal(channel, picture(0)[..., 0])


def test_folder_errors(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no folder .*rgb\. A folder of frames holds"):
        datasets.rgbd_folder(tmp_path, 1000)
    for part in ("rgb", "depth"):
        (tmp_path / part).mkdir()
    with pytest.raises(FileNotFoundError, match="rgb holds no picture"):
        datasets.rgbd_folder(tmp_path, 1000)
    write_frame(tmp_path, "a", picture(0), millimetres(0))
    for scale in (0, -1, float("nan")):
        with pytest.raises(ValueError, match="what is stored for one metre"):
            datasets.rgbd_folder(tmp_path, scale)
    Image.fromarray(picture(1)).save(tmp_path / "rgb" / "b.png")
    with pytest.raises(ValueError, match=r"2 pictures and depth/ 1 depth maps; 1 have .* as b\."):
        datasets.rgbd_folder(tmp_path, 1000)
    Image.fromarray(millimetres(1)).save(tmp_path / "depth" / "c.png")
    with pytest.raises(ValueError, match=r"2 have no partner of the same name, such as b, c\."):
        datasets.rgbd_folder(tmp_path, 1000)
    Image.fromarray(picture(1)).save(tmp_path / "rgb" / "b.jpg")
    with pytest.raises(ValueError, match="two files of one name"):
        datasets.rgbd_folder(tmp_path, 1000)


@pytest.mark.parametrize("part", ["rgb", "depth"])
def test_frames_of_different_sizes(part, tmp_path):
    write_frame(tmp_path, "a", picture(0), millimetres(0))
    write_frame(tmp_path, "b", picture(0), millimetres(0))
    small = picture(0, 30, 40) if part == "rgb" else millimetres(0, 30, 40)
    Image.fromarray(small).save(tmp_path / part / "b.png")
    expected = rf"{part}/b\.png is 30 x 40 .* is 60 x 80\. All frames need one size"
    with pytest.raises(ValueError, match=expected):
        datasets.rgbd_folder(tmp_path, 1000)


def test_files_that_are_no_depth_maps(tmp_path):
    write_frame(tmp_path, "a", picture(0), millimetres(0))
    Image.fromarray(picture(0)).save(tmp_path / "depth" / "a.png")
    with pytest.raises(ValueError, match="16-bit gray was expected, the file is RGB"):
        datasets.rgbd_folder(tmp_path, 1000)
    (tmp_path / "depth" / "a.png").write_text("no picture")
    with pytest.raises(ValueError, match="cannot be read as a depth map"):
        datasets.rgbd_folder(tmp_path, 1000)


# Halves


def test_halve_averages_pictures_and_picks_depth():
    images = torch.tensor([[0, 0, 10, 11], [0, 1, 12, 13]], dtype=torch.uint8)
    images = images.expand(1, 3, 2, 4)
    depth = torch.tensor([[1.0, 2, 3, 4], [5, 6, 7, 8]])[None, None]
    halved, taken, usable = datasets.halve_frames(images, depth, depth < 8)
    assert halved[0, 0].tolist() == [[0, 12]]  # 0.25 and 11.5, rounded
    assert halved.dtype == torch.uint8
    assert taken.tolist() == [[[[6, 8]]]]
    assert usable.tolist() == [[[[True, False]]]]


def test_halve_drops_an_odd_row_and_column():
    frames = (
        torch.zeros(2, 3, 5, 7, dtype=torch.uint8),
        torch.ones(2, 1, 5, 7),
        torch.ones(2, 1, 5, 7),
    )
    assert [part.shape[-2:] for part in datasets.halve_frames(*frames)] == [(2, 3)] * 3


def test_intrinsics_of_halves_agree_with_the_pixels():
    """A ramp of x, halved by averaging, still says where each pixel looks."""
    full = datasets.NYU_INTRINSICS
    half = datasets.scale_intrinsics(full, 0.5)
    x = torch.arange(640.0)
    direction = functional.avg_pool1d(((x - full[0, 2]) / full[0, 0])[None], 2)[0]
    expected = (torch.arange(320.0) - half[0, 2]) / half[0, 0]
    assert torch.allclose(direction, expected, atol=1e-6)
    assert half[1].tolist() == pytest.approx([0, 519.47 / 2, 254.24 / 2 - 0.5])
    assert half[2].tolist() == [0, 0, 1]
    quarter = datasets.scale_intrinsics(full, 0.25)
    assert torch.allclose(quarter, datasets.scale_intrinsics(half, 0.5))


# NYU Depth v2: a made-up one of three frames


@pytest.fixture
def three_frames(monkeypatch):
    monkeypatch.setattr(nyu, "FRAMES", {"train": 2, "test": 1})


def write_official(folder, frames=3):
    """The two files, as MATLAB writes them: numbers from 1, axes reversed; frame 0 is the test."""
    folder.mkdir(parents=True, exist_ok=True)
    filled = np.stack([millimetres(seed) for seed in range(frames)]) / np.float32(1000)
    raw = filled.copy()
    raw[:, 10:20, 30:50] = 0
    with h5py.File(folder / nyu.MAT, "w") as file:
        pictures = np.stack([picture(seed) for seed in range(frames)])
        file["images"] = pictures.transpose(0, 3, 2, 1)
        file["depths"] = filled.transpose(0, 2, 1)
        file["rawDepths"] = raw.transpose(0, 2, 1)
    numbers = {"trainNdxs": np.array([[2], [3]]), "testNdxs": np.array([[1]])}
    scipy.io.savemat(folder / nyu.SPLITS, numbers)
    return filled, raw


def write_folder(folder):
    for number in range(3):
        write_frame(folder, f"{number:04d}", picture(number), millimetres(number))
    (folder / "splits.json").write_text(json.dumps({"train": [1, 2], "test": [0]}))


@pytest.mark.parametrize("by", ["folder", "file"])
def test_official_file(by, three_frames, tmp_path):
    filled, raw = write_official(tmp_path)
    place = tmp_path if by == "folder" else tmp_path / nyu.MAT
    images, depth, valid = datasets.nyu_depth("test", place)
    assert np.array_equal(images[0].permute(1, 2, 0), picture(0))
    assert torch.equal(depth[:, 0], torch.from_numpy(filled[:1]))
    assert (images.shape, depth.shape) == ((1, 3, HEIGHT, WIDTH), (1, 1, HEIGHT, WIDTH))
    images, depth, valid = datasets.nyu_depth("train", place)
    assert np.array_equal(images[1].permute(1, 2, 0), picture(2))
    assert torch.equal(depth[:, 0], torch.from_numpy(raw[1:]))
    assert (images.dtype, depth.dtype, valid.dtype) == (torch.uint8, torch.float32, torch.bool)
    inside = torch.zeros(HEIGHT, WIDTH, dtype=torch.bool)
    inside[1:-1, 1:-1] = True
    inside[10:20, 30:50] = False  # the sensor measured nothing
    assert torch.equal(valid, inside.expand_as(valid))


def test_folder_of_small_frames(three_frames, tmp_path):
    write_folder(tmp_path)
    images, depth, valid = datasets.nyu_depth("train", str(tmp_path))
    assert np.array_equal(images[1].permute(1, 2, 0), picture(2))
    assert torch.allclose(depth[0, 0], as_tensor(millimetres(1)) / 1000)
    assert valid[:, :, 1:-1, 1:-1].all()
    assert int(valid.sum()) == 2 * (HEIGHT - 2) * (WIDTH - 2)


@pytest.mark.parametrize(("size", "margin"), [((480, 640), 8), ((240, 320), 4), ((120, 160), 2)])
def test_width_of_the_white_frame(size, margin):
    inside = nyu._inside_the_white_frame(*size)
    assert int(inside.sum()) == (size[0] - 2 * margin) * (size[1] - 2 * margin)
    assert inside[margin, margin]
    assert not inside[margin - 1].any()


def test_where_the_set_is_looked_for(three_frames, cache, monkeypatch, tmp_path):
    assert not datasets.is_present("nyu-depth-v2")
    with pytest.raises(FileNotFoundError, match=r"3\.0 GB.*fetch nyu-depth-v2.*LESSONS_DATA"):
        datasets.nyu_depth("test")
    write_official(cache / "nyu-depth-v2")
    assert datasets.is_present("nyu-depth-v2")
    assert len(datasets.nyu_depth("train")[0]) == 2
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path / "data"))
    write_folder(tmp_path / "data" / "nyuv2")
    assert datasets.fetch("nyu-depth-v2") == tmp_path / "data" / "nyuv2"
    assert datasets.nyu_depth("test")[0].shape[0] == 1


def test_nyu_errors(three_frames, tmp_path):
    with pytest.raises(ValueError, match="'train' or 'test'; got 'validation'"):
        datasets.nyu_depth("validation", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"holds neither .*mat nor folders rgb"):
        datasets.nyu_depth("test", tmp_path)
    with pytest.raises(FileNotFoundError, match="neither"):
        datasets.nyu_depth("test", tmp_path / "nowhere")
    write_official(tmp_path)
    (tmp_path / nyu.SPLITS).unlink()
    with pytest.raises(FileNotFoundError, match=r"no .*splits\.mat; it belongs beside nyu"):
        datasets.nyu_depth("test", tmp_path)
    whole = (tmp_path / nyu.MAT).read_bytes()
    for content in (b"<html>", whole[: len(whole) // 2]):
        (tmp_path / nyu.MAT).write_bytes(content)
        with pytest.raises(ValueError, match="cannot be read as NYU's official file"):
            datasets.nyu_depth("test", tmp_path)


def test_a_part_of_the_official_file_is_refused(three_frames, tmp_path):
    write_official(tmp_path, frames=2)
    expected = "chooses 1 of 2 frames for train; the official split chooses 2 of 3"
    with pytest.raises(ValueError, match=expected):
        datasets.nyu_depth("train", tmp_path)


def test_a_folder_may_hold_any_part_of_the_set(tmp_path):
    write_folder(tmp_path)
    write_frame(tmp_path, "0003", picture(3), millimetres(3))
    (tmp_path / "splits.json").write_text(json.dumps({"test": [3, 0]}))
    images, _, _ = datasets.nyu_depth("test", tmp_path)
    assert np.array_equal(images[0].permute(1, 2, 0), picture(3)) and len(images) == 2
    (tmp_path / "splits.json").unlink()
    assert len(datasets.nyu_depth("test", tmp_path)[0]) == 4
    with pytest.raises(FileNotFoundError, match="no training part"):
        datasets.nyu_depth("train", tmp_path)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ('{"test": [1, 1]}', "different numbers from 0 to 2 under 'test'"),
        ('{"test": [3]}', "different numbers from 0 to 2"),
        ('{"test": []}', "it lists 0"),
        ('{"train": [0]}', "must hold lists"),
        ("[0, 1]", "must hold lists"),
        ("{", "must hold lists"),
    ],
)
def test_a_wrong_split_list_is_named(tmp_path, content, words):
    write_folder(tmp_path)
    (tmp_path / "splits.json").write_text(content)
    with pytest.raises(ValueError, match=words):
        datasets.nyu_depth("test", tmp_path)


# Fetching it


@pytest.fixture
def site(three_frames, server, monkeypatch, tmp_path):
    """The two files on `server`."""
    write_official(tmp_path / "site")
    for name, source in nyu.SOURCES.items():
        server.files[name] = (tmp_path / "site" / name).read_bytes()
        here = datasets.Source(server.url(name), source.origin, source.megabytes)
        monkeypatch.setitem(nyu.SOURCES, name, here)
    return server


def contents(cache):
    return sorted(path.name for path in cache.iterdir())


def test_fetch_once(site, cache, capsys):
    assert __main__.main(["fetch", "nyu-depth-v2"]) == 0
    output = capsys.readouterr().out
    assert f"about 2972 MB from {site.url(nyu.MAT)}" in output
    assert "first download is trusted" in output
    assert contents(cache) == ["nyu-depth-v2", "nyu-depth-v2.json"]
    assert contents(cache / "nyu-depth-v2") == [nyu.MAT, nyu.SPLITS]
    assert len(datasets.nyu_depth("train")[0]) == 2
    assert datasets.fetch("nyu-depth-v2") == cache / "nyu-depth-v2"
    assert site.requests == [nyu.SPLITS, nyu.MAT]


@pytest.mark.parametrize("knows_ranges", [True, False])
def test_a_download_cut_short_goes_on(knows_ranges, site, cache):
    site.knows_ranges = knows_ranges
    whole = site.files[nyu.MAT]
    site.files[nyu.MAT], site.promised[nyu.MAT] = whole[:100_000], len(whole)
    with pytest.raises(datasets.DownloadError, match=r"cut short, after 65,536(.|\n)*go on from"):
        datasets.fetch("nyu-depth-v2")
    assert contents(cache) == [".nyu-depth-v2-unfinished"]
    assert not datasets.is_present("nyu-depth-v2")
    site.files[nyu.MAT] = whole
    site.promised.clear()
    site.requests.clear()
    assert (datasets.fetch("nyu-depth-v2") / nyu.MAT).read_bytes() == whole
    splits_size = len(site.files[nyu.SPLITS])
    expected = [f"{nyu.SPLITS} bytes={splits_size}-", f"{nyu.MAT} bytes=65536-"]
    assert site.requests == (expected if knows_ranges else [nyu.SPLITS, nyu.MAT])


def test_no_answer(site, cache):
    del site.files[nyu.MAT]
    with pytest.raises(datasets.DownloadError, match=r"answers 404(.|\n)*nyuv2 of LESSONS_DATA"):
        datasets.fetch("nyu-depth-v2")
    assert not datasets.is_present("nyu-depth-v2")


def other_split():
    stream = io.BytesIO()
    scipy.io.savemat(stream, {"trainNdxs": [[1]], "testNdxs": [[2]]})
    return stream.getvalue()


@pytest.mark.parametrize(
    ("name", "content"),
    [
        (nyu.MAT, b"<html>"),
        (nyu.SPLITS, b"<html>"),
        (nyu.SPLITS, b"<html>" * 99),
        (nyu.SPLITS, other_split()),
    ],
    ids=["page", "page-for-split", "long-page-for-split", "other-split"],
)
def test_what_is_not_the_set_is_deleted(name, content, site, cache):
    whole, site.files[name] = site.files[name], content
    with pytest.raises(datasets.DownloadError, match="is not nyu-depth-v2, and was deleted"):
        datasets.fetch("nyu-depth-v2")
    assert contents(cache) == []
    site.files[name] = whole
    datasets.fetch("nyu-depth-v2")


def test_later_downloads_agree_with_the_first(site, cache, tmp_path):
    datasets.fetch("nyu-depth-v2")
    (cache / "nyu-depth-v2").rename(tmp_path / "first")
    with h5py.File(tmp_path / "site" / nyu.MAT, "a") as file:
        file["depths"][0, 0, 0] = 1
    site.files[nyu.MAT] = (tmp_path / "site" / nyu.MAT).read_bytes()
    with pytest.raises(datasets.DownloadError, match="those of the first download"):
        datasets.fetch("nyu-depth-v2")
    assert contents(cache) == ["nyu-depth-v2.json"]


def test_fetching_all_leaves_large_sets_out(monkeypatch):
    fetched = []
    monkeypatch.setattr(datasets, "fetch", fetched.append)
    assert __main__.main(["fetch"]) == 0
    assert fetched == list(datasets.SETS)
    assert {"cifar10", "nyu-depth-v2"} <= set(datasets.fetchable()) - set(fetched)


# The stereo pair


def test_motorcycle():
    pair = datasets.stereo_motorcycle()
    assert pair.left.shape == pair.right.shape == (1, 3, 500, 741)
    assert pair.disparity.shape == pair.valid.shape == pair.depth.shape == (1, 1, 500, 741)
    assert 0 <= pair.left.min() < pair.left.max() <= 1
    assert pair.disparity.isfinite().all()
    assert 0.8 < pair.valid.float().mean() < 1
    depth = pair.depth
    assert 2.0 < depth[pair.valid].min() < 2.2
    assert 4.9 < depth[pair.valid].max() < 5.1
    assert not depth[~pair.valid].any()
    nearest = pair.disparity.argmax()
    d = float(pair.disparity.flatten()[nearest])
    assert float(depth.flatten()[nearest]) == pytest.approx(994.978 * 0.193001 / (d + 31.086))


def test_motorcycle_disparity_is_of_the_left_picture():
    """Of the three ways to read it, only one lays the pictures on each other."""
    pair = datasets.stereo_motorcycle()
    error = {
        "left to right": warp_error(pair.left, pair.right, pair, -1),
        "wrong sign": warp_error(pair.left, pair.right, pair, +1),
        "of the right picture": warp_error(pair.right, pair.left, pair, +1),
    }
    assert error["left to right"] < 9
    assert error["wrong sign"] > 30
    assert error["of the right picture"] > 14


def warp_error(here, there, pair, sign):
    """Mean difference, of 255, between each pixel here and that found there by the disparity."""
    rows, columns = torch.meshgrid(torch.arange(500), torch.arange(741), indexing="ij")
    source = (columns + sign * pair.disparity[0, 0]).round().long()
    inside = pair.valid[0, 0] & (source >= 0) & (source < 741)
    found = there[0][:, rows, source.clamp(0, 740)]
    return float((found - here[0]).abs()[:, inside].mean() * 255)


# The real set


@pytest.fixture(scope="module")
def real():
    return {split: datasets.nyu_depth(split, DATA / "nyuv2") for split in ("train", "test")}


@needs_nyu
def test_nyu_is_whole(real):
    for split, count in (("train", 795), ("test", 654)):
        images, depth, valid = real[split]
        assert images.shape == (count, 3, 240, 320)
        assert depth.shape == valid.shape == (count, 1, 240, 320)
        assert 0.7 < depth.min() < depth.max() < 10.1
        assert valid[:, :, 4:-4, 4:-4].all()
        assert int(valid[0].sum()) == 232 * 312
    names = [json.loads((DATA / "nyuv2" / "splits.json").read_text())[part] for part in real]
    assert sorted(names[0] + names[1]) == list(range(1449))


@needs_nyu
def test_nyu_has_a_white_frame(real):
    images = real["test"][0][::50].float()
    assert images[..., :2, :].mean() > 250
    assert images[..., :2].mean() > 250
    assert images[..., 4:-4, 4:-4].mean() < 150


@needs_nyu
def test_mean_depth_image_scores_as_published(real):
    """Our own recomputation at full size gave .402 and .425; the paper prints .408 and .430."""
    mean = real["train"][1].mean(0, keepdim=True)
    _, depth, valid = real["test"]
    crop = (..., slice(23, 236), slice(21, 301))  # rows 45:471, columns 41:601 of 480 x 640
    assert valid[crop].all()
    truth, guess = depth[crop], mean[crop]
    relative = ((guess - truth).abs() / truth).mean()
    log_error = (guess.log() - truth.log()).square().mean().sqrt()
    assert float(relative) == pytest.approx(0.402, rel=0.03)
    assert float(log_error) == pytest.approx(0.425, rel=0.03)
