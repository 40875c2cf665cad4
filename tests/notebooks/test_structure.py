"""Every lesson keeps the grammar: what can be seen without running it."""

import ast
import re
import statistics

import nbformat
import pytest

from lessons_utils import authoring, nbval_close

SETUP = """\
try:
    import lessons_utils
except ModuleNotFoundError:  # on Colab: install the course, once
    get_ipython().run_line_magic(
        "pip",
        "install -q git+{repository}",
    )
    import lessons_utils

device = lessons_utils.set_up(lesson_api=1)"""
MOST_LINES, MEDIAN_LINES = 25, 6
EXCUSED = {"nbval-ignore-output", "raises-exception"}
CLOSING_SECTIONS = ("Try to break it", "Paper versus ours", "What goes wrong")
UNWANTED_WORDS = re.compile(r"\b(simply|obviously|trivially)\b", re.I)
OF_ONE_MACHINE = re.compile(r"/tmp/|/home/|/root/|0x[0-9a-f]{6,}|/site-packages/")


def code_cells(notebook):
    return [cell for cell in notebook.cells if cell.cell_type == "code"]


def markdown(notebook):
    return "\n\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def tags(cell):
    return set(cell.metadata.get("tags", []))


def texts(output):
    """Yield all that an output shows as text."""
    yield output.get("text", "")
    yield from (text for kind, text in output.get("data", {}).items() if kind.startswith("text/"))


def test_lessons_are_numbered_without_a_gap(checkout):
    numbers = [int(path.stem[:2]) for path in authoring.find_sources(checkout / "notebooks")]
    assert numbers == list(range(16))


def test_sources_and_notebooks_agree(checkout):
    assert not authoring.differences(checkout / "notebooks")


def test_first_cell_opens_the_lesson(source, notebook, checkout):
    first = notebook.cells[0]
    assert first.cell_type == "markdown"
    assert first.source.startswith(f"# {source.stem[:2]} · ")
    address = authoring.repository(checkout).removeprefix("https://github.com/")
    assert (
        "[![Open in Colab](https://colab.research.google.com/assets/colab-badge.svg)]"
        f"(https://colab.research.google.com/github/{address}/blob/main/notebooks/"
        f"{source.stem}.ipynb)"
    ) in first.source.splitlines()
    assert nbval_close.parse_budget(first.source), "the first cell needs the budget line"
    opening = markdown(notebook)
    assert "You will be able to" in opening
    assert "Lecture and paper" in opening


def test_one_setup_cell_the_same_everywhere(notebook, checkout):
    setup = SETUP.format(repository=authoring.repository(checkout))
    sources = [cell.source for cell in code_cells(notebook)]
    assert ast.unparse(ast.parse(sources[0])) == ast.unparse(ast.parse(setup))
    assert sources[0] == setup
    assert not any("set_up(" in source for source in sources[1:])


def test_every_cell_was_executed_in_order(notebook):
    counts = [cell.execution_count for cell in code_cells(notebook)]
    assert counts == list(range(1, len(counts) + 1))


def test_nothing_went_to_stderr(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            wrong = output.output_type == "error" or output.get("name") == "stderr"
            assert not wrong or tags(cell) & EXCUSED, cell.source


def test_outputs_hold_nothing_of_one_machine(notebook):
    shown = [
        text
        for cell in code_cells(notebook)
        for output in cell.outputs
        for text in texts(output)
        if OF_ONE_MACHINE.search(text)
    ]
    assert not shown


def test_metadata_is_the_same_everywhere(notebook):
    assert notebook.metadata == nbformat.from_dict(authoring.METADATA)
    views = [
        output
        for cell in code_cells(notebook)
        for output in cell.outputs
        if "application/vnd.jupyter.widget-view+json" in output.get("data", {})
    ]
    assert not views


def test_ids_are_unique_and_come_from_the_content(notebook):
    ids = [cell.id for cell in notebook.cells]
    assert len(ids) == len(set(ids))
    authoring.assign_ids(notebook)
    assert ids == [cell.id for cell in notebook.cells]


def test_no_cell_ends_in_a_semicolon(notebook):
    # nbval runs cells in a way that shows the value nevertheless.
    assert not [cell for cell in code_cells(notebook) if cell.source.rstrip().endswith(";")]


def test_code_cells_are_short(notebook):
    lengths = [len(cell.source.splitlines()) for cell in code_cells(notebook)]
    longest = max(code_cells(notebook), key=lambda cell: len(cell.source.splitlines()))
    assert max(lengths) <= MOST_LINES, longest.source
    assert statistics.median(lengths) <= MEDIAN_LINES, sorted(lengths)


def test_every_figure_has_alternative_text(notebook):
    for cell in code_cells(notebook):
        for output in cell.outputs:
            kinds = {kind for kind in output.get("data", {}) if kind.startswith("image/")}
            assert kinds <= {"image/png"}, "only PNGs are compared; use plots.show"
            if kinds:
                alt = output.metadata.get("image/png", {}).get("alt", "")
                assert len(alt.split()) >= 4, cell.source


def test_every_cell_that_draws_ends_in_a_picture(notebook):
    for cell in code_cells(notebook):
        if "plots.show(" in cell.source and not {"marked", *EXCUSED} & tags(cell):
            kinds = {kind for output in cell.outputs for kind in output.get("data", {})}
            assert "image/png" in kinds, cell.source


def test_lesson_ends_by_the_grammar(source, notebook):
    if source.stem.startswith("00"):
        pytest.skip("the opening lesson has a grammar of its own")
    headings = re.findall(r"^#{2,3} (.*)$", markdown(notebook), re.M)
    for wanted in CLOSING_SECTIONS:
        assert any(wanted in heading for heading in headings), wanted
    assert any("explorer" in tags(cell) for cell in code_cells(notebook))


def test_prose_does_not_belittle(notebook):
    assert not UNWANTED_WORDS.findall(markdown(notebook))
