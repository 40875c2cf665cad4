"""Small images to classify: the part of Fashion-MNIST that ships, binary files, downloads."""

import gzip
import struct

import numpy as np
import pytest
import torch

from lessons_utils import datasets, runtime
from lessons_utils.datasets import binary_files


def idx(array):
    """An array as the content of an IDX file."""
    sizes = b"".join(struct.pack(">I", size) for size in array.shape)
    return gzip.compress(b"\0\0\x08" + bytes([array.ndim]) + sizes + array.tobytes(), mtime=0)


# Fashion-MNIST


@pytest.mark.parametrize(
    ("split", "classes", "each"), [("train", 8, 375), ("test", 8, 125), ("held-out", 2, 200)]
)
def test_clothes(split, classes, each):
    found = datasets.fashion_mnist(split)
    assert found.images.shape == (classes * each, 1, 32, 32)
    assert found.images.dtype == torch.uint8
    assert found.labels.bincount().tolist() == [each] * classes
    assert len(found.classes) == classes
    assert set(found.classes) <= set(datasets.CLOTHES)
    # Nothing but the border of 2 pixels is padding: some picture reaches each side.
    lit = found.images.amax(dim=(0, 1)) > 0
    assert not lit[:2].any() and not lit[-2:].any()
    assert not lit[:, :2].any() and not lit[:, -2:].any()
    assert lit[2].any() and lit[-3].any() and lit[:, 2].any() and lit[:, -3].any()
    assert len({image.numpy().tobytes() for image in found.images}) == len(found)


def test_clothes_look_like_their_class():
    """The mean picture of a class is nearest to that of the same class in the other split."""
    means = []
    for split in ("train", "test"):
        found = datasets.fashion_mnist(split)
        pixels = found.images.double().flatten(1)
        means.append(torch.stack([pixels[found.labels == k].mean(0) for k in range(8)]))
    assert torch.cdist(*means).argmin(dim=1).tolist() == list(range(8))


def test_splits_share_no_picture():
    pictures = [
        {image.numpy().tobytes() for image in datasets.fashion_mnist(split).images}
        for split in ("train", "test", "held-out")
    ]
    assert len(set.union(*pictures)) == sum(map(len, pictures)) == 4400


def test_wrong_split_lists_the_right_ones():
    with pytest.raises(ValueError, match="train, test, held-out"):
        datasets.fashion_mnist("validation")


def test_clothes_carry_their_licence():
    words = runtime.data_path("fashion_mnist/LICENSE").read_text(encoding="utf-8")
    assert "Copyright (c) 2017 Zalando SE" in words
    assert "this permission notice shall be included" in " ".join(words.split())


def test_subset_is_written_from_the_original_files(tmp_path, monkeypatch):
    """Of each class the first, in turn."""
    generator = np.random.default_rng(0)
    originals = {}
    for part, each in (("train", 400), ("t10k", 210)):
        labels = generator.permutation(np.repeat(np.arange(10, dtype=np.uint8), each))
        images = generator.integers(0, 256, (len(labels), 28, 28), np.uint8)
        originals[part] = images, labels
        (tmp_path / f"{part}-images-idx3-ubyte.gz").write_bytes(idx(images))
        (tmp_path / f"{part}-labels-idx1-ubyte.gz").write_bytes(idx(labels))
    (tmp_path / "data").mkdir()
    monkeypatch.setattr(runtime, "data_path", lambda name="": tmp_path / "data" / name)
    assert datasets.write_fashion_mnist(tmp_path) == tmp_path / "data" / "fashion_mnist"
    images, labels = originals["t10k"]
    found = datasets.fashion_mnist("held-out").images[:, 0, 2:-2, 2:-2].numpy()
    assert np.array_equal(found[0::2], images[labels == 5][:200])
    assert np.array_equal(found[1::2], images[labels == 8][:200])
    images, labels = originals["train"]
    found = datasets.fashion_mnist("train")
    fourth = found.images[found.labels == 4][:, 0, 2:-2, 2:-2].numpy()
    assert found.classes[4] == datasets.CLOTHES[4] == "coat"
    assert np.array_equal(fourth, images[labels == 4][:375])


# Binary files


def test_idx(tmp_path):
    array = np.arange(24, dtype=np.uint8).reshape(2, 3, 4)
    (tmp_path / "a.gz").write_bytes(idx(array))
    assert np.array_equal(binary_files.read_idx(tmp_path / "a.gz"), array)


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"<html>", "gzip"),
        (b"", "IDX"),
        (idx(np.zeros(2000, np.uint8))[:-9], "gzip"),
        (gzip.compress(b"\0\0\x0d\x01" + bytes(8)), "IDX"),
        (gzip.compress(b"\0\0\x08\x03" + bytes(8)), "IDX"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x05" + bytes(4)), "expected 5 values"),
        (gzip.compress(b"\0\0\x08\x01\0\0\0\x05" + bytes(6)), "expected 5 values"),
    ],
    ids=["page", "empty", "cut", "type", "sizes", "short", "long"],
)
def test_damaged_idx(tmp_path, content, words):
    (tmp_path / "a.gz").write_bytes(content)
    with pytest.raises(ValueError, match=words):
        binary_files.read_idx(tmp_path / "a.gz")


@pytest.mark.parametrize("labels", [1, 2])
def test_cifar_file(tmp_path, labels):
    images = np.random.default_rng(0).integers(0, 256, (3, 3, 32, 32), np.uint8)
    rows = [bytes([9, 7 + i][2 - labels :]) + image.tobytes() for i, image in enumerate(images)]
    (tmp_path / "a.bin").write_bytes(b"".join(rows))
    found, classes = binary_files.read_cifar(tmp_path / "a.bin", labels)
    assert np.array_equal(found, images)
    assert classes.tolist() == [7, 8, 9]
    (tmp_path / "a.bin").write_bytes(b"".join(rows)[:-1])
    with pytest.raises(ValueError, match="multiple of"):
        binary_files.read_cifar(tmp_path / "a.bin", labels)
