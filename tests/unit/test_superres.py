"""The protocol and the network against the authors' numbers and against scikit-image."""

import os
from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from skimage.metrics import structural_similarity
from torch import nn

from lessons_utils import datasets, superres

DATA = os.environ.get("LESSONS_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="LESSONS_DATA is not set")

# Mean PSNR and SSIM of the authors' weight files on Set5, and of bicubic (specification, from the
# paper's tables and a reimplementation that agrees with them).
ORACLE = {
    "9-5-5_ImageNet_x2": (36.6586, 0.9542, 33.6621),
    "9-5-5_ImageNet_x3": (32.7520, 0.9090, 30.3936),
    "9-5-5_ImageNet_x4": (30.4888, 0.8628, 28.4220),
    "9-3-5_ImageNet_x3": (32.6575, 0.9087, 30.3936),
    "9-1-5_ImageNet_x3": (32.5196, 0.9056, 30.3936),
    "9-1-5_91images_x2": (36.3443, None, 33.6621),
    "9-1-5_91images_x3": (32.3941, None, 30.3936),
    "9-1-5_91images_x4": (30.0857, None, 28.4220),
}
PER_IMAGE_955_X3 = {
    "baby": (33.910, 35.249),
    "bird": (32.576, 35.475),
    "butterfly": (24.038, 27.953),
    "head": (32.880, 33.712),
    "woman": (28.564, 31.371),
}


def random_image(height=40, width=53, channels=3, seed=0):
    return torch.rand(1, channels, height, width, generator=torch.Generator().manual_seed(seed))


@needs_data
@pytest.mark.parametrize("name", ORACLE)
def test_authors_weights_give_the_authors_numbers(name):
    psnr, ssim, bicubic = ORACLE[name]
    model = superres.load_authors_weights(Path(DATA) / "srcnn_weights" / f"{name}.mat")
    scores = superres.evaluate(model, datasets.super_resolution_set("Set5"), int(name[-1]))
    assert scores["bicubic_psnr"] == pytest.approx(bicubic, abs=0.002)
    assert scores["psnr"] == pytest.approx(psnr, abs=0.005)
    if ssim:
        assert scores["ssim"] == pytest.approx(ssim, abs=1e-4)
    if name == "9-5-5_ImageNet_x3":
        for picture, (bicubic, network) in PER_IMAGE_955_X3.items():
            found = scores["per_image"][picture]
            assert found["bicubic_psnr"] == pytest.approx(bicubic, abs=0.01)
            assert found["psnr"] == pytest.approx(network, abs=0.01)


@needs_data
def test_filters_of_the_authors_are_neither_flipped_nor_transposed():
    path = Path(DATA) / "srcnn_weights" / "9-5-5_ImageNet_x3.mat"
    columns = scipy.io.loadmat(path)["weights_conv1"]
    filters = superres.load_authors_weights(path).patch_extraction.weight
    expected = columns[:, 7].reshape(9, 9, order="F")
    np.testing.assert_allclose(filters[7, 0].detach(), expected, rtol=1e-6)


def test_bicubic_equals_keys_kernel_with_repeated_borders():
    """Against the definition, written out: shrinking by 3 stretches the kernel by 3."""

    def keys(x):
        x = np.abs(x)
        near = 1.5 * x**3 - 2.5 * x**2 + 1
        far = -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2
        return np.where(x <= 1, near, np.where(x <= 2, far, 0))

    def matrix(length, scale, shrink):
        rows = length // scale if shrink else length * scale
        result = np.zeros((rows, length))
        stretch = scale if shrink else 1
        for i in range(rows):
            centre = (i + 0.5) * (scale if shrink else 1 / scale) - 0.5
            taps = np.arange(np.floor(centre) - 2 * stretch, np.floor(centre) + 2 * stretch + 2)
            weights = keys((taps - centre) / stretch)
            for tap, weight in zip(taps, weights / weights.sum(), strict=True):
                result[i, int(np.clip(tap, 0, length - 1))] += weight
        return result

    high = random_image(36, 45, 1).double()
    low = superres.degrade(high, 3)
    expected = matrix(36, 3, True) @ high[0, 0].numpy() @ matrix(45, 3, True).T
    np.testing.assert_allclose(low[0, 0], expected, atol=1e-6)
    expected = matrix(12, 3, False) @ low[0, 0].numpy() @ matrix(15, 3, False).T
    np.testing.assert_allclose(superres.enlarge(low, 3)[0, 0], expected, atol=1e-6)


def test_luma_of_known_colours():
    white, black = torch.ones(1, 3, 2, 2), torch.zeros(1, 3, 2, 2)
    red = torch.tensor([1.0, 0, 0]).view(1, 3, 1, 1)
    assert superres.rgb_to_luma(white).mul(255).unique().item() == 235
    assert superres.rgb_to_luma(black).mul(255).unique().item() == 16
    assert superres.rgb_to_luma(red).mul(255).item() == 81  # 16 + 65.481, rounded


def test_gray_is_taken_as_it_is():
    gray = random_image(channels=1)
    assert superres.rgb_to_luma(gray) is gray


def test_colour_goes_there_and_back():
    image = random_image()
    ycbcr = superres.rgb_to_ycbcr(image)
    assert torch.allclose(ycbcr[:, :1], superres.rgb_to_luma(image), atol=0.51 / 255)
    assert torch.allclose(superres.ycbcr_to_rgb(ycbcr), image, atol=1e-5)


def test_a_colour_picture_keeps_its_colours():
    model = superres.SRCNN(9, 1, 5)
    superres.initialise_as_identity(model, torch.Generator().manual_seed(0))
    model.reconstruction.weight.data[0, 1:] = 0
    low = 0.2 + 0.6 * random_image(20, 24)
    enlarged = superres.super_resolve(model, low, 3)
    assert enlarged.shape == (1, 3, 60, 72)
    assert torch.allclose(enlarged, superres.enlarge(low, 3).clamp(0, 1), atol=1e-4)


def test_psnr_by_hand():
    prediction = torch.tensor([0.0, 0.5, 1.0, 0.5]).view(1, 1, 2, 2)
    target = torch.tensor([0.0, 0.5, 0.5, 0.5]).view(1, 1, 2, 2)
    assert superres.psnr(prediction, target).item() == pytest.approx(10 * np.log10(1 / 0.0625))
    assert superres.psnr(target, target).item() == float("inf")


@pytest.mark.parametrize("seed", range(3))
def test_ssim_equals_scikit_image(seed):
    a = random_image(33 + seed, 47, 1, seed)
    b = (a + 0.1 * random_image(33 + seed, 47, 1, seed + 9)).clamp(0, 1)
    reference = structural_similarity(
        a[0, 0].double().numpy(),
        b[0, 0].double().numpy(),
        data_range=1.0,
        gaussian_weights=True,
        sigma=1.5,
        use_sample_covariance=False,
    )
    assert superres.ssim(a, b).item() == pytest.approx(reference, abs=1e-7)


@pytest.mark.parametrize(
    ("sizes", "weights", "margin"),
    [((9, 1, 5), 8032, 6), ((9, 3, 5), 24416, 7), ((9, 5, 5), 57184, 8)],
)
def test_sizes_of_the_family(sizes, weights, margin):
    model = superres.SRCNN(*sizes)
    assert sum(p.numel() for p in model.parameters()) == weights + 97
    assert model.margin == margin
    image = random_image(33, 33, 1)
    assert model(image, same_size=False).shape[-1] == 33 - 2 * margin
    assert model(image).shape == image.shape
    inner = model(image)[..., margin:-margin, margin:-margin]
    assert torch.allclose(inner, model(image, same_size=False), atol=1e-6)


def test_identity_start_returns_its_input():
    model = superres.SRCNN(9, 5, 5)
    superres.initialise_as_identity(model, torch.Generator().manual_seed(1))
    image = random_image(30, 30, 1)
    assert (model(image) - image).abs().max() < 0.05
    model.reconstruction.weight.data[0, 1:] = 0
    assert torch.allclose(model(image), image, atol=1e-6)


def test_calibration_leaves_no_mean_error():
    model = superres.SRCNN(9, 1, 5)
    superres.initialise_as_identity(model, torch.Generator().manual_seed(1))
    upscaled, high = random_image(40, 40, 1), random_image(40, 40, 1, seed=1) + 0.3
    superres.calibrate_brightness(model, upscaled, high)
    error = model(upscaled, same_size=False) - high[..., 6:-6, 6:-6]
    assert abs(error.mean().item()) < 1e-6


def test_paper_start_is_small():
    model = superres.SRCNN(9, 1, 5)
    superres.initialise_as_paper(model, torch.Generator().manual_seed(1))
    weight = model.patch_extraction.weight
    assert weight.std().item() == pytest.approx(0.001, rel=0.05)
    assert all((layer.bias == 0).all() for layer in model.children())


@pytest.mark.parametrize("tile", [16, 50, 64, 1000])
def test_tiles_show_no_seams(tile):
    torch.manual_seed(0)
    model = superres.SRCNN(9, 5, 5)
    image = random_image(100, 131, 1)
    with torch.inference_mode():
        whole = model(image)
    assert torch.allclose(superres.sharpen(model, image, tile=tile), whole, atol=1e-6)


def test_sharpen_stays_within_memory():
    """A tile's features fit; the picture's 96 maps of 1000 x 1000 would take 384 MB a copy."""
    largest = 0

    class Spy(superres.SRCNN):
        def forward(self, upscaled, same_size=True):
            nonlocal largest
            largest = max(largest, upscaled.numel())
            return super().forward(upscaled, same_size)

    superres.sharpen(Spy(9, 1, 5), torch.rand(1, 1, 1000, 1000), tile=256)
    assert largest <= (256 + 2 * 6) ** 2


def test_sub_images_depend_on_the_generator_alone():
    sub_images = superres.SubImages([random_image(60, 70), random_image(50, 40)], 3, size=33)
    first = sub_images.batch(5, torch.Generator().manual_seed(3))
    again = sub_images.batch(5, torch.Generator().manual_seed(3))
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))
    assert first[0].shape == first[1].shape == (5, 1, 33, 33)


def test_sub_images_are_cut_from_the_degraded_whole():
    image = random_image(33, 33)
    sub_images = superres.SubImages([image], 3, size=33)
    upscaled, high = sub_images.batch(1, torch.Generator().manual_seed(0))
    _, expected_upscaled, expected_high = superres.prepare(image, 3)
    candidates = [
        torch.rot90(picture, turns, (2, 3)).flip(3) if flip else torch.rot90(picture, turns, (2, 3))
        for flip in (False, True)
        for turns in range(4)
        for picture in [torch.cat([expected_upscaled, expected_high], 1)]
    ]
    assert any(torch.equal(torch.cat([upscaled, high], 1), candidate) for candidate in candidates)


def test_a_flat_picture_scores_infinitely_well_for_the_identity():
    model = superres.SRCNN(9, 1, 5)
    superres.initialise_as_identity(model, torch.Generator().manual_seed(0))
    nn.init.zeros_(model.reconstruction.weight)
    model.reconstruction.weight.data[0, 0, 2, 2] = 1
    scores = superres.evaluate(model, [("flat", torch.full((1, 1, 30, 30), 0.5))], 3)
    assert scores["psnr"] == float("inf")


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: superres.SRCNN(9, 2, 5), "odd"),
        (lambda: superres.degrade(torch.rand(1, 1, 10, 9), 3), "no multiple of scale 3"),
        (lambda: superres.degrade(torch.rand(1, 1, 9, 9), 1), "2 or more"),
        (lambda: superres.crop_to_multiple(torch.rand(1, 1, 2, 9), 3), "too small"),
        (lambda: superres.rgb_to_luma(torch.rand(3, 9, 9)), "image batch"),
        (lambda: superres.psnr(torch.rand(1, 1, 3, 3), torch.rand(1, 1, 3, 4)), "differ in shape"),
        (lambda: superres.ssim(torch.rand(1, 1, 8, 8), torch.rand(1, 1, 8, 8)), "11 x 11"),
        (lambda: superres.evaluate(superres.SRCNN(), [], 3), "no images"),
        (lambda: superres.SubImages([torch.rand(1, 1, 20, 90)], 2, size=33), "33 pixels"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_a_foreign_weight_file_is_refused(tmp_path):
    scipy.io.savemat(tmp_path / "other.mat", {"weights": np.zeros((3, 3))})
    with pytest.raises(ValueError, match="no SRCNN weight file"):
        superres.load_authors_weights(tmp_path / "other.mat")
    (tmp_path / "text.mat").write_text("no MATLAB file at all, but long enough to be read" * 10)
    with pytest.raises(ValueError, match="no SRCNN weight file"):
        superres.load_authors_weights(tmp_path / "text.mat")
    with pytest.raises(FileNotFoundError):
        superres.load_authors_weights(tmp_path / "missing.mat")
