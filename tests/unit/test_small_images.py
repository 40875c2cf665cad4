"""Small images to classify: the part of Fashion-MNIST that ships, binary files, downloads."""

import errno
import gzip
import hashlib
import io
import json
import os
import re
import socket
import struct
import tarfile
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from lessons_utils import __main__, datasets, runtime
from lessons_utils.datasets import binary_files, small_images

needs_data = pytest.mark.skipif(
    not os.environ.get("LESSONS_DATA"), reason="needs CIFAR-10: set LESSONS_DATA"
)
DATA = os.environ.get("LESSONS_DATA", "")


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache folder, and no LESSONS_DATA unless a test sets it."""
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("LESSONS_DATA", raising=False)
    return tmp_path / "cache" / "small_images"


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


# What can be downloaded


def test_all_sets_but_one_can_be_downloaded():
    offered = [name for entry in small_images.COLLECTIONS.values() for name in entry.images]
    assert sorted([*offered, "cats-and-dogs"]) == sorted(datasets.IMAGE_SETS)
    for name, entry in small_images.COLLECTIONS.items():
        assert name in datasets.fetchable()
        assert entry.description and min(entry.images.values()) >= 8925
        for file in entry.files:
            assert re.fullmatch(r"sha256:[0-9a-f]{64}|md5:[0-9a-f]{32}", file.hash)
            for source in file.sources:
                assert source.url.startswith("https://") and file.name in source.url
                assert source.origin and source.megabytes > 0


def images_of(seed, count):
    return np.random.default_rng(seed).integers(0, 256, (count, 3, 32, 32), np.uint8)


def tar_of(members):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return stream.getvalue()


def png(array):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, "PNG")
    return stream.getvalue()


TRAIN, TEST = images_of(0, 10), images_of(1, 4)
TRAIN_LABELS, TEST_LABELS = np.arange(10) % 3, np.array([2, 0, 1, 1])


def cifar10_members(train=TRAIN, test=TEST):
    def rows(images, labels):
        pairs = zip(images, labels[: len(images)], strict=True)
        return b"".join(bytes([label]) + image.tobytes() for image, label in pairs)

    members = {
        f"data_batch_{k + 1}.bin": rows(train[2 * k :][:2], TRAIN_LABELS[2 * k :]) for k in range(5)
    }
    members["test_batch.bin"] = rows(test, TEST_LABELS)
    members["batches.meta.txt"] = b"airplane\nautomobile\nbird\n\n"
    return {f"cifar-10-batches-bin/{name}": content for name, content in members.items()}


def labelled(images, labels):
    return datasets.LabelledImages(torch.from_numpy(images), torch.from_numpy(labels), None)


@pytest.fixture
def shop(server, monkeypatch, tmp_path):
    """A function that puts a collection's files on the server, and says how many images it has."""
    hashes = tmp_path / "hashes.json"
    hashes.write_text(
        json.dumps(
            {
                "cifar10-train": datasets.labelled_sha256(labelled(TRAIN, TRAIN_LABELS)),
                "cifar10-test": datasets.labelled_sha256(labelled(TEST, TEST_LABELS)),
            }
        )
    )
    monkeypatch.setattr(runtime, "data_path", lambda name: hashes)

    def offer(collection, images, files, mirrors=("",)):
        offered = []
        for name, content in files.items():
            server.files[name] = content
            sources = tuple(
                datasets.Source(mirror or server.url(name), "a test", 0.1) for mirror in mirrors
            )
            digest = f"sha256:{hashlib.sha256(content).hexdigest()}"
            offered.append(small_images.DataFile(name, digest, sources))
        entry = small_images.Collection("a test", images, tuple(offered))
        monkeypatch.setitem(small_images.COLLECTIONS, collection, entry)

    return offer


ARCHIVE = "cifar-10-binary.tar.gz"


@pytest.fixture
def cifar10(shop):
    content = tar_of(cifar10_members())
    shop("cifar10", {"cifar10-train": 10, "cifar10-test": 4}, {ARCHIVE: content})
    return content


def leftovers(cache):
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


def test_cifar10_comes_once(cifar10, server, cache, capsys):
    assert not datasets.is_present("cifar10")
    test = datasets.image_set("cifar10-test")
    assert np.array_equal(test.images, TEST)
    assert test.labels.tolist() == TEST_LABELS.tolist()
    assert test.classes == ("airplane", "automobile", "bird")
    assert f"cifar10: about 0.1 MB from {server.url(ARCHIVE)} (a test)" in capsys.readouterr().out
    train = datasets.image_set("cifar10-train", 7)
    assert np.array_equal(train.images, TRAIN[:7])
    assert train.labels.tolist() == TRAIN_LABELS[:7].tolist()
    assert datasets.is_present("cifar10")
    assert __main__.main(["fetch", "cifar10"]) == 0
    assert f"cifar10: {cache / 'cifar10'}" in capsys.readouterr().out
    assert server.requests == [ARCHIVE]
    assert leftovers(cache) == ["cifar10"]
    assert leftovers(cache / "cifar10") == ["cifar10_test.npz", "cifar10_train.npz"]
    with pytest.raises(ValueError, match="holds 4 images; 5 were asked for"):
        datasets.image_set("cifar10-test", 5)


def test_cifar100_gives_its_fine_classes(shop):
    rows = b"".join(bytes([1, k]) + image.tobytes() for k, image in enumerate(TEST))
    members = {"test.bin": rows, "fine_label_names.txt": b"apple\nbear\ncan\ndog\n"}
    content = tar_of({f"cifar-100-binary/{name}": part for name, part in members.items()})
    shop("cifar100", {"cifar100": 4}, {"cifar-100-binary.tar.gz": content})
    found = datasets.image_set("cifar100")
    assert np.array_equal(found.images, TEST)
    assert found.labels.tolist() == [0, 1, 2, 3]
    assert found.classes == ("apple", "bear", "can", "dog")


def test_mnist_gets_a_border_and_three_channels(shop, cache):
    digits = np.random.default_rng(0).integers(0, 256, (3, 28, 28), np.uint8)
    files = {
        "t10k-images-idx3-ubyte.gz": idx(digits),
        "t10k-labels-idx1-ubyte.gz": idx(np.array([7, 2, 1], np.uint8)),
    }
    shop("mnist", {"mnist": 3}, files)
    found = datasets.image_set("mnist")
    expected = np.zeros((3, 3, 32, 32), np.uint8)
    expected[:, :, 2:30, 2:30] = digits[:, None]
    assert np.array_equal(found.images, expected)
    assert found.labels.tolist() == [7, 2, 1]
    assert found.classes[7] == "7"
    assert leftovers(cache) == ["mnist"]


def test_pictures_in_the_order_of_their_names(shop):
    colour, gray = np.random.default_rng(0).integers(0, 256, (2, 36, 36, 3), np.uint8), TEST[0, 0]
    gray = np.pad(gray, 2)
    members = {
        "LSUN/test/2.png": png(colour[0]),
        "LSUN/test/10.png": png(colour[1]),
        "LSUN/test/30.JPEG": png(gray),
        "LSUN/test/._2.png": b"what macOS puts beside files",
        "LSUN/notes.txt": b"hello",
    }
    shop("lsun-crop", {"lsun-crop": 3}, {"LSUN.tar.gz": tar_of(members)})
    found = datasets.image_set("lsun-crop")
    assert found.labels is None and found.images.shape == (3, 3, 36, 36)
    assert np.array_equal(found.images[0], colour[1].transpose(2, 0, 1))
    assert np.array_equal(found.images[1], colour[0].transpose(2, 0, 1))
    assert np.array_equal(found.images[2], np.stack([gray] * 3))


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/file"


def failing(cache):
    """Ask for CIFAR-10; return the error's message; no set may stay behind."""
    with pytest.raises(datasets.DownloadError) as caught:
        datasets.image_set("cifar10-test")
    assert not datasets.is_present("cifar10")
    assert set(leftovers(cache)) <= {".cifar10-unfinished"}
    message = str(caught.value)
    assert message.startswith("cifar10 cannot be downloaded: ")
    assert message.endswith(
        "cifar10_train.npz, cifar10_test.npz into the folder ood of LESSONS_DATA."
    )
    assert "python -m lessons_utils fetch cifar10" in message
    return message


def test_another_file_is_refused_and_deleted(cifar10, server, cache):
    digest = hashlib.sha256(cifar10).hexdigest()
    server.files[ARCHIVE] = b"<html>"
    message = failing(cache)
    assert f"(6 bytes) is not the file expected. Expected sha256:{digest}; found sha256:" in message
    assert leftovers(cache / ".cifar10-unfinished") == []
    server.files[ARCHIVE] = cifar10
    assert len(datasets.image_set("cifar10-test")) == 4
    assert leftovers(cache) == ["cifar10"]


def test_md5_where_nothing_better_is_published(cifar10, server, cache):
    entry = small_images.COLLECTIONS["cifar10"]
    file = replace(entry.files[0], hash=f"md5:{hashlib.md5(cifar10).hexdigest()}")
    small_images.COLLECTIONS["cifar10"] = replace(entry, files=(file,))
    server.files[ARCHIVE] = cifar10[:-1]
    assert "found md5:" in failing(cache)
    server.files[ARCHIVE] = cifar10
    assert len(datasets.image_set("cifar10-test")) == 4


def test_a_download_cut_short_goes_on(cifar10, server, cache):
    server.files[ARCHIVE], server.promised[ARCHIVE] = cifar10[:-40], len(cifar10)
    assert "cut short, after" in failing(cache)
    start = (cache / ".cifar10-unfinished" / ARCHIVE).stat().st_size
    server.files[ARCHIVE] = cifar10
    server.promised.clear()
    assert len(datasets.image_set("cifar10-test")) == 4
    # What came of the last piece of 65,536 bytes is lost; a first piece too.
    assert server.requests[1:] == [f"{ARCHIVE} bytes={start}-" if start else ARCHIVE]
    assert leftovers(cache) == ["cifar10"]


def test_mirrors(shop, server, cache):
    files = {ARCHIVE: tar_of(cifar10_members())}
    images = {"cifar10-train": 10, "cifar10-test": 4}
    shop("cifar10", images, files, mirrors=(closed_port(), server.url("gone"), ""))
    assert len(datasets.image_set("cifar10-test")) == 4
    assert server.requests == ["gone", ARCHIVE]


def test_no_network(shop, cache):
    files, images = {ARCHIVE: b""}, {"cifar10-train": 10, "cifar10-test": 4}
    shop("cifar10", images, files, mirrors=(closed_port(), closed_port()))
    assert failing(cache).count("no connection. Is this machine online?") == 2


def changed_pixel():
    test = TEST.copy()
    test[3, 2, 31, 31] ^= 1
    return cifar10_members(test=test)


def without(name):
    return {key: part for key, part in cifar10_members().items() if not key.endswith(name)}


@pytest.mark.parametrize(
    ("members", "words"),
    [
        (changed_pixel(), "cifar10-test: images or labels are not those"),
        (cifar10_members(train=TRAIN[:9]), "expected 10 images, found 9"),
        (without("test_batch.bin"), "no test_batch.bin"),
        (without("meta.txt"), "no batches.meta.txt"),
        (without("test_batch.bin") | {"test_batch.bin": b"<html>"}, "expected a multiple of 3073"),
        (cifar10_members() | {"../evil.png": b"x"}, "refused, for safety"),
        (cifar10_members() | {"/evil.png": b"x"}, "refused, for safety"),
    ],
    ids=["pixel", "count", "test", "classes", "length", "up", "root"],
)
def test_archives_that_are_not_cifar10(members, words, shop, cache, tmp_path):
    shop("cifar10", {"cifar10-train": 10, "cifar10-test": 4}, {ARCHIVE: tar_of(members)})
    assert words in failing(cache)
    assert not list(tmp_path.rglob("evil*"))


@pytest.mark.parametrize(
    ("members", "words"),
    [
        ({"iSUN/a.png": png(TEST[0, 0]), "iSUN/b.png": png(TEST[0, 0, :9])}, "not all of one size"),
        ({"iSUN/notes.txt": b""}, "holds no picture"),
        ({"iSUN/a.png": png(TEST[0, 0])[:90]}, "cannot be read as a picture"),
        ({"iSUN/a.png": png(TEST[0, 0])}, "expected 2 images, found 1"),
    ],
    ids=["sizes", "none", "damaged", "count"],
)
def test_archives_of_other_pictures(members, words, shop, cache):
    shop("isun", {"isun": 2}, {"iSUN.tar.gz": tar_of(members)})
    with pytest.raises(datasets.DownloadError, match=words):
        datasets.image_set("isun")
    assert not datasets.is_present("isun")


def test_full_disk(cifar10, server, cache, monkeypatch):
    def fail(*arguments):
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as full:
        full.setattr(small_images, "write_archive", fail)
        with pytest.raises(datasets.DownloadError, match="the disk is full"):
            datasets.fetch("cifar10")
    assert not datasets.is_present("cifar10")
    assert len(datasets.image_set("cifar10-test")) == 4
    assert server.requests == [ARCHIVE, f"{ARCHIVE} bytes={len(cifar10)}-"]  # there was no more
    assert leftovers(cache) == ["cifar10"]


def test_cache_that_cannot_be_made(cifar10, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "file"))
    for call, name in ((datasets.image_set, "cifar10-test"), (datasets.fetch, "cifar10")):
        with pytest.raises(datasets.DownloadError, match="cannot be stored"):
            call(name)


def test_lessons_data_comes_first(cifar10, server, monkeypatch, tmp_path):
    folder = tmp_path / "data" / "ood"
    folder.mkdir(parents=True)
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path / "data"))
    few = labelled(TRAIN[:2], TRAIN_LABELS[:2])
    datasets.write_archive(folder / "cifar10_test.npz", few)
    assert np.array_equal(datasets.image_set("cifar10-test").images, TRAIN[:2])
    assert not datasets.is_present("cifar10")
    assert server.requests == []
    assert np.array_equal(datasets.image_set("cifar10-train").images, TRAIN)  # is not there
    assert server.requests == [ARCHIVE]
    datasets.write_archive(folder / "cifar10_train.npz", few)
    assert datasets.fetch("cifar10") == folder


def test_what_cannot_be_had_is_named(monkeypatch, tmp_path):
    with pytest.raises(ValueError, match="'cifar11'; there are cifar10-train, cifar10-test"):
        datasets.image_set("cifar11")
    for _ in range(2):
        with pytest.raises(FileNotFoundError, match=r"catsdogs_photos64\.npz.*LESSONS_DATA"):
            datasets.image_set("cats-and-dogs")
        monkeypatch.setenv("LESSONS_DATA", str(tmp_path))


@needs_data
def test_the_hash_of_cifar10_is_that_of_the_data_folder(monkeypatch):
    monkeypatch.setenv("LESSONS_DATA", DATA)
    known = json.loads(runtime.data_path("hashes.json").read_text())
    test = datasets.image_set("cifar10-test")
    assert test.labels.bincount().tolist() == [1000] * 10
    assert datasets.labelled_sha256(test) == known["cifar10-test"]


@needs_data
def test_hashes_are_written_beside_others(monkeypatch, tmp_path):
    monkeypatch.setenv("LESSONS_DATA", DATA)
    (tmp_path / "hashes.json").write_text('{"Set5": {"baby": "7d"}}')
    monkeypatch.setattr(runtime, "data_path", lambda name: tmp_path / name)
    monkeypatch.setattr(small_images, "image_set", lambda name: labelled(TEST, TEST_LABELS))
    path = datasets.write_image_hashes()
    expected = datasets.labelled_sha256(labelled(TEST, TEST_LABELS))
    hashes = {"Set5": {"baby": "7d"}, "cifar10-train": expected, "cifar10-test": expected}
    assert json.loads(Path(path).read_text()) == hashes
