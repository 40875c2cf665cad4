"""Cameras that move: pixels to points and back, poses, rigid flow, inverse warping (lesson 08).

The conventions stand in the first lines of the package. All functions are differentiable in each of
their floating inputs; float32 gives pixels to a few ten-thousandths, float64 all digits.
"""

from __future__ import annotations

import math

import torch
import torch.nn.functional as F
from torch import Tensor

NEAR = 1e-3
"""A point with a smaller z, in the unit of depth, is not in front of the camera."""
BEHIND = -1e4
"""The pixel, both coordinates, of points that are not in front: outside every picture."""

_FAR = 1e9  # what is infinitely far away, as the sky, is taken as this far
_EDGE = 1e-3  # pixels: rounding must not put the outermost pixel outside


# ---- Pixels and points -------------------------------------------------------------------------


def pixel_grid(maps: Tensor) -> Tensor:
    """Return where the pixels of a map are.

    Args:
        maps: (..., H, W), floating; gives size, type and device.

    Returns:
        (1, 2, H, W): x, from 0 to W - 1, then y, from 0 to H - 1.

    Example:
        >>> pixel_grid(torch.zeros(1, 1, 2, 3))[0, 0]
        tensor([[0., 1., 2.],
                [0., 1., 2.]])
    """
    height, width = maps.shape[-2:]
    y, x = (torch.arange(n, dtype=maps.dtype, device=maps.device) for n in (height, width))
    return torch.stack(torch.meshgrid(x, y, indexing="xy"))[None]


def unproject(depth: Tensor, K: Tensor) -> Tensor:
    """Return the point that each pixel shows: D(p) K^-1 p.

    Args:
        depth: (B, 1, H, W), z-depth.
        K: (B, 3, 3), or (1, 3, 3) for all.

    Returns:
        (B, 3, H, W): x, y, z in the camera's axes, in the unit of depth.

    Raises:
        ValueError: the shapes are others.

    Example:
        >>> K = torch.tensor([[[100.0, 0, 1], [0, 100, 1], [0, 0, 1]]])
        >>> unproject(torch.full((1, 1, 3, 3), 2.0), K)[0, :, 1, 2]
        tensor([0.0200, 0.0000, 2.0000])
    """
    _check_maps("depth", depth, 1)
    _check_matrices("K", K, 3)
    pixels = F.pad(pixel_grid(depth), (0, 0, 0, 0, 0, 1), value=1.0)  # (x, y, 1)
    rays = torch.linalg.inv(K) @ pixels.flatten(2)  # (B, 3, H * W)
    return depth * rays.unflatten(2, depth.shape[-2:])


def project(points: Tensor, K: Tensor) -> Tensor:
    """Return the pixel in which a camera sees each point: K X, divided by its last coordinate.

    Args:
        points: (B, 3, H, W), in the camera's axes.
        K: (B, 3, 3), or (1, 3, 3) for all.

    Returns:
        (B, 2, H, W): x and y, not rounded, perhaps outside the picture. A point that is not in
        front of the camera (z below `NEAR`) is in no pixel: it gets `BEHIND`, and no gradient.

    Raises:
        ValueError: the shapes are others.
    """
    _check_maps("points", points, 3)
    _check_matrices("K", K, 3)
    in_front = points[:, 2:] >= NEAR
    safe = torch.where(in_front, points, 1.0)  # no division by zero, not even in gradients
    x_y_z = (K @ safe.flatten(2)).unflatten(2, points.shape[-2:])
    return torch.where(in_front, x_y_z[:, :2] / x_y_z[:, 2:], BEHIND)


def transform(points: Tensor, T: Tensor) -> Tensor:
    """Bring points into the axes of another camera: R X + t.

    Args:
        points: (B, 3, H, W), in the axes that `T` comes from.
        T: (B, 4, 4), or (1, 4, 4) for all.

    Returns:
        (B, 3, H, W), in the axes that `T` leads to.

    Raises:
        ValueError: the shapes are others.
    """
    _check_maps("points", points, 3)
    _check_matrices("T", T, 4)
    moved = T[:, :3, :3] @ points.flatten(2) + T[:, :3, 3:]
    return moved.unflatten(2, points.shape[-2:])


# ---- Poses -------------------------------------------------------------------------------------


def rotation_from_axis_angle(axis_angle: Tensor) -> Tensor:
    """Return rotations by Rodrigues' formula: R = 1 + sin(a) / a [w]x + (1 - cos(a)) / a^2 [w]x^2.

    Args:
        axis_angle: (..., 3): the vector w, along the axis, as long as the angle a in radians. Seen
            along the axis the turn is clockwise. At zero, value and gradient are exact.

    Returns:
        (..., 3, 3).

    Example:
        >>> rotation_from_axis_angle(torch.tensor([0.0, torch.pi / 6, 0.0]))[:, 2]
        tensor([0.5000, 0.0000, 0.8660])
    """
    angle = torch.linalg.vector_norm(axis_angle, dim=-1)[..., None, None]
    cross = _cross_matrix(axis_angle)
    first = torch.sinc(angle / math.pi)  # sin(a) / a
    second = torch.sinc(angle / (2 * math.pi)).square() / 2  # (1 - cos(a)) / a^2
    return torch.eye(3).to(cross) + first * cross + second * cross @ cross


def _cross_matrix(vectors: Tensor) -> Tensor:
    """[w]x, (..., 3, 3): times a vector it gives the cross product w x v."""
    x, y, z = vectors.unbind(-1)
    zero = torch.zeros_like(x)
    return torch.stack([zero, -z, y, z, zero, -x, -y, x, zero], dim=-1).unflatten(-1, (3, 3))


def rotation_from_euler(angles: Tensor) -> Tensor:
    """Return rotations R = Rx Ry Rz, as GeoNet's code has them (SciPy's intrinsic "XYZ").

    Args:
        angles: (..., 3), about x, y and z, radians.

    Returns:
        (..., 3, 3).
    """
    about_x, about_y, about_z = (
        rotation_from_axis_angle(angles[..., i : i + 1] * axis)
        for i, axis in enumerate(torch.eye(3).to(angles))
    )
    return about_x @ about_y @ about_z


def pose_matrix(rotation: Tensor, translation: Tensor) -> Tensor:
    """Return T = [R | t], a rotation followed by a translation.

    Args:
        rotation: (..., 3, 3).
        translation: (..., 3), in the unit of depth.

    Returns:
        (..., 4, 4).
    """
    upper = torch.cat([rotation, translation[..., None]], dim=-1)
    last = torch.eye(4).to(upper)[3:].expand(*upper.shape[:-2], 1, 4)
    return torch.cat([upper, last], dim=-2)


def pose_from_axis_angle(axis_angle: Tensor, translation: Tensor) -> Tensor:
    """Return T, (..., 4, 4), from a rotation vector and a translation, (..., 3) each.

    R comes from the vector alone and t is taken as it is; this is not the exponential of a twist,
    in which the rotation bends the way of the translation.
    """
    return pose_matrix(rotation_from_axis_angle(axis_angle), translation)


def pose_from_vector(vector: Tensor) -> Tensor:
    """Return T from a pose network's six numbers: translation x, y, z, then Euler angles x, y, z.

    Args:
        vector: (..., 6).

    Returns:
        (..., 4, 4).

    Example:
        >>> pose_from_vector(torch.tensor([1.0, 2.0, 3.0, 0.0, 0.0, 0.0]))
        tensor([[1., 0., 0., 1.],
                [0., 1., 0., 2.],
                [0., 0., 1., 3.],
                [0., 0., 0., 1.]])
    """
    return pose_matrix(rotation_from_euler(vector[..., 3:]), vector[..., :3])


def invert_pose(T: Tensor) -> Tensor:
    """Return the motion back, (..., 4, 4): R^T, and -R^T t. `T` must hold a proper rotation."""
    back = T[..., :3, :3].mT
    return pose_matrix(back, -(back @ T[..., :3, 3:])[..., 0])


def relative_pose(target_to_world: Tensor, source_to_world: Tensor) -> Tensor:
    """Return T_target_to_source from where two cameras stand.

    Args:
        target_to_world: (..., 4, 4), the `camera_to_world` of the target's camera.
        source_to_world: (..., 4, 4), that of the source's.

    Returns:
        (..., 4, 4).
    """
    return invert_pose(source_to_world) @ target_to_world


# ---- Flow and warping --------------------------------------------------------------------------


def rigid_flow(depth: Tensor, T_target_to_source: Tensor, K: Tensor) -> Tensor:
    """Return the flow of a scene in which nothing but the camera moves (paper, section 3.1).

    f(p) = K T D(p) K^-1 p - p: to a point in space, to the other camera, and back to a pixel.

    Args:
        depth: (B, 1, H, W), of the target; may be infinite.
        T_target_to_source: (B, 4, 4); its translation in the unit of depth.
        K: (B, 3, 3), of both pictures.

    Returns:
        (B, 2, H, W), pixels. What the source's camera has behind it flows to `BEHIND`.

    Raises:
        ValueError: the shapes are others.

    Example: one metre to the right, what is 10 m away flows to the left by f / 10 pixels.
        >>> K = torch.tensor([[[100.0, 0, 0], [0, 100, 0], [0, 0, 1]]])
        >>> T = pose_from_axis_angle(torch.zeros(1, 3), torch.tensor([[-1.0, 0, 0]]))
        >>> rigid_flow(torch.full((1, 1, 1, 2), 10.0), T, K).squeeze()
        tensor([[-10., -10.],
                [  0.,   0.]])
    """
    points = unproject(depth.clamp(max=_FAR), K)
    return project(transform(points, T_target_to_source), K) - pixel_grid(depth)


def inverse_warp(source: Tensor, flow: Tensor) -> tuple[Tensor, Tensor]:
    """Rebuild the target: each pixel p fetches what the source shows at p + flow(p), bilinearly.

    Args:
        source: (B, C, H, W), floating: a picture, or any map.
        flow: (B, 2, H, W), from target to source, pixels.

    Returns:
        The picture, (B, C, H, W), black where it would come from outside the source; and where it
        comes from inside, (B, 1, H, W) bool. Inside does not say that the source sees the same
        thing there: occluded pixels fetch what hides them.

    Raises:
        ValueError: the shapes are others.

    Example: with flow 1 to the right, each pixel fetches its right neighbour.
        >>> flow = torch.tensor([1.0, 0.0]).view(1, 2, 1, 1).expand(1, 2, 1, 3)
        >>> warped, inside = inverse_warp(torch.tensor([[[[5.0, 6.0, 7.0]]]]), flow)
        >>> warped.tolist(), inside.tolist()
        ([[[[6.0, 7.0, 0.0]]]], [[[[True, True, False]]]])
    """
    _check_maps("flow", flow, 2)
    if source.ndim != 4 or source.shape[-2:] != flow.shape[-2:]:
        raise ValueError(
            f"Expected a source (B, C, {flow.shape[-2]}, {flow.shape[-1]}), as large as the flow; "
            f"got {tuple(source.shape)}."
        )
    positions = pixel_grid(flow) + flow
    height, width = source.shape[-2:]
    last = positions.new_tensor([width - 1, height - 1]).view(1, 2, 1, 1)
    # grid_sample counts from -1, the centre of the first pixel, to 1, that of the last.
    grid = 2 * positions / last.clamp(min=1) - 1
    warped = F.grid_sample(source, grid.permute(0, 2, 3, 1), align_corners=True)
    inside = (positions >= -_EDGE) & (positions <= last + _EDGE)
    return warped, inside.all(dim=1, keepdim=True)


def _check_maps(name: str, maps: Tensor, channels: int) -> None:
    if maps.ndim != 4 or maps.shape[1] != channels or not maps.is_floating_point():
        raise ValueError(
            f"Expected {name} (B, {channels}, H, W), floating; got {tuple(maps.shape)}, "
            f"{maps.dtype}."
        )


def _check_matrices(name: str, matrices: Tensor, size: int) -> None:
    if matrices.ndim != 3 or matrices.shape[1:] != (size, size):
        raise ValueError(f"Expected {name} (B, {size}, {size}); got {tuple(matrices.shape)}.")
