"""The marked cells, which measure on data that we may not ship, run where the data lie."""

import os
import re

import pytest
from nbclient import NotebookClient

from lessons_utils import authoring, nbval_close

SWITCH = re.compile(r"^measure_live = False$", re.M)
FALLBACK = re.compile(r"fall(s|ing)? back|stand-in|not found|no network", re.I)


def test_marked_cells_run(source, tmp_path):
    notebook = authoring.read_source(source)
    marked = [
        cell for cell in notebook.cells if cell.cell_type == "code" and SWITCH.search(cell.source)
    ]
    if not marked:
        pytest.skip("the lesson has no marked cell")
    if not os.environ.get("LESSONS_DATA"):
        pytest.skip("LESSONS_DATA is not set, so the data sets are not at hand")
    for cell in marked:
        assert "marked" in cell.metadata.get("tags", []), cell.source
        cell.source = SWITCH.sub("measure_live = True", cell.source)
    del notebook.cells[notebook.cells.index(marked[-1]) + 1 :]
    environment = nbval_close.kernel_environment(tmp_path)
    client = NotebookClient(
        notebook,
        timeout=600,
        kernel_name="python3",
        extra_arguments=["--log-level=ERROR"],
        resources={"metadata": {"path": str(source.parent.parent)}},
    )
    client.execute(env=environment | {"LESSONS_DATA": os.environ["LESSONS_DATA"]})
    for cell in marked:
        printed = "".join(output.get("text", "") for output in cell.outputs)
        assert printed or any("data" in output for output in cell.outputs), cell.source
        assert not FALLBACK.search(printed), printed


def test_marked_cells_are_off_in_what_is_stored(notebook):
    for cell in notebook.cells:
        if cell.cell_type == "code" and "measure_live" in cell.source:
            assert SWITCH.search(cell.source), cell.source
            assert not cell.outputs, "what is stored must not depend on the data"
