"""Frames of a moving camera and its intrinsics, from a folder."""

import json
import os

import pytest
import torch
from PIL import Image

from lessons_utils import datasets

K = [[100.0, 0, 20.5], [0, 90.0, 9.5], [0, 0, 1]]


@pytest.fixture
def folder(tmp_path):
    for number, gray in enumerate((0, 51, 255)):
        Image.new("RGB", (43, 21), (gray, 0, 0)).save(tmp_path / f"{number:04}.png")
    (tmp_path / "intrinsics.json").write_text(json.dumps({"K": K, "fps": 10}))
    return tmp_path


def test_frames_come_in_the_order_of_time(folder):
    images, intrinsics = datasets.drive_folder(folder)
    assert images.shape == (3, 3, 21, 43)
    assert images[:, 0, 0, 0].tolist() == pytest.approx([0, 0.2, 1])
    assert intrinsics.tolist() == K


def test_shrunken_frames_have_shrunken_intrinsics(folder):
    images, intrinsics = datasets.drive_folder(folder, shrink=2)
    assert images.shape == (3, 3, 10, 21)  # the odd row and column are cut off
    assert intrinsics.tolist() == [[50, 0, 10], [0, 45, 4.5], [0, 0, 1]]


def test_what_is_no_drive_is_refused(folder):
    with pytest.raises(ValueError, match="1 or more; got 0"):
        datasets.drive_folder(folder, shrink=0)
    with pytest.raises(ValueError, match="Nothing is left of 21 x 43"):
        datasets.drive_folder(folder, shrink=22)
    Image.new("RGB", (40, 21)).save(folder / "0003.png")
    with pytest.raises(ValueError, match=r"of one size.*0003.png is \(3, 21, 40\)"):
        datasets.drive_folder(folder)
    Image.new("L", (43, 21)).save(folder / "0000.png")
    with pytest.raises(ValueError, match=r"colour pictures.*0000.png is \(1, 21, 43\)"):
        datasets.drive_folder(folder)
    for file in folder.glob("*.png"):
        file.unlink()
    with pytest.raises(FileNotFoundError, match="holds no picture"):
        datasets.drive_folder(folder)


@pytest.mark.parametrize(
    "text", ["", "[]", "{}", '{"K": [[1, 2], [3]]}', '{"K": 1}', '{"K": [[1,0,0],[0,1,0],[1,1,1]]}']
)
def test_intrinsics_that_are_none_are_refused(folder, text):
    (folder / "intrinsics.json").write_text(text)
    with pytest.raises(ValueError, match=r'Expected \{"K"'):
        datasets.drive_folder(folder)


def test_missing_intrinsics_are_named(folder):
    (folder / "intrinsics.json").unlink()
    with pytest.raises(FileNotFoundError, match=r'no .*intrinsics.json. Expected \{"K"'):
        datasets.drive_folder(folder)


def test_without_the_real_drive_it_says_where_it_would_lie(monkeypatch, tmp_path):
    for value in (None, str(tmp_path)):
        monkeypatch.delenv("LESSONS_DATA", raising=False)
        if value:
            monkeypatch.setenv("LESSONS_DATA", value)
        with pytest.raises(FileNotFoundError, match=r"sequences/kitti_drive.*drive_folder"):
            datasets.kitti_drive()


def test_the_real_drive():
    if "LESSONS_DATA" not in os.environ:
        pytest.skip("LESSONS_DATA is not set")
    try:
        images, intrinsics = datasets.kitti_drive()
    except FileNotFoundError as error:
        pytest.skip(str(error))
    assert images.shape == (78, 3, 96, 320) and images.dtype == torch.float32
    assert images.min() >= 0 and images.max() <= 1
    # About the middle, and as wide an angle as KITTI's camera.
    assert intrinsics[0, 0] == pytest.approx(185.9, abs=0.1)
    assert intrinsics[0, 2] == pytest.approx(156.7, abs=0.1)
