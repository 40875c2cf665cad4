"""The depth networks, losses, batches and metrics: by hand, by geometry, and against numpy."""

import doctest
import json
import math

import numpy as np
import pytest
import torch
from torch import nn

from lessons_utils import depth

KITTI_LIKE = depth.Architecture((86, 288), (58, 288), 7, 2, (4, 4, 4, 4, 4), 8, 4)
"""As small as it gets with a fine network that sees the bottom only."""


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def small_model(seed=0):
    model = depth.EigenDepth(**depth.sizes_of(depth.SMALL))
    depth.initialise(model, random_frames(4), seeded(seed))
    return model


def random_frames(count, height=120, width=160, seed=0):
    generator = seeded(seed)
    images = torch.randint(0, 256, (count, 3, height, width), generator=generator)
    metres = 1 + 3 * torch.rand(count, 1, height, width, generator=generator)
    return images.to(torch.uint8), metres, torch.ones_like(metres, dtype=torch.bool)


def maps(*values):
    """One image a tuple of four values: (B, 1, 2, 2)."""
    return torch.tensor(values, dtype=torch.float32).view(-1, 1, 2, 2)


def everywhere(like):
    return torch.ones_like(like, dtype=torch.bool)


def test_the_docstrings_examples_hold():
    assert doctest.testmod(depth).failed == 0


# ---- The networks ------------------------------------------------------------------------------

LAYERS = {
    "NYU": [
        (1, 96, 27, 37),
        (1, 256, 13, 18),
        (1, 384, 13, 18),
        (1, 384, 13, 18),
        (1, 256, 6, 8),
        (1, 4096),
        (1, 1, 55, 74),
    ],
    "KITTI": [
        (1, 96, 20, 71),
        (1, 256, 9, 35),
        (1, 384, 9, 35),
        (1, 384, 9, 35),
        (1, 256, 4, 17),
        (1, 4096),
        (1, 1, 27, 142),
    ],
}
"""Maps, height, width after each layer of the paper's figure 1, pooling with its layer."""


def shapes_of_layers(network, *inputs):
    """Run a network and return its layers' output shapes, pooling counted with its layer."""
    shapes = []

    def note(layer, inputs, output):
        if isinstance(layer, nn.MaxPool2d):
            shapes.pop()
        shapes.append(tuple(output.shape))

    for layer in network.modules():
        if isinstance(layer, nn.Conv2d | nn.Linear | nn.MaxPool2d):
            layer.register_forward_hook(note)
    output = network(*inputs)
    return [*shapes[:-1], tuple(output.shape)]


@pytest.mark.parametrize("name", LAYERS)
def test_layers_have_the_papers_shapes(name):
    architecture = getattr(depth, name)
    with torch.device("meta"):  # shapes without memory
        model = depth.EigenDepth(**depth.sizes_of(architecture))
        images = torch.rand(1, 3, *architecture.coarse_input)
    assert shapes_of_layers(model.coarse, images) == LAYERS[name]
    height, width = architecture.output_size
    top, left = architecture.skipped
    coarse = torch.rand(1, 1, height, width, device="meta")
    fine_layers = shapes_of_layers(model.fine, images[..., top:, left:], coarse)
    # The first convolution shows before its pooling, which is part of `forward`.
    assert fine_layers == [
        (1, 63, 2 * height, 2 * width),
        (1, 64, height, width),
        (1, 1, height, width),
    ]
    assert [output.shape for output in model(images)] == [LAYERS[name][-1]] * 2


def test_parameter_counts_are_the_papers():
    with torch.device("meta"):
        model = depth.EigenDepth()

    def count(part):
        return sum(parameter.numel() for parameter in part.parameters())

    assert model.architecture == depth.NYU
    assert count(model.coarse) == 70_757_734
    assert model.coarse.hidden.in_features == 12_288
    assert count(model.coarse.hidden) == 50_335_744
    assert count(model.fine) == 119_437


def test_a_fine_unit_sees_45_pixels_around_its_own():
    """As the paper's text says; the 2 x 2 pooling that its figure prints would give 43."""
    fine = depth.FineNetwork(depth.Architecture(fine_input=(120, 160), fine_maps=4))
    for parameter in fine.parameters():  # positive everywhere: no ReLU hides a pixel
        nn.init.uniform_(parameter, 0.1, 1.0, generator=seeded())
    images = (0.5 + 0.5 * torch.rand(60, 3, 120, 160, generator=seeded(1))).requires_grad_()
    row, column = 11, 20
    output = fine(images, torch.zeros(60, 1, *fine.architecture.output_size))
    output[..., row, column].sum().backward()
    seen = images.grad.ne(0).any(dim=(0, 1))
    for lines, place in ((seen.any(1), row), (seen.any(0), column)):
        pixels = lines.nonzero().flatten().tolist()
        centre = depth.STRIDE * place + depth.FIRST + 1  # one beyond the authors' grid
        assert pixels == list(range(centre - 22, centre + 23))


def test_what_comes_before_the_fine_networks_window_is_skipped():
    assert depth.NYU.skipped == depth.SMALL.skipped == (0, 0)
    assert depth.KITTI.skipped == (172 - 116, 0)
    model = depth.EigenDepth(**depth.sizes_of(KITTI_LIKE)).eval()
    images = torch.rand(1, 3, 86, 288, generator=seeded())
    coarse, fine = model(images)
    images[..., :28, :] = 0
    assert torch.equal(model.fine(images[..., 28:, :], coarse), fine)


def test_sizes_survive_a_card():
    sizes = json.loads(json.dumps(depth.sizes_of(depth.SMALL)))
    model = depth.EigenDepth(**sizes)
    assert model.architecture == depth.SMALL
    assert hash(model.architecture) == hash(depth.SMALL)
    assert model(torch.rand(1, 3, 114, 152))[1].shape == (1, 1, 26, 36)


def forget_random_weights(model):
    """Leave in the last layers only what `initialise` meant: the mean, and the coarse map."""
    with torch.no_grad():
        model.coarse.output.weight.zero_()
        model.fine.output.weight[:, 2:] = 0


def test_the_start_is_the_mean_depth():
    images, metres, valid = random_frames(5)
    valid = torch.rand(valid.shape, generator=seeded(1)) < 0.8
    valid[..., 3 + 5, 4 + 9] = False  # the output's row 0, column 1: never valid
    hidden = torch.tensor([0.0, math.nan, math.inf, -1.0, 0.0]).view(5, 1, 1, 1)
    metres = torch.where(valid, metres, hidden)
    model = depth.EigenDepth(**depth.sizes_of(depth.SMALL))
    depth.initialise(model, (images, metres, valid), seeded())

    at = np.ix_(range(5), [0], 3 + 5 + 4 * np.arange(26), 4 + 5 + 4 * np.arange(36))
    taken = np.ma.masked_array(metres.numpy()[at], ~valid.numpy()[at])
    expected = taken.mean(0).filled(taken.mean())
    np.testing.assert_allclose(model.coarse.mean_depth[0], expected, rtol=1e-5)
    log_mean = np.ma.log(taken).mean(0).filled(np.ma.log(taken).mean())
    np.testing.assert_allclose(
        model.coarse.output.bias.detach().view(1, 26, 36), log_mean, atol=1e-5
    )
    model.eval()
    with torch.no_grad():
        coarse, fine = model(torch.rand(2, 3, 114, 152, generator=seeded(2)))
        assert (coarse - torch.from_numpy(log_mean)).square().mean().sqrt() < 1
        assert (fine - coarse).square().mean().sqrt() < 0.4
        forget_random_weights(model)
        coarse, fine = model(torch.rand(2, 3, 114, 152, generator=seeded(2)))
    np.testing.assert_allclose(coarse[0], log_mean, atol=1e-5)
    assert torch.equal(fine, coarse)


def test_a_negative_log_depth_passes_through_the_fine_start():
    model = small_model()
    forget_random_weights(model)
    coarse = torch.randn(1, 1, 26, 36, generator=seeded())
    assert torch.equal(model.fine(torch.rand(1, 3, 114, 152), coarse), coarse)


def test_the_start_depends_on_the_generator_alone():
    first, again, other = small_model(1), small_model(1), small_model(2)
    key = "fine.edges.weight"
    assert torch.equal(first.state_dict()[key], again.state_dict()[key])
    assert not torch.equal(first.state_dict()[key], other.state_dict()[key])


def test_the_start_of_a_network_that_sees_the_bottom():
    _, _, valid = frames = random_frames(2, 90, 300)
    rows = torch.arange(90.0).view(1, 1, 90, 1).expand(2, 1, 90, 300)
    model = depth.EigenDepth(**depth.sizes_of(KITTI_LIKE))
    depth.initialise(model, (frames[0], 1 + rows, valid), seeded())
    expected = 1 + (90 - 86) // 2 + (86 - 58) + 5 + 4 * torch.arange(12.0)
    assert torch.allclose(model.coarse.mean_depth[0, 0, :, 7], expected)


# ---- From frames to the networks and back --------------------------------------------------------


def test_cuts_are_from_the_middle_and_not_averaged():
    rows = torch.arange(120).view(1, 1, 120, 1).expand(1, 1, 120, 160)
    cut = depth.centre_crop(rows, (114, 152))
    assert cut.shape == (1, 1, 114, 152)
    assert cut[0, 0, :, 0].tolist() == list(range(3, 117))
    grid = depth.output_grid(cut)
    assert grid.shape == (1, 1, 26, 36)
    assert grid[0, 0, :, 0].tolist() == [3 + 5 + 4 * row for row in range(26)]


@pytest.mark.parametrize("times", [1, 2, 4])
def test_a_ramp_comes_back_where_it_was(times):
    """The value of a cell is its place in the 120 x 160 frame; so must be each pixel's."""
    rows = (3 + 5 + 4 * torch.arange(26.0)).view(1, 1, 26, 1).expand(2, 1, 26, 36)
    columns = (4 + 5 + 4 * torch.arange(36.0)).view(1, 1, 1, 36).expand(2, 1, 26, 36)
    frame = (120 * times, 160 * times)
    for ramp, side, dim in ((rows, 120, -2), (columns, 160, -1)):
        place = (torch.arange(side * times) + 0.5) / times - 0.5
        expected = place.clamp(ramp.min().item(), ramp.max().item())
        enlarged = depth.to_frame(ramp, frame, (114, 152))
        assert enlarged.shape == (2, 1, *frame)
        found = enlarged.movedim(dim, -1)
        assert torch.allclose(found, expected.expand_as(found), atol=1e-3)


def test_a_ramp_comes_back_where_the_fine_network_saw_the_bottom():
    model = depth.EigenDepth(**depth.sizes_of(KITTI_LIKE))
    rows = 2 + 28 + 5 + 4 * torch.arange(12.0)
    model.coarse.mean_depth.copy_((rows / 50).exp().view(1, 1, 12, 1).expand(1, 1, 12, 70))
    found = depth.predict(model, torch.rand(1, 3, 90, 300))["mean"].log() * 50
    expected = torch.arange(90.0).clamp(rows.min(), rows.max())
    assert torch.allclose(found[0, 0, :, 100], expected, atol=1e-3)


@pytest.mark.parametrize("frame", [None, (240, 320)])
def test_prediction_is_the_networks_output_in_metres(frame):
    model = small_model()
    images, _, _ = random_frames(5, seed=3)
    found = depth.predict(model, images, frame, batch_size=2)
    model.eval()
    with torch.no_grad():
        outputs = model(depth.centre_crop(images, (114, 152)).float() / 255)
    outputs = {"mean": model.coarse.mean_depth.log(), "coarse": outputs[0], "fine": outputs[1]}
    assert list(found) == list(outputs)
    for name, output in outputs.items():
        expected = depth.to_frame(output, frame or (120, 160), (114, 152)).exp()
        assert found[name].shape == (5, 1, *(frame or (120, 160)))
        assert torch.allclose(found[name], expected.expand_as(found[name]), rtol=1e-4)
    as_floats = depth.predict(model, images.float() / 255, frame)
    assert all(torch.allclose(found[name], as_floats[name], rtol=1e-4) for name in found)


def test_large_images_are_shrunk_and_not_cut():
    model = small_model()
    images, _, _ = random_frames(2, 240, 320)
    found = depth.predict(model, images)
    halved = torch.nn.functional.avg_pool2d(images.float() / 255, 2)
    for name, expected in depth.predict(model, halved, (240, 320)).items():
        assert torch.allclose(found[name], expected, rtol=1e-4)


def test_prediction_leaves_a_frozen_coarse_network_frozen():
    model = small_model()
    images, _, _ = random_frames(1)
    model.train()
    model.coarse.eval()
    depth.predict(model, images)
    assert model.training and model.fine.training
    assert not any(part.training for part in model.coarse.modules())
    with pytest.raises(ValueError, match="Expected images"):
        depth.predict(model, images[:, :1])
    assert model.training and not model.coarse.dropout.training


def test_prediction_is_without_dropout_and_gradient():
    model = small_model().train()
    images, _, _ = random_frames(1)
    first, again = (depth.predict(model, images)["fine"] for _ in range(2))
    assert torch.equal(first, again)
    assert not first.requires_grad
    assert model.training


# ---- Losses --------------------------------------------------------------------------------------


def test_the_loss_on_four_numbers_by_hand():
    """d = 1, 2, 3, 6: mean of the squares 12.5, mean 3."""
    target = maps((0.5, -1.0, 2.0, 0.0))
    prediction = target + maps((1, 2, 3, 6))
    for invariance, expected in ((0, 12.5), (0.5, 8.0), (1, 3.5)):
        loss = depth.scale_invariant_loss(prediction, target, everywhere(target), invariance)
        assert loss.item() == pytest.approx(expected, rel=1e-6)


def test_the_loss_equals_half_the_mean_over_pairs():
    """The second form of the paper, with 1 / 2n^2."""
    prediction, target = torch.randn(2, 1, 1, 5, 7, generator=seeded(), dtype=torch.float64)
    valid = torch.rand(1, 1, 5, 7, generator=seeded(1)) < 0.7
    d = (prediction - target)[valid]
    pairs = (d[:, None] - d[None]).square().sum() / (2 * len(d) ** 2)
    prediction, target, valid = (part.view(1, 1, 5, 7) for part in (prediction, target, valid))
    loss = depth.scale_invariant_loss(prediction, target, valid, 1.0)
    assert loss.item() == pytest.approx(pairs.item(), rel=1e-12)


def test_twice_the_depth_costs_nothing_when_scale_does_not_count():
    truth = 1 + torch.rand(3, 1, 4, 5, generator=seeded())
    prediction = (2 * truth).log()
    valid = everywhere(truth)
    assert depth.scale_invariant_loss(prediction, truth.log(), valid, 1.0).item() < 1e-6
    log_two = math.log(2) ** 2
    loss = depth.scale_invariant_loss(prediction, truth.log(), valid, 0.5)
    assert loss.item() == pytest.approx(log_two / 2, rel=1e-4)
    assert depth.gradient_loss(prediction, truth.log(), valid).item() < 1e-6


def test_each_image_has_a_scale_of_its_own():
    """One image too far by a factor, one too near: pooled over the batch, the means cancel."""
    target = torch.zeros(2, 1, 2, 2)
    prediction = maps((1, 1, 1, 1), (-1, -1, -1, -1))
    valid = everywhere(target)
    assert depth.scale_invariant_loss(prediction, target, valid, 1.0).item() == 0  # pooled: 1
    assert depth.scale_invariant_loss(prediction, target, valid, 0.5).item() == 0.5  # pooled: 1


def test_images_count_alike_whatever_their_holes():
    target = torch.zeros(2, 1, 2, 2)
    prediction = maps((1, 9, 9, 9), (2, 2, 2, 2))
    valid = maps((1, 0, 0, 0), (1, 1, 1, 1)).bool()
    assert depth.scale_invariant_loss(prediction, target, valid, 0.0).item() == (1 + 4) / 2


@pytest.mark.parametrize("loss", [depth.scale_invariant_loss, depth.gradient_loss])
@pytest.mark.parametrize("hidden", [math.nan, math.inf, -math.inf, -11.5])
def test_what_the_mask_hides_does_not_matter(loss, hidden):
    target = torch.randn(2, 1, 4, 4, generator=seeded())
    valid = torch.rand(2, 1, 4, 4, generator=seeded(1)) < 0.6
    start = torch.randn(2, 1, 4, 4, generator=seeded(2))

    def value_and_gradient(target):
        prediction = start.clone().requires_grad_()
        value = loss(prediction, target, valid)
        value.backward()
        return value, prediction.grad

    value, gradient = value_and_gradient(target)
    other, other_gradient = value_and_gradient(torch.where(valid, target, hidden))
    assert torch.equal(value, other)
    assert torch.equal(gradient, other_gradient)
    assert (gradient[~valid] == 0).all()
    assert torch.isfinite(gradient).all()


@pytest.mark.parametrize("loss", [depth.scale_invariant_loss, depth.gradient_loss])
def test_an_image_without_truth_teaches_nothing(loss):
    prediction = torch.randn(1, 1, 4, 4, generator=seeded()).requires_grad_()
    value = loss(prediction, torch.full((1, 1, 4, 4), math.nan), torch.zeros(1, 1, 4, 4).bool())
    value.backward()
    assert value.item() == 0
    assert (prediction.grad == 0).all()


def test_the_gradient_loss_by_hand():
    """d = 1 2 / 4 9: right 1, 5; down 3, 7; over four pixels."""
    d = maps((1, 2, 4, 9))
    zero = torch.zeros_like(d)
    assert depth.gradient_loss(d, zero, everywhere(d)).item() == (1 + 25 + 9 + 49) / 4
    # Without the pixel of 9 there remain 1 to the right and 3 down, over three pixels.
    valid = maps((1, 1, 1, 0)).bool()
    assert depth.gradient_loss(d, zero, valid).item() == pytest.approx((1 + 9) / 3)
    # Without 2 and 4 no pair is left.
    assert depth.gradient_loss(d, zero, maps((1, 0, 0, 1)).bool()).item() == 0


# ---- Training batches ----------------------------------------------------------------------------

PLAIN = depth.Augmentation(scale=(1, 1), rotation=0, colour=(1, 1), flip=0)


def frames_that_know_their_place(height, width):
    """Red is a thousandth of the column, green of the row; one depth tells the row, one the column.

    Returns frames with depth 10 m + row, and with 10 m + column.
    """
    rows, columns = torch.meshgrid(torch.arange(height), torch.arange(width), indexing="ij")
    images = torch.stack([columns, rows, 0 * rows])[None] / 1000
    valid = everywhere(rows)[None, None]
    return [(images, 10.0 + part[None, None], valid) for part in (rows, columns)]


def places_of(picture, architecture):
    """Where each output cell's pixel came from, (h, w, 2), and the affine map it follows."""
    height, width = architecture.output_size
    top, left = architecture.skipped
    cells = picture[:2, top + 5 :: 4, left + 5 :: 4][:, :height, :width].double() * 1000
    places = cells.permute(1, 2, 0).numpy()[..., ::-1]  # row, column
    grid = np.stack(np.meshgrid(np.arange(height), np.arange(width), indexing="ij"), -1)
    design = np.concatenate([grid, np.ones((height, width, 1))], -1)
    # Pixels near the middle never left the frame, so that their places follow the map exactly.
    middle = (slice(height // 4, -height // 4), slice(width // 4, -width // 4))
    solution, *_ = np.linalg.lstsq(
        design[middle].reshape(-1, 3), places[middle].reshape(-1, 2), rcond=None
    )
    return design @ solution, solution[:2]


@pytest.mark.parametrize(
    "augmentation",
    [
        PLAIN,
        depth.Augmentation(scale=(1, 1.5), rotation=0, colour=(1, 1), flip=0),
        depth.Augmentation(scale=(1, 1), rotation=8, colour=(1, 1), flip=0),
        depth.Augmentation(scale=(1, 1), rotation=0, colour=(1, 1), flip=1),
        depth.Augmentation(colour=(1, 1)),
    ],
    ids=["plain", "scale", "rotation", "flip", "all"],
)
@pytest.mark.parametrize("architecture", [depth.SMALL, depth.KITTI], ids=["small", "kitti"])
def test_depth_belongs_to_its_pixel_and_is_divided_by_the_scale(architecture, augmentation):
    """The picture tells where each pixel came from, how much it grew, and where the frame ended."""
    frame = tuple(side + 7 for side in architecture.coarse_input)
    count = 6 if architecture == depth.SMALL else 3
    (pictures, by_row, valid), (_, by_column, _) = (
        depth.draw_batch(frames, architecture, count, seeded(), augmentation)
        for frames in frames_that_know_their_place(*frame)
    )
    assert pictures.shape == (count, 3, *architecture.coarse_input)
    assert by_row.shape == valid.shape == (count, 1, *architecture.output_size)
    if augmentation.rotation == 0:
        assert valid.all()
    elif augmentation.rotation == 8:
        assert not valid.all()
    for picture, row, column, mask in zip(pictures, by_row, by_column, valid, strict=True):
        places, turn = places_of(picture, architecture)
        scale = 4 / math.sqrt(abs(np.linalg.det(turn)))
        low, high = augmentation.scale
        assert low - 1e-3 <= scale <= high + 1e-3
        angle = math.degrees(math.atan2(abs(turn[0, 1]), abs(turn[1, 1])))
        assert angle <= augmentation.rotation + 0.02
        if augmentation.flip != 0.5:
            assert (turn[1, 1] < 0) == augmentation.flip

        log_depth = torch.cat([row, column]).movedim(0, -1).double().numpy()
        found = np.exp(log_depth) * scale - 10
        nearest = np.round(places)
        mask = mask[0].numpy()
        clear = (np.abs(places - np.floor(places) - 0.5) > 0.02).all(-1)  # of a tie
        assert clear.mean() > 0.5
        np.testing.assert_allclose(found[mask & clear], nearest[mask & clear], atol=0.05)
        inside = (nearest >= 0).all(-1) & (nearest < frame).all(-1)
        np.testing.assert_array_equal(mask[clear], inside[clear])
        assert (log_depth[~mask] == 0).all()


def test_cuts_come_from_all_over_the_frame():
    frames = frames_that_know_their_place(120, 160)[0]
    pictures, _, _ = depth.draw_batch(frames, depth.SMALL, 60, seeded(), PLAIN)
    for corners, room in ((pictures[:, 0, 0, 0], 160 - 152), (pictures[:, 1, 0, 0], 120 - 114)):
        assert -1e-3 <= 1000 * corners.min() < 0.2 * room
        assert 0.8 * room < 1000 * corners.max() <= room + 1e-3


def test_half_of_the_pictures_are_mirrored():
    frames = frames_that_know_their_place(120, 160)[0]
    pictures, _, _ = depth.draw_batch(frames, depth.SMALL, 60, seeded())
    mirrored = pictures[:, 0, :, 100] < pictures[:, 0, :, 50]
    assert 15 < mirrored.float().mean(dim=1).round().sum() < 45


def test_scale_divides_depth():
    """A flat wall 3 m away, seen 1.5 times larger, is 2 m away."""
    images, metres, valid = random_frames(1)
    wall = torch.full_like(metres, 3.0)
    closer = depth.Augmentation(scale=(1.5, 1.5))
    _, target, mask = depth.draw_batch((images, wall, valid), depth.SMALL, 4, seeded(), closer)
    assert torch.allclose(target[mask], torch.tensor(2.0).log())


def test_depths_are_picked_and_never_averaged():
    """A checkerboard of 1 m and 9 m: an average would be something in between."""
    images, metres, valid = random_frames(1)
    squares = torch.arange(120)[:, None] + torch.arange(160)
    board = torch.where(squares % 2 == 0, 1.0, 9.0).expand_as(metres)
    only_turned = depth.Augmentation(scale=(1.3, 1.3))
    _, target, mask = depth.draw_batch(
        (images, board, valid), depth.SMALL, 8, seeded(), only_turned
    )
    found = (target[mask].exp() * 1.3).unique()
    assert all(min(abs(value - 1), abs(value - 9)) < 1e-4 for value in found.tolist())
    assert found.min() < 2 < found.max()


@pytest.mark.parametrize("hidden", [0.0, math.nan, math.inf, -1.0, 5.0])
def test_missing_depth_stays_missing(hidden):
    images, metres, valid = random_frames(2)
    valid = torch.rand(valid.shape, generator=seeded(1)) < 0.5
    metres = torch.where(valid, metres, hidden)
    _, target, mask = depth.draw_batch((images, metres, valid), depth.SMALL, 4, seeded(), PLAIN)
    assert 0.4 < mask.float().mean() < 0.6
    assert torch.isfinite(target).all()
    assert (target[~mask] == 0).all()
    assert target.exp().max() < 4.001


def test_batches_depend_on_the_generator_alone():
    frames = random_frames(3)
    draws = []
    for seed in (5, 5, 6):
        torch.rand(1)  # the global generator moves on
        draws.append(depth.draw_batch(frames, depth.SMALL, 4, seeded(seed)))
    assert all(torch.equal(a, b) for a, b in zip(draws[0], draws[1], strict=True))
    assert not torch.equal(draws[0][0], draws[2][0])


def test_colours_change_by_a_factor_a_channel():
    images = torch.full((1, 3, 120, 160), 0.5)
    _, metres, valid = random_frames(1)
    pictures, _, _ = depth.draw_batch((images, metres, valid), depth.SMALL, 50, seeded())
    factors = pictures.mean(dim=(2, 3)) / 0.5
    assert torch.allclose(pictures, 0.5 * factors[..., None, None].expand_as(pictures), atol=1e-4)
    assert 0.8 <= factors.min() < 0.85 and 1.15 < factors.max() <= 1.2
    assert (factors.std(dim=1) > 0.001).all()  # red, green and blue vary apart


def test_pictures_stay_in_range():
    frames = (torch.full((1, 3, 120, 160), 255, dtype=torch.uint8), *random_frames(1)[1:])
    pictures, _, _ = depth.draw_batch(frames, depth.SMALL, 8, seeded())
    assert pictures.dtype == torch.float32
    assert pictures.max() <= 1


# ---- Metrics -------------------------------------------------------------------------------------


def in_numpy(prediction, truth, valid):
    """The eight numbers again, written without torch and without our formulas' order."""
    y, t = prediction[valid].astype(float), truth[valid].astype(float)
    larger = np.maximum(y, t) / np.minimum(y, t)
    result = {f"delta{k}": np.mean(larger < 1.25**k) for k in (1, 2, 3)}
    result["abs_rel"] = np.mean(np.abs(y / t - 1))
    result["sqr_rel"] = np.mean((y - t) ** 2 / t)
    result["rmse"] = np.mean((y - t) ** 2) ** 0.5
    result["rmse_log"] = np.mean(np.log(y / t) ** 2) ** 0.5
    variances = [
        np.var(np.log(y[v].astype(float) / t[v].astype(float)))
        for y, t, v in zip(prediction, truth, valid, strict=True)
        if v.any()
    ]
    result["scale_invariant"] = np.mean(variances) ** 0.5
    return result


@pytest.fixture
def measured():
    generator = seeded(4)
    truth = 0.7 + 9 * torch.rand(6, 1, 12, 16, generator=generator)
    prediction = truth * (0.4 * torch.randn(truth.shape, generator=generator)).exp()
    valid = torch.rand(truth.shape, generator=generator) < torch.linspace(0.1, 1, 6).view(
        -1, 1, 1, 1
    )
    valid[2] = False
    return prediction, torch.where(valid, truth, 0.0), valid


def test_metrics_equal_numpys(measured):
    found = depth.measure(*measured)
    assert tuple(found) == depth.METRICS
    expected = in_numpy(*(part.numpy() for part in measured))
    assert found == pytest.approx(expected, rel=1e-9)


def test_metrics_on_four_numbers_by_hand():
    truth = maps((1, 2, 4, 5))
    found = depth.measure(maps((1.2, 1, 4, 10)), truth, everywhere(truth))
    ln2, ln12 = math.log(2), math.log(1.2)
    mean = (ln12 - ln2 + ln2) / 4
    expected = {
        "delta1": 2 / 4,
        "delta2": 2 / 4,
        "delta3": 2 / 4,  # a factor of 2 is more than 1.25^3 = 1.953
        "abs_rel": (0.2 + 0.5 + 0 + 1) / 4,
        "sqr_rel": (0.04 + 0.5 + 0 + 5) / 4,
        "rmse": math.sqrt((0.04 + 1 + 0 + 25) / 4),
        "rmse_log": math.sqrt((ln12**2 + 2 * ln2**2) / 4),
        "scale_invariant": math.sqrt((ln12**2 + 2 * ln2**2) / 4 - mean**2),
    }
    assert found == pytest.approx(expected, rel=1e-6)


def test_a_ratio_of_exactly_the_threshold_does_not_count():
    truth = torch.full((1, 1, 2, 2), 4.0)
    found = depth.measure(1.25 * truth, truth, everywhere(truth))
    assert (found["delta1"], found["delta2"]) == (0, 1)


@pytest.mark.parametrize("size", [1, 2, 4])
def test_batches_add_up_to_the_whole(measured, size):
    metrics = depth.DepthMetrics()
    for parts in zip(*(part.split(size) for part in measured), strict=True):
        metrics.add(*parts)
    assert metrics.result() == pytest.approx(depth.measure(*measured), rel=1e-12)


def test_metrics_are_pooled_over_pixels_but_the_scale_is_each_images():
    truth = torch.ones(2, 1, 2, 2)
    prediction = maps((2, 2, 2, 2), (0.5, 0.5, 0.5, 0.5))
    assert depth.measure(prediction, truth, everywhere(truth))["scale_invariant"] < 1e-9
    valid = maps((1, 1, 1, 1), (1, 0, 0, 0)).bool()
    found = depth.measure(prediction, truth, valid)
    assert found["abs_rel"] == pytest.approx((4 * 1 + 1 * 0.5) / 5)  # by images it were 0.75


def test_the_scale_invariant_error_is_the_root_of_the_loss():
    prediction, truth = 0.5 + torch.rand(2, 3, 1, 6, 7, generator=seeded())
    valid = everywhere(truth)
    loss = depth.scale_invariant_loss(prediction.log(), truth.log(), valid, 1.0)
    found = depth.measure(prediction, truth, valid)["scale_invariant"]
    assert found == pytest.approx(loss.sqrt().item(), rel=1e-4)


def test_what_the_mask_hides_is_not_measured(measured):
    prediction, truth, valid = measured
    for hidden in (math.nan, math.inf, 0.0):
        other = (torch.where(valid, part, hidden) for part in (prediction, truth))
        assert depth.measure(*other, valid) == depth.measure(*measured)


@pytest.mark.parametrize(
    ("height", "width", "rows", "columns"),
    [
        (480, 640, (45, 470), (41, 600)),
        (240, 320, (22, 234), (20, 299)),
        (120, 160, (11, 117), (10, 149)),
    ],
)
def test_the_crop_that_papers_score(height, width, rows, columns):
    mask = depth.eigen_crop(height, width)
    assert mask.shape == (height, width)
    for lines, ends in ((mask.any(1), rows), (mask.any(0), columns)):
        assert lines.nonzero().flatten().tolist() == list(range(ends[0], ends[1] + 1))
    assert mask.sum() == (rows[1] - rows[0] + 1) * (columns[1] - columns[0] + 1)


def test_edges_lie_on_both_sides_of_a_step():
    metres = torch.full((1, 1, 9, 12), 2.0)
    metres[..., 6:] = 2.5
    for within in (1, 2, 3):
        near = depth.near_edges(metres, within)
        for line in near[0, 0]:
            assert line.nonzero().flatten().tolist() == list(range(6 - within, 6 + within))
    upright = depth.near_edges(metres.mT)
    assert torch.equal(upright, depth.near_edges(metres).mT)
    assert not depth.near_edges(metres, step=0.25).any()  # log(2.5 / 2) = 0.22
    slope = torch.linspace(1, 2, 12).expand(1, 1, 9, 12)
    assert not depth.near_edges(slope).any()


def test_missing_depth_makes_no_edge():
    metres = torch.full((1, 1, 9, 12), 2.0)
    metres[..., 3:5, 4:7] = 0
    assert not depth.near_edges(metres).any()


def test_an_oracle_finds_each_images_factor():
    truth = 1 + torch.rand(3, 1, 4, 5, generator=seeded())
    factors = torch.tensor([0.5, 1.0, 3.0]).view(3, 1, 1, 1)
    aligned = depth.align_scale(factors * truth, truth, everywhere(truth))
    assert torch.allclose(aligned, truth, rtol=1e-5)


def test_an_oracle_leaves_only_the_scale_invariant_error(measured):
    prediction, truth, valid = measured
    one = [part[5:] for part in measured]
    aligned = depth.align_scale(*one)
    before, after = depth.measure(*one), depth.measure(aligned, *one[1:])
    assert after["scale_invariant"] == pytest.approx(before["scale_invariant"], rel=1e-5)
    assert after["rmse_log"] == pytest.approx(before["scale_invariant"], rel=1e-5)
    # What the mask hides, and an image without truth, change nothing.
    aligned = depth.align_scale(prediction, torch.where(valid, truth, math.nan), valid)
    assert torch.isfinite(aligned).all()
    assert torch.equal(aligned[2], prediction[2])


def test_collapse_shows_in_the_spread():
    sizes = torch.tensor([1.0, 2.0, 4.0, 8.0]).view(4, 1, 1, 1)
    truth = sizes * (1 + torch.rand(4, 1, 3, 3, generator=seeded()))
    valid = torch.rand(truth.shape, generator=seeded(1)) < 0.8
    log_means = [truth[i][valid[i]].log().mean().item() for i in range(4)]
    same = depth.collapse_check(truth, torch.where(valid, truth, 0.0), valid)
    assert same["spread"] == pytest.approx(np.std(log_means, ddof=1), rel=1e-4)
    assert same["true_spread"] == pytest.approx(same["spread"], rel=1e-6)
    assert same["correlation"] == pytest.approx(1, abs=1e-5)
    collapsed = depth.collapse_check(torch.full_like(truth, 2.0), truth, valid)
    assert collapsed["spread"] < 1e-6
    assert abs(collapsed["correlation"]) < 1e-2
    opposite = depth.collapse_check(1 / truth, truth, valid)
    assert opposite["correlation"] == pytest.approx(-1, abs=1e-5)


def test_collapse_leaves_out_an_image_without_truth():
    truth = torch.tensor([1.0, 2.0, 4.0]).view(3, 1, 1, 1).expand(3, 1, 2, 2)
    valid = everywhere(truth).clone()
    with_all = depth.collapse_check(truth[:2], truth[:2], valid[:2])
    valid[2] = False
    assert depth.collapse_check(truth, truth, valid) == with_all


# ---- A set of frames -----------------------------------------------------------------------------


def test_evaluation_is_prediction_and_measurement():
    model = small_model()
    images, _, _ = random_frames(34, seed=1)  # two batches
    metres = torch.full((34, 1, 120, 160), 2.0) * torch.linspace(0.8, 2, 34).view(-1, 1, 1, 1)
    metres[..., 50:] *= 1.5
    valid = torch.rand(metres.shape, generator=seeded(2)) < 0.9
    table = depth.evaluate(model, (images, metres, valid), crop=True)
    predicted = depth.predict(model, images)
    mask = valid & depth.eigen_crop(120, 160)
    assert table["frames"] == 34
    near = torch.zeros_like(mask)
    near[..., 48:52] = True
    for name, maps in predicted.items():
        assert table[name] == pytest.approx(depth.measure(maps, metres, mask))
        for place, part in (("edges", near & mask), ("elsewhere", ~near & mask)):
            scores = depth.measure(maps, metres, part)
            expected = {metric: scores[metric] for metric in ("abs_rel", "rmse_log")}
            assert table[place][name] == pytest.approx(expected)
    assert table["collapse"]["mean"]["spread"] < 0.05 < table["collapse"]["mean"]["true_spread"]


# ---- Mistakes ------------------------------------------------------------------------------------

TWO, ONE = torch.ones(1, 1, 2, 2), torch.ones(1, 1, 2, 1)
MASK = TWO.bool()


def fine(images, coarse):
    return depth.FineNetwork(depth.SMALL)(torch.rand(*images), torch.rand(*coarse))


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda: depth.CoarseNetwork(depth.SMALL)(torch.rand(1, 3, 120, 160)), "centre_crop"),
        (lambda: depth.CoarseNetwork(depth.SMALL)(torch.rand(3, 114, 152)), "Expected images"),
        (lambda: small_model()(random_frames(1)[0]), "to_unit"),
        (lambda: fine((1, 3, 228, 304), (1, 1, 26, 36)), r"\(B, 3, 114, 152\)"),
        (lambda: fine((1, 3, 114, 152), (1, 1, 36, 26)), r"coarse map \(1, 1, 26, 36\)"),
        (lambda: fine((2, 3, 114, 152), (1, 1, 26, 36)), r"coarse map \(2, 1, 26, 36\)"),
        (lambda: depth.centre_crop(torch.rand(1, 100, 160), (114, 152)), "100 x 160 pixels are"),
        (lambda: depth.predict(small_model(), torch.rand(1, 3, 120, 99)), "too small for a cut"),
        (
            lambda: depth.predict(small_model(), torch.rand(1, 3, 120, 160), (300, 400)),
            "300 x 400",
        ),
        (
            lambda: depth.initialise(
                small_model(), (*random_frames(1)[:2], torch.zeros(1, 1, 120, 160).bool()), seeded()
            ),
            "no valid depth",
        ),
        (lambda: depth.scale_invariant_loss(TWO, TWO, MASK, 1.5), "between 0 and 1; got 1.5"),
        (lambda: depth.scale_invariant_loss(TWO, ONE, MASK), "one shape"),
        (lambda: depth.gradient_loss(TWO, TWO, MASK[0]), "one shape"),
        (lambda: depth.align_scale(ONE, TWO, MASK), "one shape"),
        (
            lambda: depth.draw_batch(random_frames(1, 100, 160), depth.SMALL, 1, seeded()),
            "too small for a cut of 114 x 152",
        ),
        (lambda: depth.measure(TWO, ONE, MASK), "one shape"),
        (lambda: depth.measure(TWO, TWO, ~MASK), "No valid pixel"),
        (lambda: depth.DepthMetrics().result(), "No valid pixel"),
        (lambda: depth.measure(TWO, 0 * TWO, MASK), "truth has a depth of 0 m"),
        (lambda: depth.measure(-TWO, TWO, MASK), "prediction has a depth of -1 m"),
        (lambda: depth.measure(math.inf * TWO, TWO, MASK), "prediction has a depth of inf m"),
        (lambda: depth.measure(math.nan * TWO, TWO, MASK), "prediction has a depth of nan m"),
        (lambda: depth.collapse_check(TWO, TWO, MASK), "two images"),
    ],
)
def test_bad_input_is_named(call, words):
    with pytest.raises(ValueError, match=words):
        call()


def test_tone_varies_pictures_and_leaves_depth_alone():
    frames = (
        torch.randint(0, 256, (3, 3, 120, 160), dtype=torch.uint8, generator=seeded()),
        1 + torch.rand(3, 1, 120, 160, generator=seeded(1)),
        torch.ones(3, 1, 120, 160, dtype=torch.bool),
    )
    plain = depth.draw_batch(frames, depth.SMALL, 4, seeded(2))
    varied = depth.draw_batch(frames, depth.SMALL, 4, seeded(2), depth.Augmentation(tone=0.3))
    assert torch.equal(plain[1], varied[1]) and torch.equal(plain[2], varied[2])
    assert varied[0].min() >= 0 and varied[0].max() <= 1
    assert (plain[0] - varied[0]).abs().mean(dim=(1, 2, 3)).min() > 0.001
