"""The networks of video: sizes, ranges, where they start, and that they learn."""

import doctest

import pytest
import torch
import torch.nn.functional as F

from lessons_utils import motion
from lessons_utils.motion import networks


@pytest.fixture(autouse=True)
def same_weights():
    torch.manual_seed(0)


def parameter_count(model):
    return sum(parameter.numel() for parameter in model.parameters())


def shapes(answers):
    return [tuple(answer.shape) for answer in answers]


def test_the_docstrings_examples_hold():
    assert doctest.testmod(networks).failed == 0


def test_parameter_counts():
    with torch.device("meta"):
        assert parameter_count(motion.DepthNet()) == 927_732
        assert parameter_count(motion.PoseNet()) == 409_468
        assert parameter_count(motion.ResidualFlowNet()) == 946_056
        assert parameter_count(motion.DepthNet((4, 8, 8, 8))) < 10_000


@pytest.mark.parametrize("size", [(96, 320), (48, 64), (37, 51)])
def test_answers_have_four_sizes(size):
    images, flow = torch.rand(2, 3, *size), torch.zeros(2, 2, *size)
    sizes = [tuple(-(-side // 2**scale) for side in size) for scale in range(motion.SCALES + 1)]
    assert shapes(motion.DepthNet().eval()(images)) == [(2, 1, *each) for each in sizes[:-1]]
    found = motion.ResidualFlowNet().eval()(images, images, flow)
    assert shapes(found) == [(2, 2, *each) for each in sizes[1:]]
    assert motion.PoseNet(4).eval()(images, torch.rand(2, 4, 3, *size)).shape == (2, 4, 6)


def test_disparity_is_10_sigmoid_plus_a_hundredth():
    model = motion.DepthNet().eval()
    for bias, expected in ((-1e4, 0.01), (0.0, 5.01), (1e4, 10.01)):
        for answer in model.layers.answers:
            torch.nn.init.zeros_(answer.weight)
            torch.nn.init.constant_(answer.bias, bias)
        for disparity in model(torch.rand(1, 3, 32, 32)):
            assert disparity.flatten().tolist() == pytest.approx([expected] * disparity.numel())


def test_poses_start_near_no_motion():
    frames = torch.rand(4, 3, 3, 64, 96)
    vector = motion.PoseNet()(frames[:, 0], frames[:, 1:])
    assert 0 < vector.abs().max() < 0.05
    T = motion.pose_from_vector(vector)
    assert T.shape == (4, 2, 4, 4)


def test_a_pose_knows_its_source_frame():
    """Target first, then the sources in order: another order is another question."""
    model = motion.PoseNet().eval()
    frames = torch.rand(1, 3, 3, 64, 96)
    vector = model(frames[:, 1], frames[:, [0, 2]])
    assert not torch.allclose(vector, model(frames[:, 1], frames[:, [2, 0]]))
    assert not torch.allclose(vector, model(frames[:, 0], frames[:, [1, 2]]))
    seen = []
    model.layers[0].register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    model(frames[:, 1], frames[:, [0, 2]])
    assert torch.allclose(seen[0][:, :3] * 0.225 + 0.45, frames[:, 1], atol=1e-6)
    assert torch.allclose(seen[0][:, 3:6] * 0.225 + 0.45, frames[:, 0], atol=1e-6)


def test_the_residual_network_sees_what_the_paper_lists_halved():
    model, seen = motion.ResidualFlowNet(), []
    model.layers.register_forward_pre_hook(lambda layer, inputs: seen.append(inputs[0]))
    target, source = torch.rand(2, 1, 3, 64, 96)
    rigid = 4 * torch.rand(1, 2, 64, 96)
    model(target, source, rigid)
    target, source, rigid = (F.avg_pool2d(maps, 2) for maps in (target, source, rigid / 2))
    warped, _ = motion.inverse_warp(source, rigid)
    pictures, flow, error = seen[0].split([9, 2, 1], dim=1)
    expected = torch.cat([target, source, warped], dim=1)
    assert torch.allclose(pictures * 0.225 + 0.45, expected, atol=1e-6)
    assert torch.allclose(flow * 10, rigid, atol=1e-5)
    assert torch.allclose(error, motion.photometric_error(target, warped), atol=1e-5)


def test_the_residual_starts_at_rigid_flow_and_learns_a_shift():
    """The target shows 2 pixels further left what the source shows; rigid flow says nothing."""
    generator = torch.Generator().manual_seed(0)
    wide = F.interpolate(torch.rand(1, 3, 6, 9, generator=generator), scale_factor=6)
    wide = F.avg_pool2d(wide, 5, stride=1, padding=2)
    source, target = wide[..., :-8], wide[..., 2:-6]  # target(x) = source(x + 2)
    model, rigid = motion.ResidualFlowNet((8, 16, 16, 16)), torch.zeros(1, 2, 36, 46)
    optimizer = torch.optim.Adam(model.parameters(), lr=3e-3)
    for step in range(80):
        flow = F.interpolate(model(target, source, rigid)[0], (36, 46), mode="bilinear")
        if step == 0:
            assert (flow == 0).all()
        warped, inside = motion.inverse_warp(source, rigid + flow)
        loss = motion.photometric_loss(target, warped, inside)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    x, y = flow[..., 8:-8, 8:-8].mean(dim=(0, 2, 3))
    assert abs(x - 2) < 0.2
    assert abs(y) < 0.2


def test_every_part_of_depth_and_pose_learns_from_the_photometric_error():
    depth_net, pose_net = motion.DepthNet(), motion.PoseNet(sources=1)
    target, source = torch.rand(2, 2, 3, 64, 96)
    K = torch.tensor([[[80.0, 0, 47.5], [0, 80, 31.5], [0, 0, 1]]])
    T = motion.pose_from_vector(pose_net(target, source[:, None])[:, 0])
    losses = []
    for disparity in depth_net(target):
        full = F.interpolate(disparity, target.shape[-2:], mode="bilinear")
        warped, inside = motion.inverse_warp(source, motion.rigid_flow(1 / full, T, K))
        losses.append(motion.photometric_loss(target, warped, inside))
    sum(losses).backward()
    for model in (depth_net, pose_net):
        for name, parameter in model.named_parameters():
            assert torch.isfinite(parameter.grad).all() and parameter.grad.any(), name


def test_other_frames_are_refused():
    images = torch.rand(2, 3, 32, 32)
    with pytest.raises(ValueError, match="uint8"):
        motion.DepthNet()((255 * images).to(torch.uint8))
    with pytest.raises(ValueError, match="Expected images"):
        motion.DepthNet()(images[:, :1])
    with pytest.raises(ValueError, match=r"sources \(2, 2, 3, 32, 32\)"):
        motion.PoseNet()(images, images[:, None])
    with pytest.raises(ValueError, match="Expected source"):
        motion.ResidualFlowNet()(images, images[:, :1], torch.zeros(2, 2, 32, 32))
