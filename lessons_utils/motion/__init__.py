"""Depth, camera motion and optical flow from video without labels: GeoNet, in its finished form.

- `geometry`: pixels to points and back, poses, rigid flow, inverse warping;
- `losses`: photometric error, smoothness, agreement of forward and backward flow;
- `networks`: depth, pose and residual flow;
- `metrics`: against true depth, flow and trajectories.

Lesson 08 derives the geometry, lesson 09 what is learnt of a static scene, lesson 10 what moves by
itself. The reference is Yin and Shi, "GeoNet: Unsupervised Learning of Dense Depth, Optical Flow
and Camera Pose", CVPR 2018 (arXiv 1803.02276), and the authors' code where the paper is silent.

The conventions, all of them, for every function here:

- Cameras are right-handed: x to the right, y down, z forward. Depth is z, not the distance.
- Pixel (x, y) has its centre at whole numbers: (0, 0) is the centre of the first one. `K` maps
  points to such pixels. For a resized picture take `datasets.scale_intrinsics`.
- The target is the frame that is rebuilt, a source one that it is rebuilt from.
  `T_target_to_source` takes points of the target's camera to the source's: X_source = R X + t. Its
  translation has the unit of depth.
- Flow goes from target to source, (x, y) in pixels: what the target shows at p, the source shows at
  p + flow(p).
- Warping is inverse: the target's pixel p fetches the source at p + flow(p), bilinearly. In
  `grid_sample`'s words: -1 is the centre of the first pixel and 1 that of the last, `align_corners`
  True.
- Pictures are in [0, 1]; disparity is 1 / depth.

Use the names given here, `motion.rigid_flow` for instance.
"""

from lessons_utils.motion.geometry import (
    BEHIND,
    NEAR,
    inverse_warp,
    invert_pose,
    pixel_grid,
    pose_from_axis_angle,
    pose_from_vector,
    pose_matrix,
    project,
    relative_pose,
    rigid_flow,
    rotation_from_axis_angle,
    rotation_from_euler,
    transform,
    unproject,
)
from lessons_utils.motion.losses import (
    ALPHA,
    CONSISTENT_PIXELS,
    CONSISTENT_SHARE,
    consistency_mask,
    erode,
    flow_disagreement,
    masked_mean,
    normalise_disparity,
    photometric_error,
    photometric_loss,
    smoothness_loss,
    ssim_map,
)
from lessons_utils.motion.metrics import (
    CAP,
    DEPTH_METRICS,
    OUTLIER_PIXELS,
    OUTLIER_SHARE,
    align,
    endpoint_error,
    measure_depth,
    measure_flow,
    median_scale,
    precision_recall,
    rotation_error,
    snippet_error,
    snippet_positions,
    trajectory_error,
)
from lessons_utils.motion.networks import (
    POSE_WIDTHS,
    SCALES,
    WIDTHS,
    DepthNet,
    PoseNet,
    ResidualFlowNet,
)

__all__ = [
    "ALPHA",
    "BEHIND",
    "CAP",
    "CONSISTENT_PIXELS",
    "CONSISTENT_SHARE",
    "DEPTH_METRICS",
    "NEAR",
    "OUTLIER_PIXELS",
    "OUTLIER_SHARE",
    "POSE_WIDTHS",
    "SCALES",
    "WIDTHS",
    "DepthNet",
    "PoseNet",
    "ResidualFlowNet",
    "align",
    "consistency_mask",
    "endpoint_error",
    "erode",
    "flow_disagreement",
    "inverse_warp",
    "invert_pose",
    "masked_mean",
    "measure_depth",
    "measure_flow",
    "median_scale",
    "normalise_disparity",
    "photometric_error",
    "photometric_loss",
    "pixel_grid",
    "pose_from_axis_angle",
    "pose_from_vector",
    "pose_matrix",
    "precision_recall",
    "project",
    "relative_pose",
    "rigid_flow",
    "rotation_error",
    "rotation_from_axis_angle",
    "rotation_from_euler",
    "smoothness_loss",
    "snippet_error",
    "snippet_positions",
    "ssim_map",
    "trajectory_error",
    "transform",
    "unproject",
]
