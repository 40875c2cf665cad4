"""Every picture that enters the course: embedded, from your folders, or downloaded with a check.

- `pictures`: photographs, picture files, folders of pictures;
- `super_resolution`: Set5 and its like;
- `rgbd`, `nyu`: frames with depth, from a folder of yours or from NYU Depth v2;
- `drives`: frames of a moving camera, with its intrinsics;
- `stereo`: a pair of pictures with true disparity;
- `small_images`: sets of small images to classify, such as CIFAR-10;
- `archives`, `binary_files`: the files they come in; noise;
- `crops`: small photographs cut out of the embedded ones;
- `fashion`: small photographs of clothes, shipped with the course;
- `catalogue`, `download`: what can be fetched, and how it comes whole.

Use the names given here, `datasets.photograph` for instance; the modules are how they are kept.
"""

from lessons_utils.datasets.archives import (
    LabelledImages,
    labelled_sha256,
    noise_images,
    read_archive,
    write_archive,
)
from lessons_utils.datasets.catalogue import fetch, fetchable, is_present
from lessons_utils.datasets.crops import CROPPED, photograph_crops
from lessons_utils.datasets.download import DownloadError, Source
from lessons_utils.datasets.drives import drive_folder, kitti_drive, kitti_drive_folder
from lessons_utils.datasets.fashion import CLOTHES, HELD_OUT, fashion_mnist, write_fashion_mnist
from lessons_utils.datasets.nyu import NYU, NYU_INTRINSICS, nyu_depth
from lessons_utils.datasets.pictures import (
    PHOTOGRAPHS,
    PICTURE_SUFFIXES,
    image_folder,
    photograph,
    pixels_sha256,
    read_image,
)
from lessons_utils.datasets.rgbd import Frames, halve_frames, rgbd_folder, scale_intrinsics
from lessons_utils.datasets.small_images import IMAGE_SETS, image_set, write_image_hashes
from lessons_utils.datasets.stereo import StereoPair, stereo_motorcycle
from lessons_utils.datasets.super_resolution import (
    SETS,
    PictureSet,
    set_or_embedded,
    super_resolution_set,
    write_hashes,
)

__all__ = [
    "CLOTHES",
    "CROPPED",
    "HELD_OUT",
    "IMAGE_SETS",
    "NYU",
    "NYU_INTRINSICS",
    "PHOTOGRAPHS",
    "PICTURE_SUFFIXES",
    "SETS",
    "DownloadError",
    "Frames",
    "LabelledImages",
    "PictureSet",
    "Source",
    "StereoPair",
    "drive_folder",
    "fashion_mnist",
    "fetch",
    "fetchable",
    "halve_frames",
    "image_folder",
    "image_set",
    "is_present",
    "kitti_drive",
    "kitti_drive_folder",
    "labelled_sha256",
    "noise_images",
    "nyu_depth",
    "photograph",
    "photograph_crops",
    "pixels_sha256",
    "read_archive",
    "read_image",
    "rgbd_folder",
    "scale_intrinsics",
    "set_or_embedded",
    "stereo_motorcycle",
    "super_resolution_set",
    "write_archive",
    "write_fashion_mnist",
    "write_hashes",
    "write_image_hashes",
]
