"""The authors' command line: `python -m lessons_utils.authoring build | check | readme | stamp`.

A lesson is written as a percent script, `notebooks/source/NN_name.py`, the single source. `build`
executes it into the committed `notebooks/NN_name.ipynb`; `check` says where the two differ;
`readme` brings the README's numbers and picture up to date; `stamp` writes the repository's address
from `pyproject.toml` to wherever a reader meets it. All need the
extra packages of `pip install -e '.[lab,test]'`.
"""

from __future__ import annotations

import argparse
import base64
import hashlib
import os
import re
import sys
import tempfile
import tomllib
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path

import jupytext
import nbformat
from nbclient import NotebookClient
from nbclient.exceptions import CellExecutionError, CellTimeoutError, DeadKernelError
from nbformat import NotebookNode

from lessons_utils import anomaly, checkpoints, nbval_close, runtime

METADATA = {
    "kernelspec": {
        "display_name": "Python 3 (ipykernel)",
        "language": "python",
        "name": "python3",
    },
    "language_info": {
        "file_extension": ".py",
        "mimetype": "text/x-python",
        "name": "python",
        "pygments_lexer": "ipython3",
    },
}
"""Of every lesson, whatever machine built it."""

CELL_SECONDS = 600
"""A cell that runs longer while a lesson is built counts as failed."""

_WIDGET = "application/vnd.jupyter.widget-view+json"
_IGNORED = "nbval-ignore-output"
_GITHUB = re.compile(r"https://github\.com/(?P<project>[\w.-]+/[\w.-]*[\w-])/?")
_ADDRESSES = re.compile(
    r"(?P<place>git\+https://github\.com/|git clone https://github\.com/"
    r"|colab\.research\.google\.com/github/)[\w.-]+/[\w.-]*[\w-]"
)


class BuildError(Exception):
    """A lesson that did not run to its end; the message names lesson, cell and error."""


def find_sources(notebooks: Path, chosen: Sequence[str] = ()) -> list[Path]:
    """Return the sources of lessons, in order.

    Args:
        notebooks: the folder of the built lessons; the sources lie in `source/` inside it.
        chosen: numbers (`03`) or names (`03_srcnn_training`); none means all.

    Raises:
        ValueError: a choice fits no source; the message lists those there are.
    """
    sources = sorted((notebooks / "source").glob("[0-9][0-9]_*.py"))
    for choice in chosen:
        if not any(choice in (path.stem, path.stem[:2]) for path in sources):
            names = ", ".join(path.stem for path in sources) or "none"
            raise ValueError(f"No lesson {choice!r} in {notebooks / 'source'}; there are: {names}.")
    return [path for path in sources if not chosen or {path.stem, path.stem[:2]} & set(chosen)]


def notebook_path(source: Path) -> Path:
    """Return where a source's notebook lies: in the folder above the sources."""
    return source.parent.parent / f"{source.stem}.ipynb"


def read_source(source: Path) -> NotebookNode:
    """Read a percent script as a notebook without outputs, with the ids of its cells."""
    notebook = jupytext.read(source, fmt="py:percent")
    notebook.metadata = nbformat.from_dict(METADATA)
    notebook.nbformat, notebook.nbformat_minor = 4, 5
    assign_ids(notebook)
    return notebook


def assign_ids(notebook: NotebookNode) -> None:
    """Give each cell an id made from its type and source, so that unchanged cells keep theirs."""
    seen: Counter[str] = Counter()
    for cell in notebook.cells:
        digest = hashlib.sha1(f"{cell.cell_type}\n{cell.source}".encode()).hexdigest()[:16]
        seen[digest] += 1
        cell.id = digest if seen[digest] == 1 else f"{digest}-{seen[digest]}"


def build(source: Path) -> Path:
    """Execute a source and write its notebook, whole or not at all.

    The kernel runs with one thread, on the CPU, without the network, `LESSONS_DATA` and downloads
    of earlier runs, in the notebook's folder. Building again writes the same bytes.

    Raises:
        BuildError: a cell raised, took too long or ended the kernel. Nothing is written.
    """
    notebook, target = read_source(source), notebook_path(source)
    begun = [0]
    with tempfile.TemporaryDirectory() as scratch:
        environment = nbval_close.kernel_environment(Path(scratch)) | {"LESSONS_DEVICE": "cpu"}
        client = NotebookClient(
            notebook,
            timeout=CELL_SECONDS,
            kernel_name="python3",
            store_widget_state=False,
            record_timing=False,
            extra_arguments=["--log-level=ERROR"],
            coalesce_streams=True,
            on_cell_start=lambda cell, cell_index: begun.append(cell_index),
            resources={"metadata": {"path": str(target.parent)}},
        )
        try:
            client.execute(env=environment)
        except (CellExecutionError, CellTimeoutError, DeadKernelError) as error:
            raise BuildError(_failure(source, notebook, begun[-1], error)) from error
    notebook.metadata = nbformat.from_dict(METADATA)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs = _lasting_outputs(cell)
    _write(notebook, target)
    return target


def _failure(source: Path, notebook: NotebookNode, index: int, error: Exception) -> str:
    code = "\n".join(f"    {line}" for line in notebook.cells[index].source.splitlines())
    reason = getattr(error, "traceback", error)  # of an error in the cell, its traceback alone
    return f"{source.name}, cell {index + 1} of {len(notebook.cells)}:\n{code}\n{reason}"


def _lasting_outputs(cell: NotebookNode) -> list[NotebookNode]:
    """Return a cell's outputs without what differs from build to build.

    That is the random name of a widget (beside its picture; a widget without one goes wholly, such
    as a progress bar) and, in a cell whose outputs nobody compares, all that it printed: a speed,
    the free space of a disk.
    """
    kept = []
    for output in cell.outputs:
        data = output.get("data", {})
        if _WIDGET in data:
            if "image/png" not in data:
                continue
            del data[_WIDGET]
            output.metadata.pop(_WIDGET, None)
        printed = output.output_type == "stream"
        if not (printed and _IGNORED in cell.metadata.get("tags", [])):
            kept.append(output)
    return kept


def _write(notebook: NotebookNode, target: Path) -> None:
    nbformat.validate(notebook)
    draft = target.with_suffix(".ipynb.tmp")
    nbformat.write(notebook, draft)
    os.replace(draft, target)


def differences(notebooks: Path) -> list[str]:
    """Compare all sources with their notebooks: cell types, sources, tags and ids.

    Returns:
        One sentence for each difference; none when they agree. Outputs are nbval's matter.
    """
    found = []
    sources = find_sources(notebooks)
    built = {notebook_path(source): source for source in sources}
    for orphan in sorted(set(notebooks.glob("[0-9][0-9]_*.ipynb")) - set(built)):
        found.append(f"{orphan.name} has no source/{orphan.stem}.py.")
    for path, source in built.items():
        if not path.is_file():
            found.append(f"source/{source.name} was never built.")
            continue
        wanted = _outline(read_source(source))
        there = _outline(nbformat.read(path, as_version=4))
        if wanted == there:
            continue
        first = next(
            (n for n, (a, b) in enumerate(zip(wanted, there, strict=False), 1) if a != b),
            min(len(wanted), len(there)) + 1,
        )
        found.append(
            f"{path.name} is not what source/{source.name} says, from cell {first} on: run "
            f"`python -m lessons_utils.authoring build {source.stem[:2]}`."
        )
    return found


def _outline(notebook: NotebookNode) -> list[tuple[str, str, str, list[str]]]:
    return [
        (cell.id, cell.cell_type, cell.source, cell.metadata.get("tags", []))
        for cell in notebook.cells
    ]


def repository(folder: Path) -> str:
    """Return the address of the repository, read from the `pyproject.toml` in a folder.

    Raises:
        ValueError: it is not of the form `https://github.com/OWNER/NAME`, which Colab needs.
    """
    project = tomllib.loads((folder / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    address = project["urls"]["Repository"]
    if not _GITHUB.fullmatch(address):
        raise ValueError(
            f"[project.urls] Repository in pyproject.toml is {address!r}; Colab's links need "
            "an address of the form https://github.com/OWNER/NAME."
        )
    return address.rstrip("/")


def stamp(folder: Path) -> list[Path]:
    """Write the repository's address into README, sources and notebooks, executing nothing.

    It stands in Colab's links, in `git+https://...` of the set-up cells and in `git clone`.

    Args:
        folder: of the checkout.

    Returns:
        The files that changed; none the second time.
    """
    project = _GITHUB.fullmatch(repository(folder))["project"]

    def stamped(text: str) -> str:
        return _ADDRESSES.sub(lambda found: found["place"] + project, text)

    notebooks = folder / "notebooks"
    changed = [
        path
        for path in (folder / "README.md", *find_sources(notebooks))
        if _stamp_text(path, stamped)
    ]
    return changed + [
        path
        for path in sorted(notebooks.glob("[0-9][0-9]_*.ipynb"))
        if _stamp_notebook(path, stamped)
    ]


def _stamp_text(path: Path, stamped: Callable[[str], str]) -> bool:
    before = path.read_text(encoding="utf-8")
    after = stamped(before)
    if after != before:
        _replace(path, after.encode())
    return after != before


def _stamp_notebook(path: Path, stamped: Callable[[str], str]) -> bool:
    notebook = nbformat.read(path, as_version=4)
    sources = [stamped(cell.source) for cell in notebook.cells]
    if sources == [cell.source for cell in notebook.cells]:
        return False
    for cell, source in zip(notebook.cells, sources, strict=True):
        cell.source = source
    assign_ids(notebook)
    _write(notebook, path)
    return True


PAPER_SET5 = {2: (36.66, 0.9542), 3: (32.75, 0.9090), 4: (30.49, 0.8628)}
"""SRCNN 9-5-5 trained on ImageNet, PSNR in dB and SSIM (Dong et al., TPAMI 2015, table 2)."""

DEPTH_DATA = {"nyu": "ours, NYU", "rooms": "ours, rendered rooms"}

PAPER_NYU = {
    "abs_rel": (0.408, 0.228, 0.215),
    "rmse": (1.244, 0.871, 0.907),
    "rmse_log": (0.430, 0.283, 0.285),
    "delta1": (0.418, 0.618, 0.611),
}
"""Mean depth picture, coarse, coarse and fine (Eigen et al., NeurIPS 2014, table 1)."""

PAPER_ODIN = {
    "tinyimagenet-crop": (34.7, 4.3, 95.3, 99.1),
    "tinyimagenet-resize": (40.8, 7.5, 94.1, 98.5),
    "cifar100": None,
    "gaussian": (12.3, 0.0, 97.5, 100.0),
}
"""FPR at 95 % TPR of baseline and ODIN, then AUROC of both, in %: DenseNet-BC on CIFAR-10 (Liang et
al., ICLR 2018, table 2); None where the paper has no number."""

ODIN_BANKS = {"densenet-cifar10": "DenseNet, our code", "cifar10-compact": "our network"}


def refresh_readme(folder: Path) -> None:
    """Take the README's numbers from cards and score banks, and its picture from lesson 00.

    Args:
        folder: of the checkout; `README.md` and `data/teaser.png` are written.
    """
    readme = folder / "README.md"
    text = readme.read_text(encoding="utf-8")
    tables = {
        "set5": _set5_rows(),
        "depth": _depth_rows(),
        "motion": _motion_rows(),
        "odin": _odin_rows(),
    }
    for name, rows in tables.items():
        between = re.compile(rf"(?<=<!-- {name} -->\n).*?(?=<!-- /{name} -->)", re.S)
        text = between.sub("".join(f"{row}\n" for row in rows), text)
    _replace(readme, text.encode())
    _replace(
        folder / "data" / "teaser.png", first_picture(folder / "notebooks/00_start_here.ipynb")
    )


def _set5_rows() -> list[str]:
    rows = ["| scale | bicubic | paper | ours |", "|---|---|---|---|"]
    for scale, paper in PAPER_SET5.items():
        ours = checkpoints.load_card(f"srcnn-9-5-5-x{scale}").metrics["set5"]
        cells = (
            (ours["bicubic_psnr"], ours["bicubic_ssim"]),
            paper,
            (ours["psnr"], ours["ssim"]),
        )
        texts = " | ".join(f"{psnr:.2f} ({ssim:.4f})" for psnr, ssim in cells)
        rows.append(f"| x{scale} | {texts} |")
    return rows


def _depth_rows() -> list[str]:
    networks = ("mean", "coarse", "fine")
    measured = {data: checkpoints.load_card(f"eigen-{data}").metrics[data] for data in DEPTH_DATA}
    rows = [
        f"| mean, coarse, fine | paper, NYU | {' | '.join(DEPTH_DATA.values())} |",
        "|---|---|---|---|",
    ]
    for metric, paper in PAPER_NYU.items():
        columns = [paper] + [
            [table[name][metric] for name in networks] for table in measured.values()
        ]
        texts = (", ".join(f"{value:.3f}" for value in column) for column in columns)
        rows.append(f"| {metric} | {' | '.join(texts)} |")
    return rows


def _motion_rows() -> list[str]:
    table = checkpoints.load_card("geonet-streets").metrics["streets"]
    depth, flow, pose = table["depth"], table["flow"], table["pose"]
    rows = [
        (
            "depth, abs_rel",
            f"one depth for all {depth['constant']['abs_rel']:.3f}, "
            f"a level road {depth['ground_plane']['abs_rel']:.3f}",
            f"{depth['geonet']['abs_rel']:.3f}",
        )
    ]
    for name, region in (("what stands still", "static"), ("what moves by itself", "moving")):
        none, rigid, final = (flow[row][f"{region}_epe"] for row in ("none", "rigid", "final"))
        label = f"flow of {name}, pixels off"
        rows.append((label, f"no flow {none:.2f}", f"{rigid:.2f} → {final:.2f}"))
    for label, metric in (
        ("rotation, degrees off", "rotation_error"),
        ("trajectory of three frames, metres off", "ate"),
    ):
        geonet, ahead = (pose[row][metric] for row in ("geonet", "straight_ahead"))
        rows.append((label, f"straight ahead {ahead:.3f}", f"{geonet:.3f}"))
    head = ["| 100 drives through new streets | to be beaten | ours |", "|---|---|---|"]
    return head + [f"| {' | '.join(row)} |" for row in rows]


def _odin_rows() -> list[str]:
    banks = [anomaly.load_bank(name) for name in ODIN_BANKS]
    rows = [f"| strangers | paper | {' | '.join(ODIN_BANKS.values())} |", "|---|---|---|---|"]
    for outside, paper in PAPER_ODIN.items():
        columns = [paper] + [_odin_numbers(bank, outside) for bank in banks]
        texts = ("–" if column is None else _odin_cell(*column) for column in columns)
        rows.append(f"| {outside} | {' | '.join(texts)} |")
    return rows


def _odin_numbers(bank: anomaly.ScoreBank, outside: str) -> tuple[float, ...]:
    """Return what `PAPER_ODIN` holds, from a bank, with the paper's temperature and epsilon."""
    setting = anomaly.TEMPERATURE, anomaly.EPSILON
    both = ("cifar10-test", outside)
    baseline = [bank.baseline(name) for name in both]
    odin = [bank.odin(name, *setting) for name in both]
    measures = (anomaly.fpr_at_tpr, anomaly.auroc)
    return tuple(100 * measure(*scores) for measure in measures for scores in (baseline, odin))


def _odin_cell(fpr: float, odin_fpr: float, area: float, odin_area: float) -> str:
    return f"{fpr:.1f} → {odin_fpr:.1f} ({area:.1f} → {odin_area:.1f})"


def first_picture(notebook: Path) -> bytes:
    """Return the first figure of a built lesson, as a PNG file's bytes.

    Raises:
        ValueError: the lesson holds no figure.
    """
    for cell in nbformat.read(notebook, as_version=4).cells:
        for output in cell.get("outputs", []):
            if "image/png" in output.get("data", {}):
                return base64.b64decode(output["data"]["image/png"])
    raise ValueError(f"{notebook.name} holds no figure; build it first.")


def _replace(path: Path, content: bytes) -> None:
    draft = path.with_name(path.name + ".tmp")
    draft.write_bytes(content)
    os.replace(draft, path)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run one command; return the exit status: 1 where a lesson failed or differs."""
    parser = argparse.ArgumentParser(
        prog="python -m lessons_utils.authoring",
        description="Build lessons from their sources, compare the two, stamp the address.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    build_parser = commands.add_parser("build", help="execute sources into notebooks")
    build_parser.add_argument("lessons", nargs="*", metavar="NN", help="such as 03; none means all")
    commands.add_parser("check", help="say where sources and notebooks differ")
    commands.add_parser("readme", help="take its numbers from cards and banks, its picture from 00")
    commands.add_parser("stamp", help="write the repository's address into badges and cells")
    options = parser.parse_args(arguments)

    checkout = runtime.checkout_folder()
    if checkout is None:
        print("Authoring needs a checkout of the course, not only the wheel.", file=sys.stderr)
        return 1
    if options.command == "build":
        return _build_all(checkout / "notebooks", options.lessons)
    if options.command == "readme":
        refresh_readme(checkout)
        return 0
    if options.command == "stamp":
        for path in stamp(checkout):
            print(f"stamped {path.relative_to(checkout)}")
        return 0
    found = differences(checkout / "notebooks")
    print("\n".join(found) or "Sources and notebooks agree.")
    return 1 if found else 0


def _build_all(notebooks: Path, chosen: Sequence[str]) -> int:
    try:
        sources = find_sources(notebooks, chosen)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    failed = False
    for source in sources:
        try:
            print(f"built {build(source).name}", flush=True)
        except BuildError as error:
            failed = True
            print(f"FAILED {error}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    raise SystemExit(main())
