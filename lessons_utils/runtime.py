"""Ground floor: device, seeds, folders, and the one set-up call that every lesson makes."""

from __future__ import annotations

import errno
import importlib.metadata
import os
import random
from pathlib import Path

import matplotlib
import numpy as np
import pooch
import torch

LESSON_API = 1
"""Raised by one when a lesson written for the package as it was would no longer run with it."""

_PACKAGE_FOLDER = Path(__file__).resolve().parent
_DISTRIBUTION = "lessons-utils"


def set_up(lesson_api: int, seed: int = 0) -> torch.device:
    """Prepare a lesson: check the package, seed every generator, set the figure style.

    Every lesson calls this once, in its first code cell. Calling it again is safe: it leaves the
    same state behind, so "run this cell, then all below" repeats the lesson's numbers.

    Args:
        lesson_api: the package interface that the lesson was written for.
        seed: the seed given to Python, NumPy and PyTorch.

    Returns:
        The device that the lesson computes on (see `choose_device`).

    Raises:
        RuntimeError: the lesson and the installed package do not fit; the message names the fix.
    """
    _check_handshake(lesson_api)
    seed_everything(seed)
    _set_figure_style()
    device = choose_device()
    print(
        f"lessons_utils {version()} | torch {torch.__version__} | device {device.type} "
        f"| seed {seed}"
    )
    return device


def _check_handshake(lesson_api: int) -> None:
    if lesson_api == LESSON_API:
        return
    checkout = checkout_folder()
    if lesson_api < LESSON_API:
        problem = "This notebook is older than the installed lessons_utils"
        fix = f"Open the notebook's current version from {repository()}."
    else:
        problem = "The installed lessons_utils is older than this notebook"
        fix = (
            f"Update the package, then restart the kernel:\n    git -C {checkout} pull"
            if checkout
            else "Update the package, then restart the kernel:\n    pip install --upgrade "
            f"--force-reinstall --no-deps git+{repository()}"
        )
    raise RuntimeError(
        f"{problem} (the notebook expects interface {lesson_api}, lessons_utils {version()} has "
        f"interface {LESSON_API}). {fix}"
    )


def choose_device(name: str | None = None) -> torch.device:
    """Return the device to compute on: CUDA, else Apple's MPS, else the CPU.

    Args:
        name: a device by name (`"cpu"`, `"cuda"`, `"cuda:1"`, `"mps"`). None takes the
            environment variable `LESSONS_DEVICE`, and without it the best device present.

    Raises:
        ValueError: the name is no device, or the machine does not have it.
    """
    name = name or os.environ.get("LESSONS_DEVICE")
    has_mps = torch.backends.mps.is_available()
    if not name:
        best = "cuda" if torch.cuda.is_available() else "mps" if has_mps else "cpu"
        return torch.device(best)
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise ValueError(f"{name!r} is no device; use cpu, cuda, cuda:N or mps.") from error
    present = {"cpu": 1, "cuda": torch.cuda.device_count(), "mps": int(has_mps)}
    if (device.index or 0) >= present.get(device.type, 0):
        raise ValueError(
            f"Device {name!r} was asked for, but this machine does not have it "
            f"(CUDA devices: {present['cuda']}, MPS: {'yes' if has_mps else 'no'}). "
            "Unset LESSONS_DEVICE to let the course choose."
        )
    return device


def best_precision(accelerator: str = "auto") -> str:
    """Return the precision to train in: mixed bfloat16 where the hardware computes in it.

    Args:
        accelerator: `"auto"`, `"cpu"`, `"cuda"`, `"gpu"` or `"mps"`.

    Returns:
        `"bf16-mixed"` or `"32-true"`, in the words of Lightning Fabric.
    """
    if accelerator in ("auto", "cuda", "gpu") and torch.cuda.is_available():
        has_bfloat16 = torch.cuda.is_bf16_supported(including_emulation=False)
    elif accelerator == "mps" or (accelerator == "auto" and torch.backends.mps.is_available()):
        has_bfloat16 = False
    else:  # a PyTorch too old to know the processor's abilities gets full precision
        abilities = getattr(torch.cpu, "get_capabilities", dict)()
        has_bfloat16 = abilities.get("avx512_bf16", False) or abilities.get("amx_bf16", False)
    return "bf16-mixed" if has_bfloat16 else "32-true"


def seed_everything(seed: int) -> None:
    """Seed Python's, NumPy's and PyTorch's generators, on every device."""
    random.seed(seed)
    np.random.seed(seed)
    torch.manual_seed(seed)


def _set_figure_style() -> None:
    matplotlib.rcParams.update(
        {
            "figure.dpi": 90,
            "figure.constrained_layout.use": True,
            "font.size": 11,
            "axes.titlesize": 11,
            "image.cmap": "gray",
            "image.interpolation": "nearest",
            "axes.spines.top": False,
            "axes.spines.right": False,
        }
    )


def version() -> str:
    """Return the version of the installed package."""
    return importlib.metadata.version(_DISTRIBUTION)


def repository() -> str:
    """Return the repository's address, as `pyproject.toml` has it."""
    for line in importlib.metadata.metadata(_DISTRIBUTION).get_all("Project-URL") or []:
        label, address = line.split(", ", 1)
        if label == "Repository":
            return address
    raise RuntimeError("The installed package names no repository; install it again.")


def checkout_folder() -> Path | None:
    """Return the folder of the course's checkout, or None where only the wheel is installed."""
    folder = _PACKAGE_FOLDER.parent
    return folder if (folder / "pyproject.toml").is_file() else None


def data_path(name: str = "") -> Path:
    """Return the path of a file that the course ships, in a checkout or in an installed wheel.

    Args:
        name: a path inside `data/`, with forward slashes; empty for the folder itself.

    Raises:
        FileNotFoundError: the course ships no such file.
    """
    checkout = checkout_folder()
    folder = checkout / "data" if checkout else _PACKAGE_FOLDER / "data"
    path = folder / name
    if not path.exists():
        raise FileNotFoundError(
            f"The course ships no {name!r}: nothing lies at {path}. If a lesson asked for it, "
            "update lessons_utils (git pull, or install it again)."
        )
    return path


def cache_folder() -> Path:
    """Return the folder for downloads and rendered scenes, made if missing.

    The environment variable `LESSONS_CACHE` names it; otherwise it is the user's cache folder.
    """
    named = os.environ.get("LESSONS_CACHE")
    folder = Path(named).expanduser() if named else Path(pooch.os_cache("lessons_utils"))
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cannot_store(what: str, error: OSError) -> str:
    """Return the words for a reader whose machine cannot store `what` in the cache folder."""
    full = error.errno in (errno.ENOSPC, errno.EDQUOT)
    return (
        f"{what} cannot be stored: {'the disk is full' if full else error}.\n"
        f"{'Free some space' if full else 'Make the cache folder writable'}, or set "
        "LESSONS_CACHE to another folder."
    )


def lessons_data() -> Path | None:
    """Return the folder that `LESSONS_DATA` names, where data sets may already lie.

    Raises:
        NotADirectoryError: the variable is set, but to something that is no folder.
    """
    named = os.environ.get("LESSONS_DATA")
    if not named:
        return None
    folder = Path(named).expanduser()
    if not folder.is_dir():
        raise NotADirectoryError(
            f"LESSONS_DATA is set to {named!r}, which is no folder. Set it to the folder that "
            "holds the data sets, or unset it."
        )
    return folder
