"""Sets of small images in one file: reading, and what happens with files that are none."""

import hashlib
import os

import numpy as np
import pytest
import torch

from lessons_utils import datasets

DATA = os.environ.get("LESSONS_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="LESSONS_DATA is not set")


def pack(images):
    """The inverse of what `read_archive` does; (N, 3, H, W) uint8, arithmetic modulo 256."""
    packed = images.copy()
    packed[:, 0] -= images[:, 1]
    packed[:, 2] -= images[:, 1]
    packed[..., 1:] -= packed[..., :-1].copy()
    packed[..., 1:, :] -= packed[..., :-1, :].copy()
    return packed


def some_images(count=5):
    return np.random.default_rng(0).integers(0, 256, (count, 3, 6, 7), np.uint8)


def test_unpacks_exactly(tmp_path):
    images = some_images()
    np.savez_compressed(tmp_path / "a.npz", r=pack(images))
    found = datasets.read_archive(tmp_path / "a.npz")
    assert len(found) == 5 and found.images.dtype == torch.uint8
    assert torch.equal(found.images, torch.from_numpy(images))
    assert found.labels is None and found.classes is None


def test_a_pixel_by_hand(tmp_path):
    packed = np.array([[[[5]], [[250]], [[7]]]], np.uint8)  # red - green, green, blue - green
    np.savez(tmp_path / "a.npz", r=packed)
    assert datasets.read_archive(tmp_path / "a.npz").images.flatten().tolist() == [255, 250, 1]


def test_labels_and_the_first_few(tmp_path):
    labels = np.array([0, 1, 1, 0, 1], np.uint8)
    np.savez(tmp_path / "a.npz", r=pack(some_images()), y=labels, classes=np.array(["cat", "dog"]))
    found = datasets.read_archive(str(tmp_path / "a.npz"), count=3)
    assert torch.equal(found.images, torch.from_numpy(some_images()[:3]))
    assert found.labels.tolist() == [0, 1, 1] and found.labels.dtype == torch.int64
    assert found.classes == ("cat", "dog")


@pytest.mark.parametrize(
    ("arrays", "words"),
    [
        ({"x": np.zeros((2, 3, 4, 4), np.uint8)}, "no array `r`"),
        ({"r": np.zeros((2, 4, 4, 3), np.uint8)}, r"uint8 \(N, 3, H, W\)"),
        ({"r": np.zeros((2, 3, 4, 4))}, "float64"),
        ({"r": np.zeros((0, 3, 4, 4), np.uint8)}, r"\(0, 3, 4, 4\)"),
        ({"r": np.zeros((2, 3, 4, 4), np.uint8), "y": np.zeros(3, int)}, "2 whole numbers"),
        ({"r": np.zeros((2, 3, 4, 4), np.uint8), "y": np.zeros(2)}, "2 whole numbers"),
        (
            {"r": np.zeros((1, 3, 4, 4), np.uint8), "y": np.ones(1, int), "classes": np.array("a")},
            "1 classes",
        ),
        ({"r": np.array([{"code": 1}], object)}, "cannot be read"),
    ],
)
def test_other_archives_are_refused(tmp_path, arrays, words):
    arrays = {name: np.atleast_1d(array) for name, array in arrays.items()}
    np.savez(tmp_path / "a.npz", **arrays)
    with pytest.raises(ValueError, match=words):
        datasets.read_archive(tmp_path / "a.npz")


def test_damaged_files_are_named(tmp_path):
    whole = tmp_path / "whole.npz"
    np.savez_compressed(whole, r=pack(some_images(50)))
    content = whole.read_bytes()
    middle = len(content) // 2
    damaged = {
        "cut": content[:middle],
        "changed": content[:middle] + bytes(64) + content[middle + 64 :],
        "text": b"no archive",
        "empty": b"",
    }
    for name, changed in damaged.items():
        path = tmp_path / f"{name}.npz"
        path.write_bytes(changed)
        with pytest.raises(ValueError, match=rf"{name}\.npz cannot be read"):
            datasets.read_archive(path)
    np.save(tmp_path / "single.npy", some_images())
    with pytest.raises(ValueError, match="cannot be read"):
        datasets.read_archive(tmp_path / "single.npy")


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="nowhere"):
        datasets.read_archive(tmp_path / "nowhere.npz")


@pytest.mark.parametrize("labelled", [False, True])
def test_what_is_written_is_read(tmp_path, labelled):
    content = datasets.LabelledImages(
        torch.from_numpy(some_images()),
        torch.tensor([0, 1, 1, 0, 1]) if labelled else None,
        ("cat", "dog") if labelled else None,
    )
    datasets.write_archive(tmp_path / "a.npz", content)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as arrays:
        assert np.array_equal(arrays["r"], pack(some_images()))
    found = datasets.read_archive(tmp_path / "a.npz")
    assert torch.equal(found.images, content.images)
    assert found.classes == content.classes
    assert torch.equal(found.labels, content.labels) if labelled else found.labels is None


def test_a_hash_for_any_order():
    images, labels = torch.from_numpy(some_images()), torch.tensor([0, 1, 1, 0, 1])

    def found(images, labels):
        return datasets.labelled_sha256(datasets.LabelledImages(images, labels, None))

    rows = [
        bytes([label]) + image.tobytes()
        for image, label in zip(images.numpy(), [0, 1, 1, 0, 1], strict=True)
    ]
    digests = sorted(hashlib.sha256(row).hexdigest() for row in rows)
    expected = hashlib.sha256(bytes.fromhex("".join(digests))).hexdigest()
    order = torch.tensor([3, 1, 4, 0, 2])
    assert found(images, labels) == found(images[order], labels[order]) == expected
    assert found(images, labels.flip(0)) != expected
    other = images.clone()
    other[0, 0, 0, 0] ^= 1
    assert found(other, labels) != expected
    with pytest.raises(ValueError, match="no labels"):
        found(images, None)


@pytest.mark.parametrize("count", [0, -1, 6])
def test_a_wrong_count_is_refused(tmp_path, count):
    np.savez(tmp_path / "a.npz", r=pack(some_images()))
    with pytest.raises(ValueError, match="holds 5 images"):
        datasets.read_archive(tmp_path / "a.npz", count)


def test_noise():
    gaussian, uniform = (
        datasets.noise_images(kind, 20, size=16).double() / 255 for kind in ("gaussian", "uniform")
    )
    assert gaussian.shape == (20, 3, 16, 16)
    # A normal variable of mean 0.5 and deviation 1 leaves [0, 1] at each end with chance 0.3085.
    assert (gaussian == 0).double().mean() == pytest.approx(0.3085, abs=0.02)
    assert (gaussian == 1).double().mean() == pytest.approx(0.3085, abs=0.02)
    assert uniform.mean() == pytest.approx(0.5, abs=0.01)
    assert uniform.std() == pytest.approx(12**-0.5, abs=0.01)
    again = datasets.noise_images("uniform", 20, size=16)
    assert torch.equal(again.double() / 255, uniform)
    assert not torch.equal(again, datasets.noise_images("uniform", 20, size=16, seed=1))
    with pytest.raises(ValueError, match="gaussian and uniform"):
        datasets.noise_images("pink", 1)


@needs_data
def test_the_sets_of_the_data_folder():
    test = datasets.image_set("cifar10-test", 500)
    assert test.images.shape == (500, 3, 32, 32)
    assert test.classes[3] == "cat"
    assert 30 < test.labels.bincount(minlength=10).min() <= test.labels.bincount().max() < 75
    assert (test.images.double().mean() / 255).item() == pytest.approx(0.473, abs=0.02)
    assert datasets.image_set("tinyimagenet-crop", 10).labels is None
    assert datasets.image_set("cats-and-dogs", 2).images.shape == (2, 3, 64, 64)
