"""What video teaches by: by hand, against scikit-image and against kornia."""

import doctest
import math

import kornia
import pytest
import torch
from skimage.metrics import structural_similarity
from torch.autograd import gradcheck

from lessons_utils import motion
from lessons_utils.motion import losses


def uniform(low, high, *shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return low + (high - low) * torch.rand(*shape, generator=generator, dtype=torch.float64)


def pictures(seed=0, size=(11, 14)):
    return uniform(0, 1, 2, 3, *size, seed=seed)


def uniform_flow(x, y, height=20, width=40):
    return torch.tensor([x, y]).float().view(1, 2, 1, 1).repeat(1, 1, height, width)


def test_the_docstrings_examples_hold():
    assert doctest.testmod(losses).failed == 0


# ---- The photometric error -----------------------------------------------------------------------


def test_ssim_is_scikit_images_with_a_box_of_3():
    for noise in (0.02, 0.3, 1.0):
        first = pictures()
        second = (first + noise * (pictures(1) - 0.5)).clamp(0, 1)
        found = motion.ssim_map(first, second)
        for a, b, ours in zip(first, second, found, strict=True):
            options = {"win_size": 3, "channel_axis": 0, "data_range": 1.0, "full": True}
            _, theirs = structural_similarity(
                a.numpy(), b.numpy(), use_sample_covariance=False, **options
            )
            assert abs(ours.numpy() - theirs).max() < 1e-5


def test_the_error_on_flat_pictures_by_hand():
    """Means 0.2 and 0.6, no variance: SSIM = (2 * 0.12 + C1) / (0.04 + 0.36 + C1)."""
    dark, bright = torch.full((1, 3, 4, 5), 0.2).double(), torch.full((1, 3, 4, 5), 0.6).double()
    ssim = (0.24 + 1e-4) / (0.4 + 1e-4)
    error = motion.photometric_error(dark, bright)
    assert error.shape == (1, 1, 4, 5)
    assert torch.allclose(error, torch.tensor(0.85 * (1 - ssim) / 2 + 0.15 * 0.4).double())
    assert torch.allclose(motion.photometric_error(dark, bright, 0.0), torch.tensor(0.4).double())


def test_the_error_lies_between_0_and_1():
    board = (torch.arange(6)[:, None] + torch.arange(6)) % 2
    board = board.double().expand(1, 3, 6, 6)
    assert motion.photometric_error(board, board).abs().max() < 1e-12
    opposite = motion.photometric_error(board, 1 - board)
    assert opposite[..., 1:-1, 1:-1].min() > 0.9 and opposite.max() <= 1


def test_a_shift_costs_and_more_of_it_costs_more():
    smooth = torch.nn.functional.interpolate(pictures(size=(6, 8)), size=(48, 64), mode="bicubic")
    costs = [
        motion.photometric_error(smooth[..., 8:-8], smooth[..., 8 + n : n - 8]).mean().item()
        for n in range(7)
    ]
    assert costs == sorted(costs) and costs[0] < 1e-9


def test_the_error_has_the_right_gradient():
    first, second = pictures(size=(4, 5)), pictures(1, size=(4, 5))
    assert gradcheck(motion.photometric_error, (first, second.requires_grad_()))
    flat = torch.full((1, 3, 4, 4), 0.5, requires_grad=True)
    motion.photometric_error(torch.full((1, 3, 4, 4), 0.4), flat).sum().backward()
    assert torch.isfinite(flat.grad).all() and (flat.grad > 0).all()


def test_what_cannot_be_rebuilt_teaches_nothing():
    target, valid = pictures(), torch.ones(2, 1, 11, 14, dtype=torch.bool)
    valid[..., :4] = False

    def value_and_gradient(hidden):
        warped = torch.where(valid, pictures(1), hidden).requires_grad_()
        loss = motion.photometric_loss(target, warped, valid)
        loss.backward()
        return loss, warped.grad

    (loss, gradient), (other, other_gradient) = (value_and_gradient(h) for h in (0.0, 1.0))
    assert torch.equal(loss, other) and torch.equal(gradient, other_gradient)
    assert (gradient[..., :4] == 0).all() and (gradient[..., 4:] != 0).any()
    expected = motion.photometric_error(target, pictures(1))[..., 5:].mean()
    assert loss.item() == pytest.approx(expected.item())


def test_erosion_and_means_by_hand():
    mask = torch.ones(1, 1, 5, 6, dtype=torch.bool)
    mask[0, 0, 0, 2] = False
    expected = mask.clone()
    expected[0, 0, :2, 1:4] = False
    assert torch.equal(motion.erode(mask), expected)

    values = torch.tensor([[1.0, 2, 3], [5, 7, torch.nan]]).view(1, 2, 1, 3).requires_grad_()
    first_two = torch.tensor([True, True, False]).view(1, 1, 1, 3)
    assert motion.masked_mean(values, first_two).item() == (1 + 2 + 5 + 7) / 4
    nothing = motion.masked_mean(values, first_two & False)
    nothing.backward()
    assert nothing.item() == 0 and (values.grad == 0).all()


def test_pictures_that_do_not_compare_are_refused():
    with pytest.raises(ValueError, match="one shape"):
        motion.photometric_error(torch.zeros(1, 3, 4, 4), torch.zeros(1, 3, 4, 5))
    with pytest.raises(ValueError, match="uint8"):
        motion.photometric_error(*torch.zeros(2, 1, 3, 4, 4, dtype=torch.uint8))
    with pytest.raises(ValueError, match="one size"):
        motion.smoothness_loss(torch.zeros(1, 1, 4, 4), torch.zeros(1, 3, 4, 5))


# ---- Smoothness ----------------------------------------------------------------------------------


def test_smoothness_is_kornias():
    disparity, images = uniform(0.01, 10, 2, 1, 11, 14, seed=2), pictures()
    theirs = kornia.losses.inverse_depth_smoothness_loss(disparity, images)
    assert abs(motion.smoothness_loss(disparity, images) - theirs) < 1e-5
    normalised = motion.normalise_disparity(disparity)
    theirs = kornia.losses.inverse_depth_smoothness_loss(normalised, images)
    assert abs(motion.smoothness_loss(normalised, images) - theirs) < 1e-5


def test_smoothness_by_hand():
    """A step of 2 at one of three places, on a flat picture and where that has an edge of 0.5."""
    maps = torch.tensor([0.0, 0, 2, 2]).expand(1, 1, 3, 4)
    flat = torch.zeros(1, 3, 3, 4)
    assert motion.smoothness_loss(maps, flat).item() == pytest.approx(2 / 3)
    edge = (maps / 4).expand(1, 3, 3, 4)
    found = motion.smoothness_loss(maps, edge).item()
    assert found == pytest.approx(2 / 3 * torch.tensor(-0.5).exp().item())
    turned = motion.smoothness_loss(maps.mT, edge.mT).item()
    assert turned == pytest.approx(found)


def test_sharpness_makes_an_edge_nearly_free():
    maps, edge = torch.zeros(1, 2, 4, 6), torch.zeros(1, 3, 4, 6)
    maps[..., 3:], edge[..., 3:] = 5.0, 0.3  # both jump in one place
    found = [motion.smoothness_loss(maps, edge, sharpness).item() for sharpness in (0, 1, 10)]
    assert found == pytest.approx([math.exp(-0.3 * sharpness) for sharpness in (0, 1, 10)])
    flat = torch.zeros_like(edge)
    assert motion.smoothness_loss(maps, flat, 10.0) == motion.smoothness_loss(maps, flat)


def test_flow_counts_the_mean_of_its_components():
    flow, images = uniform(-3, 3, 2, 2, 11, 14), pictures()
    parts = [motion.smoothness_loss(flow[:, i : i + 1], images) for i in range(2)]
    assert motion.smoothness_loss(flow, images).item() == pytest.approx(sum(parts).item() / 2)


def test_normalised_disparity_has_no_unit():
    """Without it, a disparity that shrinks is smoother: the collapse of lesson 09."""
    disparity, images = uniform(0.01, 10, 2, 1, 11, 14), pictures()
    small = disparity * torch.tensor([0.1, 3.0]).view(2, 1, 1, 1)
    assert torch.allclose(*(motion.normalise_disparity(d) for d in (disparity, small)))
    shrunk = motion.smoothness_loss(0.1 * disparity, images)
    assert shrunk.item() == pytest.approx(0.1 * motion.smoothness_loss(disparity, images).item())


# ---- Forward and backward ------------------------------------------------------------------------


def test_there_and_back_agree_inside_the_picture():
    forward = uniform_flow(5, -2)
    disagreement, inside = motion.flow_disagreement(forward, -forward)
    mask = motion.consistency_mask(forward, -forward)
    expected = torch.zeros(1, 1, 20, 40, dtype=torch.bool)
    expected[..., 2:, :-5] = True
    assert torch.equal(inside, expected) and torch.equal(mask, expected)
    assert disagreement[expected.expand_as(disagreement)].abs().max() < 1e-4


@pytest.mark.parametrize(
    ("length", "off", "agrees"),
    [
        *((1, 2.9, True), (1, 3.1, False)),
        *((50, 2.9, True), (50, 3.1, False)),
        *((100, 4.9, True), (100, 5.1, False)),
    ],
)
def test_the_bounds_are_3_pixels_and_5_percent(length, off, agrees):
    forward = uniform_flow(length, 0, 20, 140)
    off_by = motion.consistency_mask(forward, uniform_flow(-length, off, 20, 140))
    assert (off_by[..., : 140 - length] == agrees).all()
    assert not off_by[..., 140 - length :].any()


def test_the_forward_flow_says_where_the_backward_flow_is_read():
    """A block moves 5 to the right and hides the background there: that disagrees, and no more."""
    forward, backward = uniform_flow(0, 0), uniform_flow(0, 0)
    forward[:, 0, 5:15, 10:18] = 5
    backward[:, 0, 5:15, 15:23] = -5
    mask = motion.consistency_mask(forward, backward)
    hidden = torch.zeros_like(mask)
    hidden[..., 5:15, 18:23] = True
    assert torch.equal(~mask, hidden)
    laid_bare = ~motion.consistency_mask(backward, forward)
    assert laid_bare[..., 5:15, 10:15].all() and laid_bare.sum() == 50


def test_the_mask_has_no_gradient_and_the_disagreement_has():
    forward = uniform(-1, 1, 1, 2, 5, 6).requires_grad_()
    backward = uniform(-1, 1, 1, 2, 5, 6, seed=1).requires_grad_()
    assert not motion.consistency_mask(forward, backward).requires_grad
    assert gradcheck(lambda f, b: motion.flow_disagreement(f, b)[0], (forward, backward))
