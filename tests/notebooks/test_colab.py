"""A notebook alone, as on Colab: no checkout beside it, the course installed by its set-up cell."""

import json
import os
import shutil
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import nbformat
import pytest

from lessons_utils import authoring, nbval_close

EXECUTE = """\
import sys, nbformat
from nbclient import NotebookClient
notebook = nbformat.read(sys.argv[1], as_version=4)
NotebookClient(notebook, kernel_name="python3", extra_arguments=["--log-level=ERROR"]).execute()
nbformat.write(notebook, sys.argv[1])"""
WHERE = """\
import json
from lessons_utils import runtime
files = [str(path) for path in runtime.data_path().rglob("*")]
print(json.dumps([lessons_utils.__file__, files]))"""


@pytest.fixture(scope="module")
def repository(checkout, tmp_path_factory):
    """The checkout as it is now, committed or not, as a repository of its own."""
    clone = tmp_path_factory.mktemp("repository")
    listing = subprocess.run(
        ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"],
        cwd=checkout,
        check=True,
        capture_output=True,
        text=True,
    )
    for name in filter(None, listing.stdout.split("\0")):
        if (checkout / name).is_file():
            (clone / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy(checkout / name, clone / name)
    me = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    for command in (["init", "-q"], ["add", "-A"], [*me, "commit", "-q", "-m", "as it is"]):
        subprocess.run(["git", *command], cwd=clone, check=True)
    return clone


@pytest.fixture(scope="module")
def environment(checkout, repository, tmp_path_factory):
    """The kernels' environment, where the course's address leads to the repository above.

    pip can reach no package index: it installs only if all requirements are there already.
    """
    return nbval_close.kernel_environment(tmp_path_factory.mktemp("scratch")) | {
        "GIT_CONFIG_COUNT": "1",
        "GIT_CONFIG_KEY_0": f"url.{repository.as_uri()}.insteadOf",
        "GIT_CONFIG_VALUE_0": authoring.repository(checkout),
        "PIP_NO_INDEX": "1",
        "PIP_NO_BUILD_ISOLATION": "0",  # pip reads the value as that of --build-isolation
        "PIP_DISABLE_PIP_VERSION_CHECK": "1",
    }


@pytest.fixture
def python(tmp_path):
    """The interpreter of an environment that has all that this one has, except the course."""
    subprocess.run([sys.executable, "-m", "venv", "--without-pip", tmp_path / "venv"], check=True)
    borrowed = tmp_path / "borrowed"
    borrowed.mkdir()
    for folder in {sysconfig.get_path("purelib"), sysconfig.get_path("platlib")}:
        for entry in Path(folder).iterdir():
            if not entry.name.startswith(("lessons_utils", "__editable__")):
                (borrowed / entry.name).symlink_to(entry)
    interpreter = tmp_path / "venv" / "bin" / "python"
    code = "import sysconfig; print(sysconfig.get_path('purelib'))"
    own = subprocess.run([interpreter, "-c", code], check=True, capture_output=True, text=True)
    Path(own.stdout.strip(), "borrowed.pth").write_text(f"{borrowed}\n")
    return interpreter


def run(command, environment, folder):
    ran = subprocess.run(command, env=environment, cwd=folder, capture_output=True, text=True)
    assert ran.returncode == 0, ran.stdout + ran.stderr
    return ran.stdout


def execute_alone(notebook, python, environment, folder):
    """Run a notebook in a folder that holds nothing else; return the texts it printed by cell."""
    folder.mkdir()
    nbformat.write(notebook, folder / "alone.ipynb")
    run([python, "-c", EXECUTE, "alone.ipynb"], environment, folder)
    done = nbformat.read(folder / "alone.ipynb", as_version=4)
    return [
        "".join(output.get("text", "") for output in cell.outputs)
        for cell in done.cells
        if cell.cell_type == "code"
    ]


def cheapest_lesson(checkout):
    """Return the built lesson that promises to take the least time."""
    paths = map(authoring.notebook_path, authoring.find_sources(checkout / "notebooks"))
    lessons = [nbformat.read(path, as_version=4) for path in paths if path.is_file()]
    if not lessons:
        pytest.skip("no lesson is built")
    return min(
        lessons, key=lambda lesson: nbval_close.parse_budget(lesson.cells[0].source).cpu_seconds
    )


def test_installing_changes_no_other_package(python, environment, repository, tmp_path):
    wheels = tmp_path / "wheels"
    pip = [python, "-m", "pip"]
    run([*pip, "wheel", "-q", "--no-deps", "-w", wheels, repository], environment, tmp_path)
    [wheel] = wheels.iterdir()
    said = run([*pip, "install", "--dry-run", wheel], environment, tmp_path)
    [would] = [line for line in said.splitlines() if line.startswith("Would install")]
    assert would.split()[2:] == ["-".join(wheel.name.split("-")[:2]).replace("_", "-")]

    names = {name for name in zipfile.ZipFile(wheel).namelist() if ".dist-info/" not in name}
    shipped = {
        f"lessons_utils/data/{path.relative_to(repository / 'data').as_posix()}"
        for path in (repository / "data").rglob("*")
        if path.is_file()
    }
    assert shipped <= names
    assert all(name.startswith("lessons_utils/") for name in names)


def test_a_single_notebook_installs_the_course_and_runs(
    python, environment, repository, checkout, tmp_path
):
    lesson = cheapest_lesson(checkout)
    setup = next(cell for cell in lesson.cells if cell.cell_type == "code")
    again, where = (nbformat.v4.new_code_cell(code) for code in (setup.source, WHERE))
    lesson.cells[lesson.cells.index(setup) + 1 : 1] = [again]
    lesson.cells.append(where)
    first, second, *_, place = execute_alone(lesson, python, environment, tmp_path / "content")

    line = first.splitlines()[-1]
    assert line.startswith("lessons_utils ")
    assert second.splitlines() == [line], "the set-up cell is safe to run twice"
    module, files = json.loads(place)
    installed = python.parents[1]
    assert all(Path(path).is_relative_to(installed) for path in [module, *files])
    assert len(files) > 1
    assert os.listdir(tmp_path / "content") == ["alone.ipynb"]
