"""ODIN: by hand, against scikit-learn and pytorch-ood, on toy models and on the paper's network."""

import doctest
import math
import os
import weakref
from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from sklearn import metrics as sklearn_metrics
from torch import nn

from lessons_utils import anomaly, datasets
from lessons_utils.anomaly import classifiers, detector, metrics, scores

DATA = os.environ.get("LESSONS_DATA")
needs_data = pytest.mark.skipif(not DATA, reason="LESSONS_DATA is not set")
DENSENET = "densenet_bc100_k12_cifar10_dice.pth.tar"


def seeded(seed=0):
    return torch.Generator().manual_seed(seed)


def random_logits(count=200, classes=10, seed=0):
    return 3 * torch.randn(count, classes, generator=seeded(seed))


def random_images(count=12, size=16, seed=0):
    return torch.rand(count, 3, size, size, generator=seeded(seed))


def toy_model(classes=10, seed=0):
    """A small network with all that could be left changed: batch norm, dropout, several modes."""
    torch.manual_seed(seed)
    return nn.Sequential(
        anomaly.Normalise((0.5, 0.4, 0.3), (0.2, 0.25, 0.3)),
        nn.Conv2d(3, 8, 3),
        nn.BatchNorm2d(8),
        nn.SiLU(),
        nn.Dropout(0.5),
        nn.Flatten(),
        nn.Linear(8 * 14 * 14, classes),
    ).eval()


@pytest.mark.parametrize("module", [scores, metrics, classifiers, detector])
def test_the_docstrings_examples_hold(module):
    assert doctest.testmod(module).failed == 0


# ---- From logits -------------------------------------------------------------------------------


def test_temperature_softmax_by_hand():
    found = anomaly.temperature_softmax(torch.tensor([[math.log(9.0), 0.0]]), 2.0)
    assert found.dtype == torch.float64
    assert found[0].tolist() == pytest.approx([0.75, 0.25])  # 9 ** (1 / 2) : 1


def test_scores_by_hand():
    logits = torch.tensor([[2.0, 0.0, 0.0]])
    e2 = math.exp(2)
    assert anomaly.maximum_softmax(logits).item() == pytest.approx(e2 / (e2 + 2))
    assert anomaly.maximum_logit(logits).item() == 2
    assert anomaly.negative_energy(logits).item() == pytest.approx(math.log(e2 + 2))
    assert anomaly.negative_energy(logits, 2.0).item() == pytest.approx(2 * math.log(math.e + 2))


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
def test_half_precision_logits_score_as_their_float32_copy(dtype):
    halves = random_logits().to(dtype)
    for score in (anomaly.maximum_softmax, anomaly.negative_energy):
        assert torch.equal(score(halves, 1000.0), score(halves.float(), 1000.0))
    assert len(anomaly.maximum_softmax(halves, 1000.0).unique()) == len(halves)


def test_huge_logits_do_not_overflow():
    assert anomaly.temperature_softmax(torch.tensor([[1e30, 0.0]])).tolist() == [[1.0, 0.0]]


def test_at_large_temperature_u1_alone_decides():
    logits = random_logits(2000)
    hot = anomaly.maximum_softmax(logits, 1e6)
    u1, _ = anomaly.logit_gaps(logits)
    inside, outside = slice(0, 1200), slice(1200, 2000)
    limit = anomaly.measure(u1[inside], u1[outside])
    assert anomaly.measure(hot[inside], hot[outside]) == pytest.approx(limit, abs=1e-4)


def test_the_second_order_of_the_papers_expansion():
    logits, temperature = random_logits().double(), 1000.0
    u1, u2 = anomaly.logit_gaps(logits)
    expanded = 1 / (10 - 9 * u1 / temperature + 9 * u2 / (2 * temperature**2))
    exact = anomaly.maximum_softmax(logits, temperature)
    assert torch.allclose(exact, expanded, rtol=1e-6, atol=0)


def test_with_two_classes_temperature_changes_nothing():
    inside, outside = random_logits(300, 2), 0.7 * random_logits(200, 2, seed=1)
    cold = anomaly.measure(anomaly.maximum_softmax(inside), anomaly.maximum_softmax(outside))
    for temperature in (0.5, 10.0, 1000.0):
        warm = (anomaly.maximum_softmax(logits, temperature) for logits in (inside, outside))
        assert anomaly.measure(*warm) == pytest.approx(cold, abs=1e-12)


def test_with_two_classes_temperature_does_not_change_the_step():
    model, images = toy_model(2).double(), random_images().double()
    steps = [anomaly.perturb(model, images, temperature) for temperature in (1.0, 1000.0)]
    assert torch.equal(*steps)


@pytest.mark.parametrize(
    ("logits", "words"),
    [
        (torch.zeros(3), r"\(3,\)"),
        (torch.zeros(3, 1), "two classes"),
        (torch.zeros(3, 2, dtype=torch.int64), "int64"),
        ((torch.zeros(3, 2),), "tuple"),
        (torch.tensor([[0.0, math.nan]]), "not finite"),
        (torch.tensor([[0.0, math.inf]]), "not finite"),
    ],
)
def test_what_is_no_logits_is_refused(logits, words):
    with pytest.raises(ValueError, match=words):
        anomaly.maximum_softmax(logits)


@pytest.mark.parametrize("temperature", [0.0, -1.0, math.inf, math.nan])
def test_a_temperature_must_be_positive(temperature):
    for call in (
        lambda: anomaly.temperature_softmax(random_logits(), temperature),
        lambda: anomaly.negative_energy(random_logits(), temperature),
        lambda: anomaly.odin_scores(toy_model(), random_images(), temperature),
    ):
        with pytest.raises(ValueError, match="temperature must be positive"):
            call()


# ---- The metrics -------------------------------------------------------------------------------


def two_sets(ties=False, sizes=(700, 300), seed=0):
    inside = 1 + torch.randn(sizes[0], generator=seeded(seed), dtype=torch.float64)
    outside = torch.randn(sizes[1], generator=seeded(seed + 1), dtype=torch.float64)
    return [torch.round(s, decimals=0 if ties else 12) for s in (inside, outside)]


def test_metrics_by_hand():
    inside = torch.arange(1.0, 21.0)  # 95 % of 20 is 19: the threshold is 2
    outside = torch.tensor([0.0, 1.5, 2.0, 30.0])
    assert anomaly.threshold_at_tpr(inside) == 2
    found = anomaly.measure(inside, outside)
    assert found["fpr95"] == 0.5  # 2 and 30
    assert found["err_at_95"] == pytest.approx(0.025 + 0.25)
    # At a threshold of 3, 18 of 20 pass, and 1 of 4; no other does better.
    assert found["err_min"] == pytest.approx(0.5 * 2 / 20 + 0.5 * 1 / 4)
    # Of 80 pairs: 20 against 0; 19 against 1.5; 18 and a tie against 2; none against 30.
    assert found["auroc"] == pytest.approx((20 + 19 + 18.5) / 80)


def test_areas_under_precision_and_recall_by_hand():
    inside, outside = torch.tensor([3.0, 1.0]), torch.tensor([2.0, 0.0, 0.0, 0.0])
    found = anomaly.measure(inside, outside)
    # Accept 3: TPR 1/2, FPR 0, precision 1. Accept 1 too: TPR 1, FPR 1/4, precision 4/5.
    assert found["aupr_in"] == pytest.approx(0.5 * 1 + 0.5 * 0.8)
    # Reject 0s: 3/4 against none. Reject 1 too: 1/2 of `inside`. Reject 2: all, precision 2/3.
    assert found["aupr_out"] == pytest.approx(0.75 * 1 + 0.25 * 2 / 3)


def test_scores_that_say_nothing():
    same = torch.ones(50)
    found = anomaly.measure(same, same)
    assert found == {
        "fpr95": 1,
        "err_at_95": 0.525,
        "err_min": 0.5,
        "auroc": 0.5,
        "aupr_in": 0.5,
        "aupr_out": 0.5,
    }


@pytest.mark.parametrize("ties", [False, True])
def test_metrics_equal_scikit_learns(ties):
    inside, outside = two_sets(ties)
    found = anomaly.measure(inside, outside)
    labels = [1] * len(inside) + [0] * len(outside)
    weights = [1 / len(inside)] * len(inside) + [1 / len(outside)] * len(outside)
    values = torch.cat([inside, outside]).numpy()
    fpr, tpr, thresholds = sklearn_metrics.roc_curve(labels, values, drop_intermediate=False)
    first = int((tpr >= 0.95).argmax())
    precision = sklearn_metrics.average_precision_score
    expected = {
        "fpr95": fpr[first],
        "err_at_95": 0.025 + fpr[first] / 2,
        "err_min": ((1 - tpr + fpr) / 2).min(),
        "auroc": sklearn_metrics.roc_auc_score(labels, values),
        "aupr_in": precision(labels, values, sample_weight=weights),
        "aupr_out": precision([1 - k for k in labels], -values, sample_weight=weights),
    }
    assert found == pytest.approx(expected, abs=1e-9)
    assert list(found) == list(anomaly.METRICS)
    assert anomaly.threshold_at_tpr(inside) == thresholds[first]
    curve = [torch.from_numpy(points.copy()) for points in (thresholds, tpr, fpr)]
    for ours, theirs in zip(anomaly.roc_curve(inside, outside), curve, strict=True):
        assert torch.allclose(ours, theirs)


@pytest.mark.parametrize("ties", [False, True])
def test_metrics_equal_pytorch_oods(ties):
    from pytorch_ood.metrics import functional

    inside, outside = two_sets(ties)
    found = anomaly.measure(inside, outside)
    # Its scores are larger for outliers, and its FPR takes these, labelled -1, as positive. With
    # the labels exchanged, and the scores with them, it is the paper's.
    values = torch.cat([inside, outside])
    labels = torch.tensor([-1] * len(inside) + [0] * len(outside))
    assert found["fpr95"] == pytest.approx(functional.fpr_at_tpr(values, labels).item(), abs=1e-9)
    assert found["auroc"] == pytest.approx(functional.auroc(values, labels).item(), abs=1e-9)


def test_only_shares_count():
    inside, outside = two_sets()
    repeated = anomaly.measure(inside, outside.repeat(5))
    assert repeated == pytest.approx(anomaly.measure(inside, outside), abs=1e-12)


@pytest.mark.parametrize(("count", "accepted"), [(1, 1), (19, 19), (20, 19), (60, 57), (1000, 950)])
def test_the_threshold_accepts_just_enough(count, accepted):
    inside = torch.arange(float(count))
    assert (inside >= anomaly.threshold_at_tpr(inside)).sum() == accepted


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (torch.zeros(0), "at least one"),
        (torch.zeros(2, 2), r"\(2, 2\)"),
        (torch.tensor([0.0, math.nan]), "1 of 2 scores are NaN"),
    ],
)
def test_scores_that_cannot_be_ranked_are_refused(wrong, words):
    right = torch.zeros(3)
    for sets in ((wrong, right), (right, wrong)):
        with pytest.raises(ValueError, match=words):
            anomaly.measure(*sets)


@pytest.mark.parametrize("tpr", [0.0, 1.1, -0.5])
def test_the_rate_of_a_threshold_is_a_share(tpr):
    with pytest.raises(ValueError, match="share above 0"):
        anomaly.threshold_at_tpr(torch.zeros(3), tpr)


# ---- The step ----------------------------------------------------------------------------------


def linear_model(weight, bias=(0.0, 0.0, 0.0)):
    model = nn.Linear(2, 3)
    model.weight.data = torch.tensor(weight)
    model.bias.data = torch.tensor(bias)
    return model


def test_the_step_by_hand():
    # The first class wins. Its log softmax rises with the first pixel, falls with the second, and
    # does not depend on the third.
    model = nn.Linear(3, 2, bias=False)
    model.weight.data = torch.tensor([[2.0, -1.0, 5.0], [0.0, 0.0, 5.0]])
    stepped = anomaly.perturb(model, torch.tensor([[0.75, 0.25, 0.5]]), 1000.0, 0.125)
    assert stepped.tolist() == [[0.875, 0.125, 0.5]]


def test_the_score_after_the_step_by_hand():
    model = linear_model([[2.0, -1.0], [0.0, 0.0], [0.0, 0.0]])
    image = torch.tensor([[0.75, 0.25]])
    found = anomaly.odin_scores(model, image, temperature=2.0, epsilon=0.125).item()
    logit = 2 * 0.875 - 0.125
    assert found == pytest.approx(math.exp(logit / 2) / (math.exp(logit / 2) + 2))


def test_without_step_and_temperature_it_is_the_baseline():
    model, images = toy_model(), random_images()
    baseline = anomaly.baseline_scores(model, images)
    assert torch.equal(anomaly.odin_scores(model, images, 1.0, 0.0), baseline)
    with torch.no_grad():
        expected = model(images).double().softmax(dim=1).amax(dim=1)
    assert torch.allclose(baseline, expected, rtol=1e-12)


def test_the_step_raises_the_score_and_an_attack_lowers_it():
    model, images = toy_model(), random_images(50)
    label = anomaly.classify(model, images).argmax(dim=1, keepdim=True)

    def log_score(moved):
        logits = anomaly.classify(model, moved) / 1000
        return logits.log_softmax(dim=1).gather(1, label)

    step = anomaly.perturb(model, images, epsilon=0.0005) - images
    assert (log_score(images + step) > log_score(images)).all()
    assert (log_score(images - step) < log_score(images)).all()


def test_the_papers_units():
    """The authors' step on a normalised image, divided by the deviations, is ours on the pixels."""
    model, images = toy_model(), random_images()
    normalise, rest = model[0], model[1:]
    inputs = normalise(images).requires_grad_()
    logits = rest(inputs)
    F.cross_entropy(logits / 1000, logits.argmax(dim=1)).backward()
    moved = inputs.detach() - 0.0014 * inputs.grad.sign() / normalise.deviation
    ours = normalise(anomaly.perturb(model, images, 1000.0, 0.0014))
    assert torch.allclose(ours, moved, atol=1e-6)


def test_bytes_and_floats_are_the_same_images():
    levels = torch.randint(0, 256, (6, 3, 16, 16), generator=seeded()).to(torch.uint8)
    model = toy_model()
    assert torch.equal(
        anomaly.odin_scores(model, levels), anomaly.odin_scores(model, levels.float() / 255)
    )


@pytest.mark.parametrize("temperature", [1.0, 10.0, 1000.0])
def test_odin_equals_pytorch_oods(temperature):
    from pytorch_ood.detector import ODIN, EnergyBased, MaxLogit, MaxSoftmax

    model, images = toy_model(), random_images(40)
    logits = anomaly.classify(model, images)
    pairs = [
        (
            ODIN(model, eps=0.0014, temperature=temperature),
            anomaly.odin_scores(model, images, temperature),
        ),
        (MaxSoftmax(model, t=temperature), anomaly.maximum_softmax(logits, temperature)),
        (EnergyBased(model, t=temperature), anomaly.negative_energy(logits, temperature)),
        (MaxLogit(model), anomaly.maximum_logit(logits)),
    ]
    for reference, ours in pairs:
        theirs = -reference.predict(images).detach().double()
        scale = ours.abs().clamp(min=1)  # an energy at 1000 is some 2300: float32 has 7 digits
        assert ((ours - theirs) / scale).abs().max() < 1e-6


def test_odin_equals_pytorch_oods_on_normalised_inputs():
    from pytorch_ood.detector import ODIN

    model, images = toy_model(), random_images(40)
    normalise, rest = model[0], model[1:]
    theirs = ODIN(rest, norm_std=normalise.deviation.flatten().tolist())  # 0.0014, 1000
    theirs = -theirs.predict(normalise(images)).double()
    assert (anomaly.odin_scores(model, images) - theirs).abs().max() < 1e-6


# ---- What stays as it was ----------------------------------------------------------------------


def state_of(model):
    tensors = [(name, value.clone()) for name, value in model.state_dict().items()]
    gradients = [None if p.grad is None else p.grad.clone() for p in model.parameters()]
    return tensors, gradients, [part.training for part in model.modules()]


def assert_same_state(before, after):
    for (name, old), (_, new) in zip(before[0], after[0], strict=True):
        assert torch.equal(old, new), name
    for old, new in zip(before[1], after[1], strict=True):
        assert (old is None and new is None) or torch.equal(old, new)
    assert before[2] == after[2]


@pytest.mark.parametrize("gradients", [False, True])
def test_mode_buffers_and_gradients_stay(gradients):
    model, images = toy_model(), random_images()
    expected = anomaly.odin_scores(model, images)
    model.train()
    model[2].eval()  # a frozen batch norm among parts that train
    if gradients:
        F.cross_entropy(model(images), torch.zeros(len(images), dtype=torch.int64)).backward()
        model[1].requires_grad_(False)
    before, pixels = state_of(model), images.clone()
    assert torch.equal(anomaly.odin_scores(model, images), expected)
    anomaly.perturb(model, images)
    anomaly.baseline_scores(model, images)
    anomaly.odin_grid(model, images, [1.0, 10.0], [0.0, 0.001])
    assert_same_state(before, state_of(model))
    assert torch.equal(images, pixels) and not images.requires_grad and images.grad is None


def test_the_mode_comes_back_after_an_error():
    model = toy_model().train()
    with pytest.raises(RuntimeError):
        anomaly.odin_scores(model, torch.rand(2, 3, 5, 5))
    assert all(part.training for part in model.modules())


def test_frozen_models_and_images_with_gradients():
    model, images = toy_model(), random_images()
    expected = anomaly.odin_scores(model, images)
    model.requires_grad_(False)
    assert torch.equal(anomaly.odin_scores(model, images.requires_grad_()), expected)
    assert images.grad is None


@pytest.mark.parametrize("outer", [torch.no_grad, torch.inference_mode])
def test_an_outer_no_grad_does_not_matter(outer):
    model = toy_model()
    expected = anomaly.odin_scores(model, random_images())
    with outer():
        found = anomaly.odin_scores(model, random_images())  # images of that mode, too
        grid = anomaly.odin_grid(model, iter([random_images()]), [1000.0], [0.0014])
        stepped = anomaly.perturb(model, random_images())
        assert not torch.is_grad_enabled()
        assert torch.is_inference_mode_enabled() == (outer is torch.inference_mode)
    assert torch.equal(found, expected) and torch.equal(grid[0, 0], expected)
    assert not stepped.requires_grad
    assert torch.is_grad_enabled()


def test_a_model_made_in_inference_mode_is_named():
    with torch.inference_mode():
        model = toy_model()
        with pytest.raises(ValueError, match="made or loaded under torch"):
            anomaly.odin_scores(model, random_images())
        assert len(anomaly.baseline_scores(model, random_images())) == 12


class Blind(nn.Module):
    def __init__(self, forward):
        super().__init__()
        self.inner, self.function = toy_model(), forward

    def forward(self, images):
        return self.function(self.inner, images)


@pytest.mark.parametrize(
    ("forward", "words"),
    [
        (lambda inner, x: inner(x).detach(), "no gradient"),
        (torch.no_grad()(lambda inner, x: inner(x)), "no gradient"),
        (lambda inner, x: inner(x.detach()), "no gradient"),
        (lambda inner, x: (inner(x), x), "tuple"),
        (lambda inner, x: inner(x)[:, 0], "two classes"),
        (lambda inner, x: inner(x)[:1], "each of 12 images; got 1"),
        (lambda inner, x: inner(x) / 0, "not finite"),
    ],
)
def test_models_that_odin_cannot_use_are_named(forward, words):
    with pytest.raises(ValueError, match=words):
        anomaly.odin_scores(Blind(forward), random_images())


def test_a_model_that_works_in_place_is_fine():
    plain = toy_model()

    def in_place(inner, x):
        return inner(x.mul_(0.5))

    images = random_images()
    with torch.no_grad():
        expected = plain(anomaly.perturb(plain, images / 2, epsilon=0.0007))
    found = anomaly.odin_scores(Blind(in_place), images.clone(), epsilon=0.0014)
    assert torch.allclose(found, anomaly.maximum_softmax(expected, 1000.0), atol=1e-9)


def test_half_precision_models_are_refused_for_the_step_only():
    model = toy_model().to(torch.bfloat16)
    with pytest.raises(ValueError, match="computes in torch"):
        anomaly.odin_scores(model, random_images())
    assert anomaly.odin_scores(model, random_images(), epsilon=0.0).shape == (12,)
    assert anomaly.odin_scores(toy_model().double(), random_images()).shape == (12,)


def test_autocast_around_it_keeps_the_scores_apart():
    model, images = toy_model(), random_images()
    with torch.autocast("cpu", torch.bfloat16):
        found = anomaly.odin_scores(model, images)
    assert found.dtype == torch.float64 and len(found.unique()) == len(images)
    assert torch.allclose(found, anomaly.odin_scores(model, images), atol=1e-4)


@pytest.mark.parametrize("epsilon", [-0.001, math.nan, math.inf])
def test_epsilon_is_zero_or_more(epsilon):
    with pytest.raises(ValueError, match="Epsilon must be 0 or more"):
        anomaly.odin_scores(toy_model(), random_images(), epsilon=epsilon)


# ---- Batches -----------------------------------------------------------------------------------


def test_batches_come_as_they_like():
    model, images = toy_model(), random_images(11)
    expected = anomaly.odin_scores(model, images)
    labels = torch.zeros(11, dtype=torch.int64)
    loader = torch.utils.data.DataLoader(torch.utils.data.TensorDataset(images, labels), 4)
    for given in (loader, list(images.split(3)), (part for part in images.split(5))):
        assert torch.allclose(anomaly.odin_scores(model, given), expected, atol=1e-9)
    assert torch.allclose(anomaly.odin_scores(model, images, batch_size=2), expected, atol=1e-9)
    assert anomaly.classify(model, loader).shape == (11, 10)


@pytest.mark.parametrize(
    ("images", "words"),
    [
        (torch.zeros(0, 3, 16, 16), "no images"),
        ([], "no images"),
        (torch.zeros(2, 3, 16, 16, dtype=torch.int64), "int64"),
        ((random_images(), torch.zeros(12, dtype=torch.int64)), "int64"),
    ],
)
def test_what_is_no_images_is_refused(images, words):
    for call in (anomaly.odin_scores, anomaly.baseline_scores, anomaly.clean_and_odin_logits):
        with pytest.raises(ValueError, match=words):
            call(toy_model(), images)


def test_images_are_let_go_batch_by_batch():
    model, seen = toy_model(), []
    model.register_forward_pre_hook(lambda _, inputs: seen.append(weakref.ref(inputs[0])))
    alive = []

    def batches():
        for seed in range(6):
            alive.append(sum(reference() is not None for reference in seen))
            yield random_images(4, seed=seed)

    for call in (anomaly.classify, anomaly.clean_and_odin_logits, anomaly.odin_scores):
        call(model, batches())
    assert max(alive) <= 2  # of the last batch, which makes room for the next


# ---- Detector, tuning, table -------------------------------------------------------------------


def test_the_grid_is_what_single_calls_give():
    model, images = toy_model(), random_images()
    temperatures, epsilons = [1.0, 100.0], [0.0, 0.001, 0.004]
    grid = anomaly.odin_grid(model, images, temperatures, epsilons, batch_size=5)
    assert grid.shape == (2, 3, 12)
    for row, temperature in enumerate(temperatures):
        for column, epsilon in enumerate(epsilons):
            single = anomaly.odin_scores(model, images, temperature, epsilon)
            assert torch.allclose(grid[row, column], single, atol=1e-9)


def test_the_papers_grid():
    assert anomaly.TEMPERATURES == (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)
    assert len(anomaly.EPSILONS) == 21
    assert anomaly.EPSILONS[:2] == (0, 0.0002) and anomaly.EPSILONS[-1] == 0.004


def test_the_detector_accepts_95_in_100():
    model, inside = toy_model(), random_images(40)
    found = anomaly.fit_detector(model, inside, 10.0, 0.001)
    assert found.accepts(inside).sum() == 38
    assert torch.equal(found.scores(inside), anomaly.odin_scores(model, inside, 10.0, 0.001))
    assert found.accepts(inside[:3]).dtype == torch.bool
    looser = anomaly.fit_detector(model, inside, 10.0, 0.001, tpr=0.5)
    assert looser.accepts(inside).sum() == 20


def test_tuning_takes_the_smallest_fpr_then_the_larger_area():
    inside = torch.full((2, 3, 20), 1.0)
    outside = torch.full((2, 3, 4), 2.0)  # FPR 1 everywhere ...
    outside[0, 1, :3] = 0.0  # ... but 1/4 here,
    outside[1, 2, :3] = 0.0  # and here,
    inside[1, 2, 2:] = 3.0  # with a larger area
    found = anomaly.best_setting(inside, outside, [1.0, 10.0], [0.0, 0.001, 0.002])
    assert found == anomaly.Setting(10.0, 0.002, 0.25)
    outside[0, 0] = 0.0
    assert anomaly.best_setting(inside, outside, [1.0, 10.0], [0.0, 0.001, 0.002]) == (
        anomaly.Setting(1.0, 0.0, 0.0)
    )


def test_tuning_ties_take_the_first_of_the_grid():
    same = torch.zeros(2, 2, 5)
    assert anomaly.best_setting(same, same, [1.0, 10.0], [0.0, 0.1]).temperature == 1.0


def test_tune_is_the_grid_and_the_choice():
    model, inside, outside = toy_model(), random_images(20), random_images(20, seed=1) ** 3
    grid = [1.0, 1000.0], [0.0, 0.002]
    found = anomaly.tune(model, inside, outside, *grid)
    sets = [
        anomaly.odin_scores(model, x, found.temperature, found.epsilon) for x in (inside, outside)
    ]
    assert anomaly.fpr_at_tpr(*sets) == found.validation_fpr95
    others = [
        anomaly.fpr_at_tpr(*(anomaly.odin_scores(model, x, t, e) for x in (inside, outside)))
        for t in grid[0]
        for e in grid[1]
    ]
    assert found.validation_fpr95 == min(others)


@pytest.mark.parametrize("shape", [(2, 2, 5), (1, 2, 5), (2, 5)])
def test_scores_of_another_grid_are_refused(shape):
    right, wrong = torch.zeros(2, 3, 5), torch.zeros(shape)
    with pytest.raises(ValueError, match=r"\(2, 3, images\)"):
        anomaly.best_setting(right, wrong, [1.0, 2.0], [0.0, 0.1, 0.2])


def test_evaluate_puts_both_in_a_table():
    model, inside, outside = toy_model(), random_images(30), random_images(20, seed=1) ** 3
    labels = anomaly.classify(model, inside).argmax(dim=1)
    labels[:3] = (labels[:3] + 1) % 10
    table = anomaly.evaluate(model, inside, outside, 100.0, 0.002, labels=labels)
    assert (table["inside"], table["outside"], table["accuracy"]) == (30, 20, 0.9)
    for name, temperature, epsilon in (("baseline", 1.0, 0.0), ("odin", 100.0, 0.002)):
        sets = [anomaly.odin_scores(model, x, temperature, epsilon) for x in (inside, outside)]
        expected = {
            **anomaly.measure(*sets),
            "temperature": temperature,
            "epsilon": epsilon,
            "threshold": anomaly.threshold_at_tpr(sets[0]),
        }
        assert table[name] == pytest.approx(expected, abs=1e-9)
    assert "accuracy" not in anomaly.evaluate(model, inside, outside)
    with pytest.raises(ValueError, match="a label for each of 30 images"):
        anomaly.evaluate(model, inside, outside, labels=labels[:4])


# ---- The classifiers ---------------------------------------------------------------------------


def parameter_count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def test_densenet_has_the_published_size():
    with torch.device("meta"):
        model = anomaly.DenseNet()
        assert parameter_count(model) == 769_162  # 0.8 M in the DenseNet paper's table
        assert model(torch.rand(2, 3, 32, 32)).shape == (2, 10)
        weighted = [m for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)]
        assert len(weighted) == 100
        assert parameter_count(anomaly.DenseNet(40)) == 176_122
    with pytest.raises(ValueError, match="6 n \\+ 4"):
        anomaly.DenseNet(41)


def test_resnet_has_the_published_size():
    with torch.device("meta"):
        assert parameter_count(anomaly.ResNet20()) == 269_722  # 0.27 M in the ResNet paper's table


def test_compact_net():
    model = anomaly.CompactNet().eval()
    stored = sum(value.numel() * value.element_size() for value in model.state_dict().values())
    assert parameter_count(model) == 1_530_154 and stored < 8e6
    assert model(random_images(2, 32)).shape == (2, 10)
    small = anomaly.CompactNet(classes=2, widths=(4, 8), mean=(0.5,), deviation=(0.2,))
    assert small(torch.rand(2, 1, 28, 28)).shape == (2, 2)
    with pytest.raises(ValueError, match="Expected images"):
        model(torch.zeros(2, 1, 32, 32))
    with pytest.raises(ValueError, match="uint8"):
        model(torch.zeros(2, 3, 32, 32, dtype=torch.uint8))


def test_whitening_decorrelates():
    smooth = F.interpolate(random_images(64, 5), size=32, mode="bilinear")
    model = anomaly.CompactNet()
    model.whiten((255 * smooth).to(torch.uint8))
    outputs = model.stem(model.normalise(smooth)).detach()
    assert torch.allclose(outputs[:, :12], -outputs[:, 12:], atol=1e-4)
    covariance = torch.cov(outputs[:, :12].transpose(0, 1).flatten(1))
    assert (covariance - covariance.diag().diag()).abs().max() < 0.02
    assert 0.9 < covariance.diag()[-1] <= 1.01  # the strongest direction
    assert (covariance.diag() < 1.01).all()  # what hardly occurs is not blown up


def test_normalisation_by_hand():
    layer = anomaly.Normalise((0.5, 0.5, 0.25), (0.5, 0.25, 0.125))
    assert layer(torch.ones(1, 3, 1, 1)).flatten().tolist() == [1, 2, 6]
    model = anomaly.Normalised(nn.Flatten(), (0.5,), (0.5,))
    assert model(torch.ones(1, 1, 1, 1)).item() == 1
    assert set(model.state_dict()) == {"normalise.mean", "normalise.deviation"}
    for mean, deviation in (((0.5,), (0.1, 0.2)), ((0.5,), (0.0,)), ((), ())):
        with pytest.raises(ValueError, match="positive deviation"):
            anomaly.Normalise(mean, deviation)


@pytest.mark.parametrize("network", [anomaly.DenseNet(10, 4, 7), anomaly.ResNet20(7)])
@pytest.mark.parametrize("prefix", ["", "module."])
def test_weights_of_others_round_trip(tmp_path, network, prefix):
    network.eval()
    state = {prefix + key: value for key, value in network.state_dict().items()}
    old = {key: value for key, value in state.items() if "num_batches" not in key}
    torch.save({"state_dict": old, "epoch": 3}, tmp_path / "weights.th")
    found = anomaly.load_pickled_classifier(tmp_path / "weights.th")
    assert not found.training
    images = random_images(2, 32)
    with torch.no_grad():
        expected = network(found.normalise(images))
        assert torch.allclose(found(images), expected, atol=1e-5)


class Malicious:
    def __reduce__(self):
        return (print, ("executed",))


def test_files_that_are_no_weights_are_refused(tmp_path, capsys):
    path = tmp_path / "weights.th"
    with pytest.raises(FileNotFoundError, match="No weights at"):
        anomaly.load_pickled_classifier(path)
    torch.save({"state_dict": Malicious()}, path)
    with pytest.raises(ValueError, match="no file of tensors"):
        anomaly.load_pickled_classifier(path)
    assert "executed" not in capsys.readouterr().out
    for content in (b"", b"text, not weights"):
        path.write_bytes(content)
        with pytest.raises(ValueError, match="no file of tensors"):
            anomaly.load_pickled_classifier(path)
    for state in ({"fc.weight": torch.zeros(1)}, {}, [torch.zeros(1)]):
        torch.save(state, path)
        with pytest.raises(ValueError, match="neither a DenseNet-BC nor a ResNet-20"):
            anomaly.load_pickled_classifier(path)
    cut = {
        key: value
        for key, value in anomaly.DenseNet(10, 4).state_dict().items()
        if key != "bn1.bias"
    }
    torch.save(cut, path)
    with pytest.raises(ValueError, match="do not fit"):
        anomaly.load_pickled_classifier(path)


# ---- With the third-party networks and real images ---------------------------------------------


@pytest.fixture(scope="module")
def densenet():
    return anomaly.load_pickled_classifier(Path(DATA) / "classifiers" / DENSENET)


@pytest.fixture(scope="module")
def resnet():
    return anomaly.load_pickled_classifier(Path(DATA) / "classifiers" / "resnet20-12fca82f.th")


@needs_data
def test_a_step_raises_the_score_of_real_images(resnet):
    """The paper's Eqn. 2 in its sign: on nearly every image, and no label changes."""
    images = datasets.image_set("cifar10-test", 200).images
    logits = anomaly.classify(resnet, images)
    label = logits.argmax(dim=1, keepdim=True)
    moved = torch.cat([anomaly.perturb(resnet, part, epsilon=0.0005) for part in images.split(50)])
    after = anomaly.classify(resnet, moved)
    rise = [(values / 1000).log_softmax(dim=1).gather(1, label) for values in (after, logits)]
    assert (rise[0] > rise[1]).double().mean() > 0.99
    assert torch.equal(after.argmax(dim=1, keepdim=True), label)


@needs_data
@pytest.mark.parametrize("temperature", [10.0, 1000.0])
def test_odin_equals_pytorch_oods_on_real_images(densenet, temperature):
    from pytorch_ood.detector import ODIN

    images = datasets.image_set("cifar10-test", 8).images.float() / 255
    theirs = -ODIN(densenet, eps=0.0014, temperature=temperature).predict(images).double()
    ours = anomaly.odin_scores(densenet, images, temperature)
    assert (ours - theirs).abs().max() < 1e-6


@needs_data
def test_the_resnets_table(resnet):
    """The values were found before by other code, on the same images."""
    inside = datasets.image_set("cifar10-test", 500)
    outside = datasets.image_set("tinyimagenet-crop", 500)
    table = anomaly.evaluate(resnet, inside.images, outside.images, labels=inside.labels)
    assert table["odin"]["fpr95"] == pytest.approx(0.348, abs=0.005)
    assert table["odin"]["auroc"] == pytest.approx(0.941, abs=0.001)
    # 91.73 % on all 10,000; a sample of 500 has a standard error of 1.2 points.
    assert table["accuracy"] == pytest.approx(0.9173, abs=0.003 + 0.025)


@needs_data
def test_densenet_reproduces_the_papers_effect(densenet):
    """Measured on 1,000 images a set: FPR95 48.2 and 9.4 %."""
    inside = datasets.image_set("cifar10-test", 600)
    outside = datasets.image_set("tinyimagenet-crop", 200)
    table = anomaly.evaluate(densenet, inside.images[:200], outside.images)
    assert table["baseline"]["fpr95"] > 0.40
    assert table["odin"]["fpr95"] < 0.15
    logits = anomaly.classify(densenet, inside.images)
    accuracy = (logits.argmax(dim=1) == inside.labels).double().mean().item()
    # 93.98 % on the first 4,000 (75 CPU seconds); of 600 the standard error is 1 point.
    assert accuracy == pytest.approx(0.9398, abs=0.003 + 0.02)


def test_a_mirrored_network_sees_both_sides_when_it_measures():
    torch.manual_seed(0)
    model = anomaly.CompactNet(classes=4, widths=(4, 8, 8)).eval()
    images = torch.rand(3, 3, 32, 32)
    single = model(images), model(images.flip(3))
    model.mirrored = True
    assert torch.allclose(model(images), (single[0] + single[1]) / 2, atol=1e-6)
    features, _ = anomaly.features_and_logits(model, images)
    assert features.shape == (3, 8)
    torch.manual_seed(1)
    trained = model.train()(images)
    model.mirrored = False
    assert torch.equal(trained, model(images))
