"""Pictures: reading, sets, downloads. The only network is a server on this machine."""

import errno
import io
import json
import os
import shutil
import socket
import tarfile
import threading
import zipfile
from pathlib import Path

import numpy as np
import pytest
import requests
import skimage.data
import torch
from PIL import Image

from lessons_utils import datasets, runtime
from lessons_utils.datasets import pictures, super_resolution

needs_data = pytest.mark.skipif(
    not os.environ.get("LESSONS_DATA"), reason="needs Set5 and T91: set LESSONS_DATA"
)


def picture(seed, height=7, width=9):
    return np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)


def encode(array, file_format="PNG"):
    stream = io.BytesIO()
    Image.fromarray(array).save(stream, file_format)
    return stream.getvalue()


def hash_of(array):
    return datasets.pixels_sha256([pictures.to_tensor(array)])


def zip_of(members):
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, content in members.items():
            archive.writestr(name, content)
    return stream.getvalue()


def tar_of(members, link=None):
    stream = io.BytesIO()
    with tarfile.open(fileobj=stream, mode="w:gz") as archive:
        for name, content in members.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
        if link:
            member = tarfile.TarInfo("link")
            member.type, member.linkname = tarfile.SYMTYPE, link
            archive.addfile(member)
    return stream.getvalue()


@pytest.fixture(autouse=True)
def cache(monkeypatch, tmp_path):
    """An empty cache folder, and no LESSONS_DATA unless a test sets it."""
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "cache"))
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.delenv("LESSONS_DATA", raising=False)
    return tmp_path / "cache" / "super_resolution"


PAIR = {"baby": picture(1), "woman": picture(2, 5, 4)}
"""A set whose hashes are shipped."""
FREE = {"comic": picture(3), "zebra": picture(4)}
"""A set whose hashes nobody knows beforehand."""


@pytest.fixture
def sets(monkeypatch, server):
    """Two sets of two pictures at `server`, instead of the real ones: Pair and Free."""
    shipped = json.dumps({"Pair": {name: hash_of(array) for name, array in PAIR.items()}})
    hashes = Path(os.environ["LESSONS_CACHE"]).with_name("hashes.json")
    hashes.write_text(shipped)
    monkeypatch.setattr(runtime, "data_path", lambda name: hashes)

    def define(name, *paths, members="*"):
        urls = [path if "://" in path else server.url(path) for path in paths]
        sources = tuple(datasets.Source(url, "a test", 0.1, members) for url in urls)
        return datasets.PictureSet("two pictures", 2, sources)

    monkeypatch.setattr(
        super_resolution,
        "SETS",
        {"Pair": define("Pair", "pair.zip"), "Free": define("Free", "free.zip")},
    )
    server.files["pair.zip"] = zip_of(
        {f"Pair/{n}_GT.bmp": encode(a, "BMP") for n, a in PAIR.items()}
    )
    server.files["free.zip"] = zip_of({f"{n}.png": encode(a) for n, a in FREE.items()})

    def redefine(name, *paths, **options):
        super_resolution.SETS[name] = define(name, *paths, **options)

    return redefine


def closed_port():
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{probe.getsockname()[1]}/pair.zip"


def assert_pair(images):
    assert [name for name, _ in images] == list(PAIR)
    for (_, image), array in zip(images, PAIR.values(), strict=True):
        assert torch.equal(image, pictures.to_tensor(array))


def leftovers(cache):
    return sorted(path.name for path in cache.iterdir()) if cache.exists() else []


# Pictures


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("name", datasets.PHOTOGRAPHS)
def test_photograph_comes_from_the_wheel_without_network(name, monkeypatch):
    def refuse(*arguments):
        raise AssertionError("a photograph asked for the network")

    monkeypatch.setattr(socket.socket, "connect", refuse)
    monkeypatch.setattr(socket, "getaddrinfo", refuse)
    image = datasets.photograph(name)
    words = datasets.PHOTOGRAPHS[name]
    height, width = image.shape[-2:]
    assert f"{height} x {width}" in words
    assert image.shape[:2] == (1, 1 if "gray" in words else 3)
    assert "CC0" in words or "public domain" in words
    folder = Path(skimage.data.__file__).parent
    stem = {"cat": "chelsea"}.get(name, name)
    (file,) = [path for path in folder.glob(f"{stem}.*") if path.suffix in (".png", ".jpg")]
    assert torch.equal(image, datasets.read_image(file))


def test_wrong_photograph_lists_the_right_ones():
    with pytest.raises(ValueError, match=r"'dog'.*astronaut, cat, coffee, rocket, camera"):
        datasets.photograph("dog")


@pytest.mark.parametrize(
    ("mode", "channels"), [("L", 1), ("RGB", 3), ("P", 3), ("LA", 3), ("RGBA", 3), ("1", 3)]
)
def test_read_image_modes(mode, channels, tmp_path):
    path = tmp_path / "a.png"
    gray = Image.fromarray(np.arange(6, dtype=np.uint8).reshape(2, 3) * 40)
    gray.convert(mode).save(path)
    image = datasets.read_image(path)
    assert image.shape == (1, channels, 2, 3)
    assert image.dtype == torch.float32
    if mode in ("L", "LA", "RGBA", "RGB"):
        assert image[0, 0, 1, 2] == 200 / 255


def test_read_image_turns_a_camera_picture_upright(tmp_path):
    exif = Image.Exif()
    exif[0x0112] = 6  # held a quarter turn
    Image.fromarray(picture(0, 4, 6)).save(tmp_path / "a.jpg", exif=exif)
    assert datasets.read_image(tmp_path / "a.jpg").shape == (1, 3, 6, 4)


def sixteen_bit_rgb_png():
    """One pixel of 16 bits a channel, which Pillow can read (as 8 bits) but not write."""
    import struct
    import zlib

    def chunk(kind, content):
        check = struct.pack(">I", zlib.crc32(kind + content))
        return struct.pack(">I", len(content)) + kind + content + check

    header = struct.pack(">IIBBBBB", 1, 1, 16, 2, 0, 0, 0)
    pixels = zlib.compress(b"\0" + b"\1\2" * 3)
    return (
        b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")
    )


def test_read_image_refuses_more_than_eight_bits(tmp_path):
    Image.fromarray(np.zeros((2, 2), np.uint16)).save(tmp_path / "gray.png")
    Image.fromarray(np.zeros((2, 2), np.float32)).save(tmp_path / "float.tif")
    (tmp_path / "colour.png").write_bytes(sixteen_bit_rgb_png())
    for name in ("gray.png", "float.tif", "colour.png"):
        with pytest.raises(ValueError, match="more than 8 bits"):
            datasets.read_image(tmp_path / name)


def test_read_image_names_a_missing_or_damaged_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no picture .*nowhere\.png"):
        datasets.read_image(tmp_path / "nowhere.png")
    (tmp_path / "text.png").write_text("no picture")
    whole = encode(picture(0, 64, 64))
    (tmp_path / "cut.png").write_bytes(whole[: len(whole) // 2])
    for name in ("text.png", "cut.png"):
        with pytest.raises(ValueError, match=rf"{name} cannot be read as a picture"):
            datasets.read_image(tmp_path / name)


def test_image_folder_takes_all_formats_in_the_order_of_file_names(tmp_path):
    names = ["t10.bmp", "t2.BMP", "t1.bmp", "a_GT.png", "z.JPG", "k.jpeg", "m.tif"]
    for name in names:
        Image.fromarray(picture(0)).save(tmp_path / name)
    (tmp_path / "notes.txt").write_text("not a picture")
    (tmp_path / "._a.png").write_text("what macOS puts beside files")
    found = [name for name, _ in datasets.image_folder(tmp_path)]
    assert found == ["a", "k", "m", "t1", "t10", "t2", "z"]


def test_image_folder_that_is_missing_or_empty(tmp_path):
    with pytest.raises(FileNotFoundError, match="no folder"):
        datasets.image_folder(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError, match=r"holds no picture \(.bmp"):
        datasets.image_folder(tmp_path)


def test_pixel_hash_is_of_pixels_and_size(tmp_path):
    array = picture(0, 4, 6)
    for name in ("a.bmp", "a.png"):
        Image.fromarray(array).save(tmp_path / name)
    hashes = {
        datasets.pixels_sha256([datasets.read_image(tmp_path / n)]) for n in os.listdir(tmp_path)
    }
    assert hashes == {hash_of(array)}
    assert hash_of(array.reshape(6, 4, 3)) not in hashes


# Sets


def test_embedded_set_needs_no_network():
    images = datasets.super_resolution_set("embedded")
    assert [name for name, _ in images] == list(datasets.PHOTOGRAPHS)
    assert datasets.is_present("embedded")


@pytest.mark.parametrize("call", ["super_resolution_set", "set_or_embedded", "is_present", "fetch"])
def test_wrong_set_lists_the_right_ones(call):
    with pytest.raises(ValueError, match=r"'Set6'; there are embedded, Set5, Set14, T91, BSD100"):
        getattr(datasets, call)("Set6")


def test_sources_are_https_and_described():
    for name, entry in datasets.SETS.items():
        assert entry.megabytes == entry.sources[0].megabytes > 0, name
        assert len(entry.sources) > 1
        for source in entry.sources:
            assert source.url.startswith("https://")
            assert source.origin


def test_download_once_then_never_again(sets, server, cache, capsys):
    assert not datasets.is_present("Pair")
    assert_pair(datasets.super_resolution_set("Pair"))
    assert f"Pair: about 0.1 MB from {server.url('pair.zip')} (a test)" in capsys.readouterr().out
    assert datasets.is_present("Pair")
    assert_pair(datasets.super_resolution_set("Pair"))
    assert datasets.fetch("Pair") == cache / "Pair"
    assert server.requests == ["pair.zip"]
    assert leftovers(cache) == ["Pair"]
    assert leftovers(cache / "Pair") == ["baby.bmp", "woman.bmp"]


def test_mirrors_other_names_other_format_other_order(sets, server, cache):
    reverse = dict(zip(["img_001", "img_002"], reversed(PAIR.values()), strict=True))
    server.files["mirror.tgz"] = tar_of(
        {f"HR/{name}.png": encode(array) for name, array in reverse.items()}
        | {"HR/stranger.png": encode(picture(9)), "HR/readme.txt": b"hello"}
    )
    sets("Pair", "gone.zip", closed_port(), "mirror.tgz")
    assert_pair(datasets.super_resolution_set("Pair"))
    assert server.requests == ["gone.zip", "mirror.tgz"]
    assert leftovers(cache / "Pair") == ["baby.png", "woman.png"]


def test_identical_pictures_in_a_set(sets, server, monkeypatch):
    twins = {"t36": PAIR["baby"], "t65": PAIR["baby"]}
    hashes = json.dumps({"Pair": {name: hash_of(array) for name, array in twins.items()}})
    Path(os.environ["LESSONS_CACHE"]).with_name("hashes.json").write_text(hashes)
    server.files["pair.zip"] = zip_of({f"{n}.bmp": encode(a, "BMP") for n, a in twins.items()})
    assert [name for name, _ in datasets.super_resolution_set("Pair")] == ["t36", "t65"]


def test_members_pattern_leaves_out_the_rest(sets, server):
    server.files["free.zip"] = zip_of(
        {f"SRCNN/Free/{n}.bmp": encode(a, "BMP") for n, a in FREE.items()}
        | {"SRCNN/Other/baby.bmp": encode(PAIR["baby"], "BMP")}
    )
    sets("Free", "free.zip", members="*Free/*")
    assert [name for name, _ in datasets.super_resolution_set("Free")] == ["comic", "zebra"]


def failing(server, cache, content, promised=None):
    """Serve `content` as the set Pair; return the error's message; nothing may stay behind."""
    server.files["pair.zip"] = content
    if promised:
        server.promised["pair.zip"] = promised
    with pytest.raises(datasets.DownloadError) as caught:
        datasets.super_resolution_set("Pair")
    assert leftovers(cache) == []
    message = str(caught.value)
    assert message.startswith("Pair cannot be downloaded: 127.0.0.1: ")
    assert "python -m lessons_utils fetch Pair" in message
    assert not datasets.is_present("Pair")
    return message


def test_truncated_download(sets, server, cache):
    content = server.files["pair.zip"]
    assert "cut short, after" in failing(server, cache, content[:-40], promised=len(content))


@pytest.mark.parametrize("kind", ["zip", "tar", "page"])
def test_download_that_is_no_whole_archive(kind, sets, server, cache):
    members = {"a.png": encode(picture(0, 60, 60))}
    content = {"zip": zip_of(members)[:-300], "tar": tar_of(members)[:-300]}.get(kind, b"<html>")
    assert "no whole archive" in failing(server, cache, content)


def test_altered_pixels(sets, server, cache):
    altered = PAIR["woman"].copy()
    altered[0, 0, 0] ^= 1
    content = zip_of({"baby.png": encode(PAIR["baby"]), "woman.png": encode(altered)})
    message = failing(server, cache, content)
    assert "1 of 2 pictures are missing or altered" in message
    assert f"Expected woman ({hash_of(PAIR['woman'])}); found {hash_of(altered)}" in message


def test_altered_bytes(sets, server, cache):
    content = bytearray(server.files["pair.zip"])
    content[100] ^= 255
    assert "no whole archive, but cut short or altered" in failing(server, cache, bytes(content))


def test_damaged_picture(sets, server, cache):
    content = zip_of({"baby.png": encode(picture(0, 60, 60))[:800]})
    assert "a picture is damaged" in failing(server, cache, content)


def test_missing_picture(sets, server, cache):
    content = zip_of({"baby.png": encode(PAIR["baby"])})
    assert "found nothing else" in failing(server, cache, content)


@pytest.mark.parametrize(
    "content",
    [
        zip_of({"../evil.png": b"x"}),
        zip_of({"/evil.png": b"x"}),
        zip_of({"a/..\\..\\evil.png": b"x"}),
        zip_of({"C:\\evil.png": b"x"}),
        tar_of({"../evil.png": b"x"}),
        tar_of({"/evil.png": b"x"}),
        tar_of({}, link="../../evil.png"),
        tar_of({}, link="/etc/passwd"),
    ],
    ids=[
        "zip-up",
        "zip-root",
        "zip-back",
        "zip-drive",
        "tar-up",
        "tar-root",
        "link-up",
        "link-root",
    ],
)
def test_archive_that_escapes_its_folder(content, sets, server, cache, tmp_path):
    before = {path for path in tmp_path.rglob("*") if path != cache and path != cache.parent}
    assert "refused, for safety" in failing(server, cache, content)
    after = {path for path in tmp_path.rglob("*") if path != cache and path != cache.parent}
    assert after == before


def test_no_network(sets, server, cache):
    sets("Pair", closed_port(), closed_port())
    message = failing(server, cache, b"")
    assert message.splitlines()[0].endswith("no connection. Is this machine online?")
    assert message.count("no connection") == 3  # first line, and one for each source
    assert "LESSONS_DATA" in message


@pytest.mark.parametrize(
    ("owner", "step"),
    [
        (requests, "get"),
        (zipfile.ZipFile, "extractall"),
        (shutil, "copyfile"),
    ],
    ids=["download", "unpack", "copy"],
)
def test_full_disk(owner, step, sets, cache, monkeypatch):
    def fail(*arguments, **options):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(owner, step, fail)
    with pytest.raises(datasets.DownloadError, match=r"the disk is full(.|\n)*LESSONS_CACHE"):
        datasets.super_resolution_set("Pair")
    assert leftovers(cache) == []
    assert datasets.set_or_embedded("Pair")[0] == "embedded"


def test_cache_that_cannot_be_made(sets, monkeypatch, tmp_path):
    (tmp_path / "file").write_text("")
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "file"))
    with pytest.raises(datasets.DownloadError, match="cannot be stored"):
        datasets.fetch("Pair")


def test_trust_on_first_use(sets, server, cache, capsys):
    datasets.super_resolution_set("Free")
    output = capsys.readouterr().out
    assert "first download is trusted" in output
    record = json.loads((cache / "Free.json").read_text())
    assert record["source"] == server.url("free.zip")
    assert record["pictures"] == {name: hash_of(array) for name, array in FREE.items()}

    Image.fromarray(picture(8)).save(cache / "Free" / "zebra.png")  # altered on disk
    with pytest.raises(datasets.DownloadError, match=r"1 of 2 pictures(.|\n)*Delete this folder"):
        datasets.super_resolution_set("Free")

    shutil.rmtree(cache / "Free")
    datasets.super_resolution_set("Free")  # the same again: agrees, and does not record anew
    assert "trusted" not in capsys.readouterr().out

    shutil.rmtree(cache / "Free")
    server.files["free.zip"] = zip_of({f"{n}.png": encode(picture(8)) for n in FREE})
    with pytest.raises(datasets.DownloadError, match="missing or altered"):
        datasets.super_resolution_set("Free")
    assert leftovers(cache) == ["Free.json"]


def test_first_use_counts_the_pictures(sets, server, cache):
    server.files["free.zip"] = zip_of({"comic.png": encode(FREE["comic"])})
    with pytest.raises(datasets.DownloadError, match="expected 2 pictures, found 1"):
        datasets.fetch("Free")
    assert leftovers(cache) == []


def test_two_at_the_same_time(sets, cache):
    results = []

    def use():
        results.append(datasets.super_resolution_set("Pair"))

    threads = [threading.Thread(target=use) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4
    for images in results:
        assert_pair(images)
    assert leftovers(cache) == ["Pair"]


def test_fallback_says_why_in_one_line(sets, server, capsys):
    del server.files["pair.zip"]
    name, images = datasets.set_or_embedded("Pair")
    assert (name, len(images)) == ("embedded", 5)
    line = capsys.readouterr().out.splitlines()[-1]
    assert line == (
        "Using the embedded photographs as a stand-in for Pair. "
        "Pair cannot be downloaded: 127.0.0.1: the server answers 404."
    )


def test_no_fallback_where_the_set_is(sets):
    name, images = datasets.set_or_embedded("Pair")
    assert name == "Pair"
    assert_pair(images)


def test_lessons_data_comes_first(sets, server, monkeypatch, tmp_path, capsys):
    folder = tmp_path / "data" / "super_resolution" / "Pair"
    folder.mkdir(parents=True)
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path / "data"))
    for name, array in PAIR.items():
        Image.fromarray(array).save(folder / f"{name}_GT.bmp")
    assert datasets.is_present("Pair")
    assert datasets.fetch("Pair") == folder
    assert_pair(datasets.super_resolution_set("Pair"))
    assert server.requests == []

    (folder / "woman_GT.bmp").unlink()
    with pytest.raises(datasets.DownloadError, match=r"Expected woman(.|\n)*Mend this folder"):
        datasets.super_resolution_set("Pair")
    assert datasets.set_or_embedded("Pair")[0] == "embedded"
    (folder / "baby_GT.bmp").unlink()
    with pytest.raises(datasets.DownloadError, match="holds no picture"):
        datasets.super_resolution_set("Pair")
    assert "stand-in for Pair" in capsys.readouterr().out


def test_lessons_data_with_a_set_of_unknown_hash(sets, monkeypatch, tmp_path):
    folder = tmp_path / "data" / "super_resolution" / "Free"
    folder.mkdir(parents=True)
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path / "data"))
    Image.fromarray(FREE["comic"]).save(folder / "comic.bmp")
    with pytest.raises(datasets.DownloadError, match="expected 2 pictures, found 1"):
        datasets.super_resolution_set("Free")
    Image.fromarray(FREE["zebra"]).save(folder / "zebra.bmp")
    assert [name for name, _ in datasets.super_resolution_set("Free")] == ["comic", "zebra"]


# The real sets


DATA = Path(os.environ.get("LESSONS_DATA", "."))


@needs_data
@pytest.mark.parametrize("name", ["Set5", "T91"])
def test_shipped_hashes_are_those_of_the_originals(name):
    shipped = json.loads(runtime.data_path("hashes.json").read_text())[name]
    files = sorted((DATA / "super_resolution" / name).glob("*.bmp"))
    assert len(files) == datasets.SETS[name].pictures
    assert list(shipped) == [file.stem.removesuffix("_GT") for file in files]
    hashes = [datasets.pixels_sha256([datasets.read_image(file)]) for file in files]
    assert list(shipped.values()) == hashes


@needs_data
def test_set5_from_an_archive_like_the_authors(server, monkeypatch, cache):
    files = sorted((DATA / "super_resolution" / "Set5").glob("*.bmp"))
    server.files["SRCNN_v1.zip"] = zip_of({f"SRCNN/Set5/{f.name}": f.read_bytes() for f in files})
    (source,) = [s for s in datasets.SETS["Set5"].sources if s.url.endswith("SRCNN_v1.zip")]
    source = datasets.Source(server.url("SRCNN_v1.zip"), "a test", 1, source.members)
    monkeypatch.setitem(datasets.SETS, "Set5", datasets.PictureSet("five", 5, (source,)))
    downloaded = datasets.super_resolution_set("Set5")
    monkeypatch.setenv("LESSONS_DATA", str(DATA))
    assert [name for name, _ in downloaded] == ["baby", "bird", "butterfly", "head", "woman"]
    for (_, image), (_, original) in zip(
        downloaded, datasets.super_resolution_set("Set5"), strict=True
    ):
        assert torch.equal(image, original)
