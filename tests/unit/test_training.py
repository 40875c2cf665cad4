"""The training loop: exact resume, averaging, several devices; and Muon against PyTorch's."""

import math
import os
import subprocess
import sys

import pytest
import torch
from lightning_fabric import Fabric
from torch import nn

from lessons_utils import training


def run(folder=None, stop_after=None, steps=20, seed=0, lr=0.01, validate=None):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(4, 8), nn.ReLU(), nn.Linear(8, 1))
    optimizer = training.Muon(model.parameters(), lr=lr)
    settings = training.TrainingSettings(
        steps=steps, batch_size=16, seed=seed, warm_up=2, validate_every=5
    )

    def draw_batch(count, generator):
        x = torch.randn(count, 4, generator=generator)
        return x, x.sum(1, keepdim=True)

    def loss(model, x, y):
        return nn.functional.mse_loss(model(x), y)

    def negative_loss(model):
        x = torch.linspace(-1, 1, 40).view(10, 4)
        return -loss(model, x, x.sum(1, keepdim=True)).item()

    result = training.fit(
        model,
        optimizer,
        settings,
        draw_batch,
        loss,
        validate or negative_loss,
        folder=folder,
        stop_after=stop_after,
    )
    return model, result


def weights(model):
    return torch.cat([parameter.detach().flatten() for parameter in model.parameters()])


def test_it_learns():
    _, result = run(steps=200)
    assert result.history[-1]["loss"] < 0.2 * result.history[0]["loss"]


def test_same_seed_same_weights():
    assert torch.equal(weights(run()[0]), weights(run()[0]))
    assert not torch.equal(weights(run()[0]), weights(run(seed=1)[0]))


@pytest.mark.parametrize("killed_after", [5, 12])
def test_resume_is_exact(tmp_path, killed_after):
    """Killed at, or after, a saved state: the result is that of an uninterrupted run."""
    whole, expected = run()
    run(tmp_path / "run", stop_after=killed_after)
    resumed, result = run(tmp_path / "run")
    assert torch.equal(weights(whole), weights(resumed))
    assert result.history == expected.history


def test_a_real_kill_leaves_a_state_that_resumes(tmp_path):
    """The process dies inside a step; nothing is half written."""
    program = (
        "import os, sys; sys.path.insert(0, sys.argv[1]);"
        "import test_training as t; from pathlib import Path;"
        "calls = [];"
        "f = lambda model: (calls.append(1), os._exit(9) if len(calls) == 3 else 0.0)[1] or 0.0;"
        "t.run(Path(sys.argv[2]), validate=f)"
    )
    here = os.path.dirname(__file__)
    done = subprocess.run(
        [sys.executable, "-c", program, here, str(tmp_path / "run")], check=False, timeout=120
    )
    assert done.returncode == 9
    assert [path.name for path in (tmp_path / "run").iterdir()] == ["state.pt"]
    _, result = run(tmp_path / "run", validate=lambda model: 0.0)
    assert [entry["step"] for entry in result.history] == [5, 10, 15, 20]


def test_other_settings_are_refused(tmp_path):
    run(tmp_path / "run", stop_after=5)
    with pytest.raises(ValueError, match=r"seed = 0.*seed = 1"):
        run(tmp_path / "run", seed=1)


def test_best_weights_are_returned():
    scores = iter([1.0, 3.0, 2.0, 0.0])
    seen = []

    def validate(model):
        seen.append(weights(model).clone())
        return next(scores)

    model, result = run(validate=validate)
    assert (result.best_step, result.best_score) == (10, 3.0)
    assert torch.equal(weights(model), seen[1])


def test_a_diverging_loss_stops_the_run():
    with pytest.raises(FloatingPointError, match="smaller learning rate"):
        run(lr=math.inf)


def test_two_devices_agree_with_each_other(tmp_path):
    program = tmp_path / "two.py"
    program.write_text(
        "import sys; sys.path.insert(0, sys.argv[1])\n"
        "import torch\n"
        "from torch import nn\n"
        "from lightning_fabric import Fabric\n"
        "from lessons_utils import training\n"
        "fabric = Fabric(accelerator='cpu', devices=2, strategy='ddp')\n"
        "fabric.launch()\n"
        "torch.manual_seed(0)\n"
        "model = nn.Linear(4, 1)\n"
        "seen = []\n"
        "def draw(count, generator):\n"
        "    x = torch.randn(count, 4, generator=generator); seen.append(x)\n"
        "    return x, x.sum(1, keepdim=True)\n"
        "training.fit(model, training.Muon(model.parameters(), lr=0.01),\n"
        "    training.TrainingSettings(steps=6, batch_size=8, validate_every=3), draw,\n"
        "    lambda m, x, y: nn.functional.mse_loss(m(x), y), lambda m: 0.0, fabric=fabric)\n"
        "gathered = fabric.all_gather(model.weight.detach())\n"
        "batches = fabric.all_gather(seen[0])\n"
        "assert torch.equal(gathered[0], gathered[1]), gathered\n"
        "assert not torch.equal(batches[0], batches[1])\n"
        "fabric.barrier()\n"
        "torch.distributed.destroy_process_group()\n"  # as the command `train` does
    )
    done = subprocess.run(
        [sys.executable, str(program), os.getcwd()],
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]


def test_bf16_computes_the_loss_in_float32():
    fabric = Fabric(accelerator="cpu", devices=1, precision="bf16-mixed")
    model = nn.Linear(4, 1)
    seen = []

    def loss(model, x):
        output = model(x)
        seen.append(output.dtype)
        return output.square().mean()

    training.fit(
        model,
        training.Muon(model.parameters()),
        training.TrainingSettings(steps=2, batch_size=4, validate_every=2),
        lambda count, generator: (torch.randn(count, 4, generator=generator),),
        loss,
        lambda model: 0.0,
        fabric=fabric,
    )
    assert set(seen) == {torch.float32}


@pytest.mark.skipif(not hasattr(torch.optim, "Muon"), reason="this PyTorch has no Muon")
def test_muon_equals_pytorchs_on_a_matrix():
    """PyTorch's takes matrices only and computes the direction in bfloat16, hence the tolerance."""
    torch.manual_seed(0)
    ours = nn.Parameter(torch.randn(6, 10))
    theirs = nn.Parameter(ours.detach().clone())
    a = training.Muon([ours], lr=0.1, momentum=0.95)
    b = torch.optim.Muon(
        [theirs], lr=0.1, momentum=0.95, weight_decay=0.0, adjust_lr_fn="match_rms_adamw"
    )
    for step in range(4):
        gradient = torch.randn(6, 10, generator=torch.Generator().manual_seed(step))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        a.step()
        b.step()
    assert torch.allclose(ours, theirs, atol=0.01)


@pytest.mark.parametrize("shape", [(4, 9), (9, 4)])
def test_orthogonalise_levels_the_singular_values(shape):
    matrix = torch.randn(shape, generator=torch.Generator().manual_seed(0))
    values = torch.linalg.svdvals(training.orthogonalise(matrix))
    assert values.min() > 0.6 and values.max() < 1.3


def test_vectors_get_adams_update():
    ours = nn.Parameter(torch.ones(5))
    theirs = nn.Parameter(torch.ones(5))
    a = training.Muon([ours], lr=0.1, betas=(0.9, 0.99))
    b = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.99))
    for step in range(4):
        gradient = torch.randn(5, generator=torch.Generator().manual_seed(step))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        a.step()
        b.step()
    assert torch.allclose(ours, theirs, atol=1e-5)


def test_schedule_rises_then_falls_to_zero():
    factors = [training.cosine_schedule(step, 1000, warm_up=10) for step in range(1000)]
    assert factors[0] == pytest.approx(0.1)
    assert max(factors) == pytest.approx(1, abs=1e-3)
    assert factors[-1] < 1e-4


def test_weight_decay_shrinks_matrices_and_spares_vectors():
    matrix, vector = nn.Parameter(torch.ones(3, 4)), nn.Parameter(torch.ones(3))
    for parameter in (matrix, vector):
        parameter.grad = torch.zeros_like(parameter)
    training.Muon([matrix, vector], lr=0.1, weight_decay=0.5).step()
    assert torch.allclose(matrix, torch.full((3, 4), 0.95))
    assert torch.equal(vector, torch.ones(3))


def test_a_group_may_keep_adams_update_for_its_matrices():
    ours = nn.Parameter(torch.ones(3, 4))
    theirs = nn.Parameter(torch.ones(3, 4))
    a = training.Muon([{"params": [ours], "orthogonal": False}], lr=0.1, betas=(0.9, 0.99))
    b = torch.optim.Adam([theirs], lr=0.1, betas=(0.9, 0.99))
    for step in range(3):
        gradient = torch.randn(3, 4, generator=torch.Generator().manual_seed(step))
        ours.grad, theirs.grad = gradient.clone(), gradient.clone()
        a.step()
        b.step()
    assert torch.allclose(ours, theirs, atol=1e-5)
