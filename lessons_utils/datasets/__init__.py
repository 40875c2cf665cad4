"""Every picture that enters the course: embedded, or downloaded with a hash check."""

from lessons_utils.datasets.download import DownloadError, Source
from lessons_utils.datasets.nyu import nyu_depth
from lessons_utils.datasets.pictures import (
    PHOTOGRAPHS,
    PICTURE_SUFFIXES,
    image_folder,
    photograph,
    pixels_sha256,
    read_image,
)
from lessons_utils.datasets.rgbd import Frames, halve_frames, rgbd_folder
from lessons_utils.datasets.super_resolution import (
    SETS,
    PictureSet,
    fetch,
    is_present,
    set_or_embedded,
    super_resolution_set,
    write_hashes,
)

__all__ = [
    "PHOTOGRAPHS",
    "PICTURE_SUFFIXES",
    "SETS",
    "DownloadError",
    "Frames",
    "PictureSet",
    "Source",
    "fetch",
    "halve_frames",
    "image_folder",
    "is_present",
    "nyu_depth",
    "photograph",
    "pixels_sha256",
    "read_image",
    "rgbd_folder",
    "set_or_embedded",
    "super_resolution_set",
    "write_hashes",
]
