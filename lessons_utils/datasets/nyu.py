"""NYU Depth v2: 1449 labelled frames of rooms, by Silberman et al., 2012."""

from __future__ import annotations

import json
from pathlib import Path

from lessons_utils import runtime
from lessons_utils.datasets.rgbd import Frames, find_pairs, read_pairs


def nyu_depth(split: str, folder: str | Path | None = None) -> Frames:
    """Read one part of NYU Depth v2."""
    folder = Path(folder) if folder else runtime.lessons_data() / "nyuv2"
    chosen = json.loads((folder / "splits.json").read_text(encoding="utf-8"))[split]
    pairs = find_pairs(folder)
    images, depth, valid = read_pairs([pairs[index] for index in chosen], depth_scale=1000)
    margin = images.shape[-2] // 60
    inside = valid.new_zeros(valid.shape[-2:])
    inside[margin:-margin, margin:-margin] = True
    return images, depth, valid & inside
