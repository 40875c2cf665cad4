"""Scores from features, against pytorch-ood and by hand."""

import pytest
import torch
from torch import nn

from lessons_utils import anomaly


@pytest.fixture
def model():
    torch.manual_seed(0)
    return anomaly.CompactNet(classes=4, widths=(4, 8, 8)).eval()


def test_features_are_what_the_last_layer_sees(model):
    images = torch.rand(5, 3, 32, 32)
    features, logits = anomaly.features_and_logits(model, images, batch_size=2)
    assert features.shape == (5, 8) and features.dtype == torch.float64
    assert torch.allclose(model.output(features.float()).double(), logits, atol=1e-5)
    assert not model.output._forward_pre_hooks


def test_a_model_without_linear_layer_is_refused():
    with pytest.raises(ValueError, match="ends in an nn"):
        anomaly.features_and_logits(nn.Sequential(nn.Flatten()), torch.rand(1, 3, 2, 2))


def test_gaussians_agree_with_pytorch_ood():
    from pytorch_ood.detector import Mahalanobis

    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(300) % 3
    features = torch.randn(300, 5, generator=generator).double() + labels[:, None]
    tested = 3 * torch.randn(40, 5, generator=generator).double()
    theirs = Mahalanobis(nn.Identity()).fit_features(features.float(), labels)
    ours = anomaly.fit_gaussians(features, labels).scores(tested)
    scatter_distances = theirs.predict_features(tested.float()).double()  # halved, not of a mean
    assert torch.allclose(ours, -2 * len(features) * scatter_distances, rtol=1e-4)


def test_a_mean_has_distance_zero_and_a_missing_class_is_named():
    features = torch.tensor([[0.0, 0], [0, 2], [4, 1], [6, 1]]).double()
    labels = torch.tensor([0, 0, 1, 1])
    gaussians = anomaly.fit_gaussians(features, labels)
    assert gaussians.scores(gaussians.means) == pytest.approx([0.0, 0.0], abs=1e-12)
    # variances 1/2 and 1/2: (1, 0) away from a mean is 1 / 0.5
    assert gaussians.scores(torch.tensor([[1.0, 1.0]]).double()).item() == pytest.approx(-2)
    with pytest.raises(ValueError, match="Class 1 has no image"):
        anomaly.fit_gaussians(features, torch.tensor([0, 0, 2, 2]))
    with pytest.raises(ValueError, match="N labels"):
        anomaly.fit_gaussians(features, labels[:3])


def test_neighbours_are_counted_on_the_unit_circle():
    known = torch.tensor([[1.0, 0], [0, 5], [-3, 0]]).double()
    tested = torch.tensor([[7.0, 0]]).double()
    distances = [
        -anomaly.neighbour_scores(tested, known, neighbour).item() for neighbour in (1, 2, 3)
    ]
    assert distances == pytest.approx([0, 2**0.5, 2], abs=1e-9)
    with pytest.raises(ValueError, match="from 1 to 3"):
        anomaly.neighbour_scores(tested, known, 4)
