"""The comparison of outputs is compared itself: what must fail fails, what may differ passes."""

import base64
import copy
import io
import json
import os
import re
import subprocess
import sys
import xml.etree.ElementTree as ET

import nbformat
import pytest
from PIL import Image

from lessons_utils import authoring, nbval_close

BUDGET = (
    "**Budget:** 60 s on a CPU core (GPU: not measured) · 4.0 GB of memory · nothing to download"
)
NUMBERS = 'import math\nprint(f"pi is {math.pi:.4f} and {6 * 7} words")'
PICTURE = 'from PIL import Image\nImage.linear_gradient("L").resize((64, 48))'
SLIDER = """\
import base64, io, ipywidgets
from IPython.display import display
slider, stream = ipywidgets.IntSlider(description="k"), io.BytesIO()
Image.linear_gradient("L").resize((64, 48)).save(stream, "png")
view = {"version_major": 2, "version_minor": 0, "model_id": slider.model_id}
png = base64.b64encode(stream.getvalue()).decode()
bundle = {"application/vnd.jupyter.widget-view+json": view, "image/png": png, "text/plain": "k 0"}
display(bundle, raw=True)"""
SETUP_LINE = 'print("lessons_utils 0.1.0 | torch 2.14.1 | device cpu | seed 0")'
TENSOR = "print(\"tensor([1.5000], device='cuda:0')\")"
PLACE = """\
import os, pathlib
print(os.environ.get("LESSONS_DATA"), os.environ["OMP_NUM_THREADS"], pathlib.Path.cwd().name)"""
CELLS = [NUMBERS, NUMBERS, NUMBERS, NUMBERS, PICTURE, PICTURE, PICTURE, SLIDER, SETUP_LINE, TENSOR]


def png(picture):
    stream = io.BytesIO()
    picture.save(stream, "png")
    return base64.b64encode(stream.getvalue()).decode()


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def respell(notebook, cell, old, new):
    """Change the stored text of a cell's first output."""
    output = code_cells(notebook)[cell].outputs[0]
    assert old in output.text
    output.text = output.text.replace(old, new)


def spoil(notebook):
    """Damage each cell in another way."""
    respell(notebook, 0, "3.1416", "3.1516")
    respell(notebook, 1, "42", "43")
    respell(notebook, 2, "words", "birds")
    code_cells(notebook)[3].source = "import no_such_package"
    pictures = [cell.outputs[0].data for cell in code_cells(notebook)[4:8]]
    pictures[0]["image/png"] = png(Image.new("L", (64, 48), 255))
    del pictures[1]["image/png"]
    pictures[2]["image/png"] = png(Image.linear_gradient("L").rotate(180).resize((64, 48)))
    pictures[3]["image/png"] = png(Image.new("L", (64, 48)))
    respell(notebook, 8, "seed 0", "seed 1")
    respell(notebook, 9, "1.5000", "1.6000")


def vary(notebook):
    """Change what may differ from machine to machine."""
    respell(notebook, 0, "3.1416", "3.1417")
    respell(notebook, 1, "3.1416 ", "3.1416   ")
    faint = Image.linear_gradient("L").resize((64, 48)).point(lambda value: value * 0.97)
    code_cells(notebook)[4].outputs[0].data["image/png"] = png(faint)
    respell(
        notebook, 8, "0.1.0 | torch 2.14.1 | device cpu", "0.2 | torch 2.11.0+cu128 | device cuda"
    )
    respell(notebook, 9, ", device='cuda:0'", "")


def strip(notebook):
    for cell in code_cells(notebook):
        cell.outputs, cell.execution_count = [], None


def keep(notebook):
    pass


def write_lesson(folder, name, cells, budget=BUDGET):
    path = folder / "source" / f"{name}.py"
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = ["# %% [markdown]\n# # Lesson\n#\n# " + budget, *("# %%\n" + cell for cell in cells)]
    path.write_text("\n\n".join(blocks) + "\n", encoding="utf-8")
    return path


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    """Run the plugin on good and bad lessons at once; return what pytest said about each cell."""
    root = tmp_path_factory.mktemp("course")
    lessons = root / "notebooks"
    built = authoring.build(write_lesson(lessons, "00_good", [*CELLS, PLACE]))
    reference = nbformat.read(built, as_version=4)
    for name, change in (("01_spoiled", spoil), ("02_varied", vary), ("03_stripped", strip)):
        notebook = copy.deepcopy(reference)
        change(notebook)
        nbformat.write(notebook, lessons / f"{name}.ipynb")
    for name, old, new in (
        ("04_slow", "60 s", "0 s"),
        ("05_large", "4.0 GB", "0.01 GB"),
        ("06_unclear", "60 s on", "60 sec on"),
    ):
        notebook = copy.deepcopy(reference)
        notebook.cells[0].source = notebook.cells[0].source.replace(old, new)
        del notebook.cells[2:]
        nbformat.write(notebook, lessons / f"{name}.ipynb")
    (root / "test_same_process.py").write_text(
        "import os, torch\n"
        "def test_unit_tests_see_the_data_and_one_thread():\n"
        "    assert os.environ['LESSONS_DATA'] and os.environ['OMP_NUM_THREADS'] == '1'\n"
        "    assert torch.get_num_threads() == 1\n"
    )
    (root / "pytest.ini").write_text(
        "[pytest]\naddopts = -p lessons_utils.nbval_close --nbval --nbval-current-env\n"
    )
    ran = subprocess.run(
        [sys.executable, "-m", "pytest", "--junit-xml=result.xml", "--color=no"],
        cwd=root,
        env=os.environ | {"LESSONS_DATA": str(root), "OMP_NUM_THREADS": "2"},
        capture_output=True,
        text=True,
    )
    outcomes = {}
    for case in ET.parse(root / "result.xml").iter("testcase"):
        bad = next(iter(case), None)
        name = case.get("classname").removeprefix("notebooks.").removesuffix(".ipynb")
        said = "" if bad is None else bad.get("message", "") + (bad.text or "")
        outcomes.setdefault(name, {})[case.get("name")] = said
    ran.outcomes, ran.report = outcomes, json.loads((root / "reports" / "lessons.json").read_text())
    return ran


@pytest.mark.parametrize("lesson", ["00_good", "02_varied", "test_same_process"])
def test_what_may_differ_passes(run, lesson):
    assert run.outcomes[lesson]
    assert not any(run.outcomes[lesson].values()), run.outcomes[lesson]


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        (0, "3.1516"),
        (1, "43"),
        (2, "birds"),
        (3, "no_such_package"),
        (4, "The figure differs"),
        (5, "image/png"),
        (6, "The figure differs"),
        (7, "The figure differs"),
        (8, "seed"),
        (9, "1.6000"),
    ],
    ids=[
        "third digit",
        "integer",
        "word",
        "package missing",
        "figure blanked",
        "figure removed",
        "figure wrong",
        "explorer's figure blanked",
        "seed",
        "tensor",
    ],
)
def test_each_damage_is_caught(run, cell, said):
    assert said in run.outcomes["01_spoiled"][f"Cell {cell}"]


def test_a_stripped_lesson_fails_in_every_cell(run):
    outcomes = dict(run.outcomes["03_stripped"])
    assert outcomes.pop("budget") == ""
    assert all("never executed" in said for said in outcomes.values())


@pytest.mark.parametrize(
    ("lesson", "said"),
    [("04_slow", "CPU s of 0"), ("05_large", "GB of 0.01"), ("06_unclear", "should read like")],
)
def test_a_lesson_over_its_budget_fails_the_run(run, lesson, said):
    assert said in run.outcomes[lesson]["budget"]
    assert not run.outcomes[lesson]["Cell 0"]
    assert run.returncode == 1


def test_the_report_is_printed_and_written(run):
    assert "lessons: time and memory" in run.stdout
    rows = {row["lesson"]: row for row in run.report}
    assert {"00_good", "01_spoiled", "04_slow"} <= set(rows)
    good = rows["00_good"]
    assert 0.1 < good["cpu_seconds"] < 60 and 0.01 < good["peak_gigabytes"] < 4
    assert good["budget"] == {"cpu_seconds": 60, "gigabytes": 4}
    assert re.search(r"^04_slow .* EXCEEDED$", run.stdout, re.M)
    assert not re.search(r"^00_good .* EXCEEDED$", run.stdout, re.M)


@pytest.mark.parametrize(
    ("one", "other", "close"),
    [
        ("PSNR 27.58 dB", "PSNR 27.59 dB", True),
        ("PSNR 27.58 dB", "PSNR 27.68 dB", False),
        ("loss 1.2345e-03", "loss 1.2346e-03", True),
        ("loss 1.2345e-03", "loss 1.2445e-03", False),
        ("0.0000", "-0.0000", True),
        ("0.001", "0.002", False),
        ("8032 weights", "8033 weights", False),
        ("nan", "0.5", False),
        ("inf", "inf", True),
        ("tensor([1., 2.])", "tensor([1.,  2.])", True),
        ("1.5 2.5", "1.5", False),
        ("True", "False", False),
    ],
)
def test_texts_are_close(one, other, close):
    assert (nbval_close.Close(one) == other) is close
    assert (nbval_close.Close(one) != other) is not close


def test_budget_line_is_read():
    text = f"# 01 · Title\n\n{BUDGET}\n\nMore."
    assert nbval_close.parse_budget(text) == nbval_close.Budget(60, 4.0)
    assert nbval_close.parse_budget("# No such line") is None
    with_all = BUDGET.replace("not measured", "5 s").replace("nothing", "1.3 MB")
    assert nbval_close.parse_budget(with_all) == nbval_close.Budget(60, 4.0)
    for wrong in (BUDGET.replace("60 s", "1 min"), BUDGET.replace(" · nothing to download", "")):
        with pytest.raises(ValueError, match="should read like"):
            nbval_close.parse_budget(wrong)


def test_over_budget_names_what_and_how_much():
    budget = nbval_close.Budget(20, 0.8)
    within = nbval_close.Usage("01_x", 19.9, 30.0, 0.79, budget)
    assert nbval_close.over_budget(within) == ""
    beyond = nbval_close.Usage("01_x", 21.04, 30.0, 0.9, budget)
    assert "01_x took 21.0 CPU s of 20 and 0.90 GB of 0.8" in nbval_close.over_budget(beyond)
    assert nbval_close.over_budget(nbval_close.Usage("x", 9e9, 9e9, 9e9, None)) == ""
