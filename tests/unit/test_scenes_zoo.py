"""The drawn zoo: what its pictures are, that they come back the same, and can be learnt.

No hash is compared: another Pillow may draw an edge a little differently.
"""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from lessons_utils.scenes import zoo

KINDS = (*zoo.ANIMALS, *zoo.NEAR, *zoo.THINGS)


def correlation(a, b):
    return torch.corrcoef(torch.stack([a.flatten().double(), b.flatten().double()]))[0, 1].item()


# One picture -------------------------------------------------------------------------------------


@pytest.mark.parametrize("kind", KINDS)
def test_a_picture_has_the_shape_and_range_that_it_promises(kind):
    for seed in range(6):
        picture = zoo.draw(kind, seed)
        assert picture.shape == (3, 32, 32) and picture.dtype == torch.uint8
        assert picture.float().std() > 8, "something is to be seen"


def test_the_same_seed_draws_the_same_picture_and_another_seed_another():
    for kind in KINDS:
        assert torch.equal(zoo.draw(kind, 5), zoo.draw(kind, 5))
        assert not torch.equal(zoo.draw(kind, 5), zoo.draw(kind, 6))
    assert not torch.equal(zoo.draw("cat", 5), zoo.draw("dog", 5))


def test_drawing_leaves_the_common_randomness_alone():
    torch.manual_seed(0)
    before = torch.get_rng_state()
    zoo.draw("owl", 0)
    assert torch.equal(torch.get_rng_state(), before)


@pytest.mark.parametrize("kind", KINDS)
def test_another_size_shows_the_same_drawing(kind):
    for seed in range(4):
        small, large = zoo.draw(kind, seed), zoo.draw(kind, seed, size=96)
        assert large.shape == (3, 96, 96)
        shrunk = F.avg_pool2d(large.float(), 3)
        assert correlation(small, shrunk) > 0.95
        assert correlation(small, F.avg_pool2d(zoo.draw(kind, seed + 9, 96).float(), 3)) < 0.9


def test_the_largest_and_the_smallest_size_can_be_drawn():
    assert zoo.draw("cat", 0, size=8).shape == (3, 8, 8)
    assert zoo.draw("cat", 0, size=zoo.LARGEST).shape == (3, zoo.LARGEST, zoo.LARGEST)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("horse", 0), "No kind is named 'horse'; there are cat, dog"),
        (("cat", -1), "seed from 0"),
        (("cat", 0, 7), "size of 8 to 512"),
        (("cat", 0, 2000), "size of 8 to 512"),
    ],
)
def test_a_picture_that_cannot_be_drawn_is_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        zoo.draw(*arguments)


# Many --------------------------------------------------------------------------------------------


def test_every_kind_comes_in_its_turn():
    pictures, labels = zoo.images(zoo.ANIMALS, "train", 13)
    assert pictures.shape == (13, 3, 32, 32) and pictures.dtype == torch.uint8
    assert labels.dtype == torch.int64
    assert labels.tolist() == [0, 1, 2, 3, 4, 0, 1, 2, 3, 4, 0, 1, 2]


def test_images_are_those_that_draw_draws():
    pictures, _ = zoo.images(("dog", "cup"), "validation", 4, size=16)
    first = zoo.SPLIT_SIZE
    drawn = [("dog", first), ("cup", first), ("dog", first + 1), ("cup", first + 1)]
    assert torch.equal(pictures, torch.stack([zoo.draw(*one, size=16) for one in drawn]))


def test_the_first_images_of_more_are_the_images_of_fewer():
    few, few_labels = zoo.images(zoo.ANIMALS, "test", 7)
    more, more_labels = zoo.images(zoo.ANIMALS, "test", 21)
    assert torch.equal(more[:7], few) and torch.equal(more_labels[:7], few_labels)


def test_a_kind_is_drawn_alike_in_any_company():
    alone, _ = zoo.images(("owl",), "train", 3)
    together, labels = zoo.images(zoo.ANIMALS, "train", 15)
    assert torch.equal(together[labels == zoo.ANIMALS.index("owl")], alone)


def test_no_two_pictures_of_any_split_are_the_same():
    pictures = [zoo.images(zoo.ANIMALS, split, 40, size=16)[0] for split in zoo.SPLITS]
    assert len(torch.cat(pictures).flatten(1).unique(dim=0)) == 120


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (((), "train", 1), "Expected a tuple of kinds"),
        (("cat", "train", 1), "Expected a tuple of kinds"),
        ((("cat", "cat"), "train", 1), "each once"),
        ((("cat", "horse"), "train", 1), "No kind is named 'horse'"),
        ((("cat",), "all", 1), "No split is named 'all'; there are train, validation, test"),
        ((("cat",), "train", 0), "Expected 1 to 1000000 pictures"),
        ((("cat",), "train", 1_000_001), "Expected 1 to 1000000 pictures"),
        ((("cat",), "train", 1, 4), "of 8 to 512 pixels"),
    ],
)
def test_images_that_cannot_be_drawn_are_refused(arguments, message):
    with pytest.raises(ValueError, match=message):
        zoo.images(*arguments)


def test_a_tiny_network_learns_the_animals():
    torch.manual_seed(0)
    pictures, labels = zoo.images(zoo.ANIMALS, "train", 300)
    tested, truth = zoo.images(zoo.ANIMALS, "test", 100)
    network = nn.Sequential(
        nn.Conv2d(3, 16, 5, stride=2),
        nn.ReLU(),
        nn.Conv2d(16, 32, 3, stride=2),
        nn.ReLU(),
        nn.Flatten(),
        nn.Linear(32 * 6 * 6, len(zoo.ANIMALS)),
    )
    optimizer = torch.optim.Adam(network.parameters(), lr=3e-3)
    for step in range(60):
        chosen = torch.arange(step * 50, step * 50 + 50) % len(pictures)
        loss = F.cross_entropy(network(pictures[chosen] / 255 - 0.5), labels[chosen])
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    right = (network(tested / 255 - 0.5).argmax(dim=1) == truth).float().mean()
    assert right > 0.5, "chance is 0.2"
