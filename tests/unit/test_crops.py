"""Crops of the embedded photographs."""

import pytest
import torch

from lessons_utils import datasets


def test_crops_have_the_shape_that_they_promise_and_come_back_the_same():
    crops = datasets.photograph_crops(8)
    assert crops.shape == (8, 3, 32, 32) and crops.dtype == torch.uint8
    assert torch.equal(datasets.photograph_crops(8), crops)
    assert torch.equal(datasets.photograph_crops(3), crops[:3])
    assert not torch.equal(datasets.photograph_crops(8, seed=1), crops)


def test_the_photographs_come_in_their_turn_whole_where_the_crop_is_as_large():
    height = datasets.photograph("coffee").shape[2]
    crop = datasets.photograph_crops(2, size=height)[1]
    photograph = (datasets.photograph("coffee")[0] * 255).round().byte()
    width = photograph.shape[2]
    nearest = min(
        (photograph[:, :, left : left + height].float() - crop).abs().mean().item()
        for left in range(width - height + 1)
    )
    assert nearest < 8, "but for a fraction of a pixel"


def test_a_crop_is_an_average_of_areas_not_a_sample():
    crops = datasets.photograph_crops(200, size=1).double().mean(dim=(0, 2, 3))
    pictures = [datasets.photograph(name) for name in ("astronaut", "coffee", "rocket")]
    pictures.append(datasets.stereo_motorcycle().left)
    whole = torch.stack([picture.mean(dim=(0, 2, 3)) for picture in pictures]).mean(dim=0) * 255
    assert (crops - whole).abs().max() < 20


@pytest.mark.parametrize("arguments", [(0,), (1, 0), (1, 401), (1, 32, -1)])
def test_crops_that_cannot_be_cut_are_refused(arguments):
    with pytest.raises(ValueError, match="Expected at least one crop of 1 to 400 pixels"):
        datasets.photograph_crops(*arguments)
