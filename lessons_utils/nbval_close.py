"""A pytest plugin on top of nbval: lessons are run again, and their outputs compared sensibly.

nbval alone asks for equal text, letter by letter, and looks at no figure. Here words and integers
must be equal, numbers with a decimal point close, and figures alike. A cell that was never executed
fails. Each lesson ends with a check of the time and memory that it took against the budget printed
at its top. The kernels run without the network, so every lesson is proven to work offline.

Load it with `-p lessons_utils.nbval_close`. It uses no other room of the package.
"""

from __future__ import annotations

import base64
import io
import json
import math
import os
import re
import tempfile
import time
from collections.abc import Iterable, Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import pytest
import torch
from nbval.plugin import IPyNbCell, IPyNbFile
from PIL import Image

NUMBER_TOLERANCE = 1e-3
"""Relative: the fourth digit of a number with a decimal point may differ, the third may not."""

NUMBER_FLOOR = 1e-6
"""Numbers with a decimal point that differ by less than this are close whatever their size."""

FIGURE_TOLERANCE = 0.05
"""Largest difference of two figures' thumbnails, in any pixel and channel, of values in [0, 1].

Two versions of matplotlib drew the same figures within 0.035; 1 % of noise on a curve gave 0.055,
another colour 0.122, empty axes 0.145.
"""

THUMBNAIL_SIDE = 24

OUTPUT_SECONDS = 60
"""How long a finished cell's outputs may take to arrive; nbval's 5 are few on a busy machine."""

_DECIMAL = re.compile(
    r"[-+]?(?:\d+\.\d*|\.\d+)(?:[eE][-+]?\d+)?|[-+]?\d+[eE][-+]?\d+|\bnan\b|[-+]?\binf\b"
)
_PNG_IN_BASE64 = "iVBORw0KGgo"
_MACHINE = (
    # The line that the set-up call prints: versions and device are the reader's own.
    (re.compile(r"^lessons_utils \S+ \| torch \S+ \| device \S+ \|", re.M), "lessons_utils |"),
    (re.compile(r", device='(?:cuda|mps)(?::\d+)?'"), ""),
)
_BUDGET = re.compile(
    r"\*\*Budget:\*\* (?P<seconds>\d+) s on a CPU core \(GPU: (?P<gpu>not measured|\d+ s)\)"
    r" · (?P<gigabytes>\d+(?:\.\d+)?) GB of memory"
    r" · (?P<download>nothing|\d+(?:\.\d+)? MB) to download"
)
_BLOCK_NETWORK = '''\
"""Python imports this when it starts: only this machine itself can be reached."""

import sys

_HERE = {None, "", "localhost", "::1", "0.0.0.0", "::"}


def _refuse(event, arguments):
    if event in ("socket.connect", "socket.sendto"):
        address = arguments[1]
        host = address[0] if isinstance(address, tuple) else None
    elif event in ("socket.getaddrinfo", "socket.gethostbyname"):
        host = arguments[0]
    else:
        return
    if isinstance(host, (bytes, bytearray)):
        host = host.decode()
    if host not in _HERE and not host.startswith("127."):
        raise OSError(f"The network is blocked while lessons are tested ({host} was asked for).")


sys.addaudithook(_refuse)
'''


@dataclass(frozen=True)
class Budget:
    """What a lesson says at its top that it takes."""

    cpu_seconds: float
    """Of one core, for the whole lesson."""
    gigabytes: float
    """Peak memory of the kernel, in 1e9 bytes."""


@dataclass(frozen=True)
class Usage:
    """What a lesson took; one row of the report."""

    lesson: str
    cpu_seconds: float
    wall_seconds: float
    peak_gigabytes: float
    budget: Budget | None


def parse_budget(text: str) -> Budget | None:
    """Read the budget line of a lesson; None where the text has none.

    Args:
        text: markdown, with a line such as
            `**Budget:** 20 s on a CPU core (GPU: not measured) · 0.8 GB of memory ·
            nothing to download` (in one line).

    Raises:
        ValueError: a line begins as a budget but has another form.
    """
    for line in text.splitlines():
        if line.startswith("**Budget:**"):
            found = _BUDGET.fullmatch(line.strip())
            if not found:
                raise ValueError(
                    f"The budget line {line!r} should read like '**Budget:** 20 s on a CPU core "
                    "(GPU: not measured) · 0.8 GB of memory · nothing to download'."
                )
            return Budget(float(found["seconds"]), float(found["gigabytes"]))
    return None


def over_budget(usage: Usage) -> str:
    """Say in a sentence what a lesson took too much of; empty when it kept to its budget."""
    budget = usage.budget
    if budget is None:
        return ""
    too_much = []
    if usage.cpu_seconds > budget.cpu_seconds:
        too_much.append(f"{usage.cpu_seconds:.1f} CPU s of {budget.cpu_seconds:g}")
    if usage.peak_gigabytes > budget.gigabytes:
        too_much.append(f"{usage.peak_gigabytes:.2f} GB of {budget.gigabytes:g}")
    if not too_much:
        return ""
    return (
        f"{usage.lesson} took {' and '.join(too_much)} that its budget line promises. Make it "
        "cheaper, or measure again on a quiet machine and correct the line."
    )


def kernel_environment(scratch: Path) -> dict[str, str]:
    """Return the environment in which a lesson is built and tested: what every reader has.

    One thread, no network, no `LESSONS_DATA`, no downloads of earlier runs, no start-up files of
    the user's IPython.

    Args:
        scratch: an existing folder, kept while the kernel lives.
    """
    blocker = scratch / "offline" / "sitecustomize.py"
    blocker.parent.mkdir(exist_ok=True)
    blocker.write_text(_BLOCK_NETWORK, encoding="utf-8")
    environment = {
        name: value
        for name, value in os.environ.items()
        if name not in ("LESSONS_DATA", "MPLBACKEND")
    }
    return environment | {
        "OMP_NUM_THREADS": "1",
        "LESSONS_CACHE": str(scratch / "cache"),
        "IPYTHONDIR": str(scratch / "ipython"),
        "PYTHONPATH": os.pathsep.join(
            filter(None, [str(blocker.parent), os.environ.get("PYTHONPATH")])
        ),
    }


class Close(str):
    """An output that equals another when a reader would call the two the same."""

    def __eq__(self, other: object) -> bool:
        """Compare figures by thumbnails, texts word by word and number by number."""
        if not isinstance(other, str):
            return NotImplemented
        if str.__eq__(self, other):
            return True
        if self.startswith(_PNG_IN_BASE64) and other.startswith(_PNG_IN_BASE64):
            return figure_distance(self, other) <= FIGURE_TOLERANCE
        return _close_texts(self, other)

    def __ne__(self, other: object) -> bool:
        """Compare as `==` does; nbval asks this way."""
        return not self == other

    __hash__ = str.__hash__


def figure_distance(one: str, other: str) -> float:
    """Return the largest difference between the thumbnails of two PNGs given in base64."""
    return float(np.abs(_thumbnail(one) - _thumbnail(other)).max())


def _thumbnail(png: str) -> np.ndarray:
    """Shrink a picture to (24, 24, 3), values in [0, 1], on white."""
    with Image.open(io.BytesIO(base64.b64decode(png))) as stored:
        picture = stored.convert("RGBA")
    white = Image.new("RGBA", picture.size, "white")
    small = Image.alpha_composite(white, picture).convert("RGB")
    small = small.resize((THUMBNAIL_SIDE, THUMBNAIL_SIDE), Image.Resampling.BOX)
    return np.asarray(small, dtype=np.float32) / 255


def _close_texts(one: str, other: str) -> bool:
    # Columns are padded according to their numbers, so spaces count as one.
    one, other = " ".join(one.split()), " ".join(other.split())
    if _DECIMAL.sub("#", one) != _DECIMAL.sub("#", other):
        return False
    pairs = zip(_DECIMAL.findall(one), _DECIMAL.findall(other), strict=True)
    return all(
        a == b or math.isclose(float(a), float(b), rel_tol=NUMBER_TOLERANCE, abs_tol=NUMBER_FLOOR)
        for a, b in pairs
    )


class Cell(IPyNbCell):
    """A code cell: executed, its outputs compared with the stored ones."""

    def runtest(self) -> None:
        """Run and compare the cell; one that was stored without being executed fails."""
        if self.cell.execution_count is None and not self.options["skip"]:
            self.raise_cell_error(
                "This cell was never executed, so it has no outputs to compare. Build the lesson: "
                "python -m lessons_utils.authoring build"
            )
        self.output_timeout = OUTPUT_SECONDS
        super().runtest()

    def sanitize(self, s: object) -> object:
        """Turn a text into one that compares sensibly, without what each machine has of its own."""
        if not isinstance(s, str):
            return s
        for pattern, replacement in _MACHINE:
            s = pattern.sub(replacement, s)
        return Close(super().sanitize(s))

    def format_output_compare(self, key: str, left: str, right: str) -> None:
        """Describe a difference; for figures by its size, not by their bytes."""
        if key == "image/png":
            self.comparison_traceback.append(
                f"The figure differs from the stored one: by {figure_distance(left, right):.3f} "
                f"in a thumbnail of {THUMBNAIL_SIDE} x {THUMBNAIL_SIDE} pixels, where at most "
                f"{FIGURE_TOLERANCE} is allowed."
            )
        else:
            super().format_output_compare(key, left, right)


class BudgetCheck(pytest.Item):
    """The last check of a lesson, while its kernel still lives: time and memory."""

    def runtest(self) -> None:
        """Measure the kernel and compare with the lesson's budget."""
        if not self.parent.kernel.is_alive():
            pytest.fail("The kernel ended before the lesson did; see its cells.", pytrace=False)
        usage = self.parent.measure()
        self.config.stash[_USAGES].append(usage)
        if complaint := over_budget(usage):
            pytest.fail(complaint, pytrace=False)

    def reportinfo(self) -> tuple[Path, int, str]:
        """Name the check in pytest's reports."""
        return self.path, 0, f"{self.path.name}::{self.name}"


class Lesson(IPyNbFile):
    """A notebook: one kernel for all its cells."""

    def __init__(self, *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self.skip_compare = tuple(set(self.skip_compare) - {"image/png"})

    def collect(self) -> Iterator[pytest.Item]:
        """Yield its code cells, then the check of its budget."""
        for item in super().collect():
            yield Cell.from_parent(
                self, name=item.name, cell_num=item.cell_num, cell=item.cell, options=item.options
            )
        yield BudgetCheck.from_parent(self, name="budget")

    def setup(self) -> None:
        """Start the kernel, in the environment of lessons rather than in this process's."""
        self.began = time.perf_counter()
        environment = kernel_environment(self.config.stash[_SCRATCH])
        with pytest.MonkeyPatch.context() as patch:
            for name in set(os.environ) - set(environment):
                patch.delenv(name)
            for name, value in environment.items():
                patch.setenv(name, value)
            super().setup()

    def measure(self) -> Usage:
        """Return what the kernel and its child processes have taken until now."""
        kernel = psutil.Process(self.kernel.km.provisioner.pid)
        processes = [kernel, *kernel.children(recursive=True)]
        ended = kernel.cpu_times()
        text = "\n".join(cell.source for cell in self.nb.cells if cell.cell_type == "markdown")
        return Usage(
            lesson=self.path.stem,
            cpu_seconds=sum(_cpu_seconds(process) for process in processes)
            + getattr(ended, "children_user", 0.0)
            + getattr(ended, "children_system", 0.0),
            wall_seconds=time.perf_counter() - self.began,
            peak_gigabytes=sum(_peak_bytes(process) for process in processes) / 1e9,
            budget=parse_budget(text),
        )


def _cpu_seconds(process: psutil.Process) -> float:
    times = process.cpu_times()
    return times.user + times.system


def _peak_bytes(process: psutil.Process) -> int:
    """Return the peak memory of a process; where the system keeps none, its present memory."""
    status = Path(f"/proc/{process.pid}/status")
    if status.is_file():
        found = re.search(r"^VmHWM:\s+(\d+) kB$", status.read_text(), re.M)
        if found:
            return int(found[1]) * 1024
    memory = process.memory_info()
    return getattr(memory, "peak_wset", memory.rss)


_USAGES = pytest.StashKey[list[Usage]]()
_SCRATCH = pytest.StashKey[Path]()


def pytest_configure(config: pytest.Config) -> None:
    """Give tests one thread, as the kernels have, and the kernels a folder of this run."""
    os.environ["OMP_NUM_THREADS"] = "1"
    torch.set_num_threads(1)
    scratch = tempfile.TemporaryDirectory(ignore_cleanup_errors=True)
    config.add_cleanup(scratch.cleanup)
    config.stash[_SCRATCH] = Path(scratch.name)
    config.stash[_USAGES] = []


@pytest.hookimpl(wrapper=True)
def pytest_collect_file(parent: pytest.Collector) -> Iterator[None]:
    """Take every notebook that nbval would collect."""
    nodes = yield
    return [
        Lesson.from_parent(parent, path=node.path) if type(node) is IPyNbFile else node
        for node in nodes
    ]


def pytest_terminal_summary(terminalreporter: object, config: pytest.Config) -> None:
    """Print what each lesson took, and write it to `reports/lessons.json`."""
    usages = sorted(config.stash[_USAGES], key=lambda usage: usage.lesson)
    if not usages:
        return
    terminalreporter.section("lessons: time and memory")
    for line in table(usages):
        terminalreporter.line(line)
    report = config.rootpath / "reports" / "lessons.json"
    report.parent.mkdir(exist_ok=True)
    report.write_text(json.dumps([asdict(usage) for usage in usages], indent=2) + "\n")


def table(usages: Iterable[Usage]) -> list[str]:
    """Return the lines of the report: a head, and one line for each lesson."""
    usages = list(usages)
    width = max(len(usage.lesson) for usage in usages)
    lines = [f"{'lesson':{width}}   CPU s  wall s  peak GB  budget"]
    for usage in usages:
        budget = usage.budget
        promised = f"{budget.cpu_seconds:g} s, {budget.gigabytes:g} GB" if budget else "none"
        verdict = "  EXCEEDED" if over_budget(usage) else ""
        lines.append(
            f"{usage.lesson:{width}}  {usage.cpu_seconds:6.1f}  {usage.wall_seconds:6.1f}  "
            f"{usage.peak_gigabytes:7.2f}  {promised}{verdict}"
        )
    return lines
