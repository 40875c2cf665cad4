"""Building lessons: the same bytes each time, all or nothing, and one place for the address."""

import json

import nbformat
import pytest

from lessons_utils import authoring

FIRST = "https://github.com/OWNER/cnns-for-other-image-tasks"
LESSON = f"""\
# %% [markdown]
# # 01 · Tiny
#
# [Colab](https://colab.research.google.com/github/OWNER/course/blob/main/notebooks/01_tiny.ipynb)

# %%
print("install git+{FIRST}")

# %% tags=["nbval-ignore-output"]
import sys
import time

from IPython.display import display
from ipywidgets import IntProgress

display(IntProgress())
print(time.time())
print(time.time(), file=sys.stderr)

# %%
from PIL import Image

Image.linear_gradient("L")

# %%
print("again")

# %%
print("again")
"""


@pytest.fixture
def folder(tmp_path):
    """A checkout with one source."""
    source = tmp_path / "notebooks" / "source" / "01_tiny.py"
    source.parent.mkdir(parents=True)
    source.write_text(LESSON, encoding="utf-8")
    (tmp_path / "README.md").write_text(f"`git clone {FIRST}` and then\n")
    (tmp_path / "pyproject.toml").write_text(f'[project.urls]\nRepository = "{FIRST}"\n')
    return tmp_path


def source_of(folder):
    return folder / "notebooks" / "source" / "01_tiny.py"


def test_building_twice_gives_the_same_bytes(folder):
    built = authoring.build(source_of(folder))
    first = built.read_bytes()
    assert authoring.build(source_of(folder)).read_bytes() == first
    assert authoring.differences(folder / "notebooks") == []
    assert sorted(path.name for path in built.parent.iterdir()) == ["01_tiny.ipynb", "source"]

    notebook = nbformat.read(built, as_version=4)
    assert notebook.metadata == nbformat.from_dict(authoring.METADATA)
    assert [cell.get("execution_count") for cell in notebook.cells] == [None, 1, 2, 3, 4, 5]
    bar, picture, again, repeated = notebook.cells[2:]
    assert bar.outputs == [], "a progress bar and the time are gone"
    assert set(picture.outputs[0].data) >= {"image/png", "text/plain"}
    assert picture.metadata == {} and bar.metadata == {"tags": ["nbval-ignore-output"]}
    assert repeated.id == f"{again.id}-2"


def test_a_cell_keeps_its_id_when_another_is_inserted(folder):
    before = [cell.id for cell in authoring.read_source(source_of(folder)).cells]
    text = LESSON.replace("# %%\nfrom PIL", '# %%\nprint("new")\n\n# %%\nfrom PIL')
    source_of(folder).write_text(text, encoding="utf-8")
    after = [cell.id for cell in authoring.read_source(source_of(folder)).cells]
    assert len(after) == len(before) + 1
    assert [cell for cell in after if cell in before] == before


@pytest.mark.parametrize(
    ("cell", "said"),
    [
        ('raise ValueError("oops")', "ValueError.*oops"),
        ("import os; os._exit(1)", "died"),
    ],
    ids=["error", "kernel ends"],
)
def test_a_failing_lesson_is_named_and_nothing_is_written(folder, cell, said):
    authoring.notebook_path(source_of(folder)).write_text("as it was")
    text = f'# %% [markdown]\n# # 01\n\n# %%\n{cell}\n\n# %%\nprint("never")\n'
    source_of(folder).write_text(text, encoding="utf-8")
    with pytest.raises(authoring.BuildError, match=rf"01_tiny\.py, cell 2 of 3[\s\S]*{said}"):
        authoring.build(source_of(folder))
    assert authoring.notebook_path(source_of(folder)).read_text() == "as it was"
    assert len(list((folder / "notebooks").iterdir())) == 2


@pytest.fixture
def unrun(folder):
    """The same, with a notebook that was written without being run."""
    notebook = authoring.read_source(source_of(folder))
    nbformat.write(notebook, authoring.notebook_path(source_of(folder)))
    return folder


@pytest.mark.parametrize(
    ("old", "new"),
    [
        ('print("again")\n', 'print("once more")\n'),
        ('tags=["nbval-ignore-output"]', 'tags=["explorer"]'),
        ("# %%\nfrom PIL", "# %% [markdown]\n# from PIL"),
        ('\n# %%\nprint("again")\n', ""),
    ],
    ids=["source", "tag", "type", "cell gone"],
)
def test_a_difference_between_source_and_notebook_is_found(unrun, old, new):
    assert authoring.differences(unrun / "notebooks") == []
    text = source_of(unrun).read_text(encoding="utf-8")
    source_of(unrun).write_text(text.replace(old, new, 1), encoding="utf-8")
    [sentence] = authoring.differences(unrun / "notebooks")
    assert "01_tiny.ipynb is not what source/01_tiny.py says" in sentence


def test_a_missing_partner_is_found(unrun):
    authoring.notebook_path(source_of(unrun)).rename(unrun / "notebooks" / "02_other.ipynb")
    assert authoring.differences(unrun / "notebooks") == [
        "02_other.ipynb has no source/02_other.py.",
        "source/01_tiny.py was never built.",
    ]


def test_lessons_are_chosen_by_number_or_name(folder):
    notebooks = folder / "notebooks"
    other = source_of(folder).with_name("02_other.py")
    other.write_text("# %%\nprint(2)\n")
    assert authoring.find_sources(notebooks) == [source_of(folder), other]
    assert authoring.find_sources(notebooks, ["02"]) == [other]
    assert authoring.find_sources(notebooks, ["01_tiny"]) == [source_of(folder)]
    with pytest.raises(ValueError, match=r"No lesson '7'.*01_tiny, 02_other"):
        authoring.find_sources(notebooks, ["7"])


def test_stamp_writes_the_address_everywhere_once(unrun):
    assert authoring.repository(unrun) == FIRST
    project = unrun / "pyproject.toml"
    project.write_text(project.read_text().replace(FIRST, "https://github.com/someone/new.name"))
    notebook = authoring.notebook_path(source_of(unrun))
    stamped = authoring.stamp(unrun)
    assert stamped == [unrun / "README.md", source_of(unrun), notebook]
    for path in stamped:
        text = path.read_text(encoding="utf-8")
        assert "someone/new.name" in text and "OWNER" not in text
    assert "github/someone/new.name/blob/main/notebooks/01_tiny.ipynb" in notebook.read_text()
    assert "git clone https://github.com/someone/new.name` and" in stamped[0].read_text()
    assert authoring.differences(unrun / "notebooks") == []
    bytes_then = notebook.read_bytes()
    assert authoring.stamp(unrun) == []
    assert notebook.read_bytes() == bytes_then


def test_stamp_keeps_the_outputs(folder):
    built = authoring.build(source_of(folder))
    before = [cell.get("outputs") for cell in json.loads(built.read_text())["cells"]]
    project = folder / "pyproject.toml"
    project.write_text(project.read_text().replace("OWNER", "someone"))
    assert built in authoring.stamp(folder)
    assert [cell.get("outputs") for cell in json.loads(built.read_text())["cells"]] == before


def test_an_address_that_colab_cannot_open_is_refused(folder):
    (folder / "pyproject.toml").write_text(
        '[project.urls]\nRepository = "https://example.com/course"\n'
    )
    with pytest.raises(ValueError, match=r"https://github\.com/OWNER/NAME"):
        authoring.stamp(folder)
