"""What the tests share: the checkout, and one test per lesson where a test asks for a lesson."""

from pathlib import Path

import nbformat
import pytest

from lessons_utils import authoring

CHECKOUT = Path(__file__).resolve().parents[1]


def pytest_generate_tests(metafunc):
    """Run a test that takes `source` once for each lesson."""
    if "source" in metafunc.fixturenames:
        sources = authoring.find_sources(CHECKOUT / "notebooks")
        metafunc.parametrize("source", sources, ids=[path.stem for path in sources], scope="module")


@pytest.fixture(scope="session")
def checkout():
    return CHECKOUT


@pytest.fixture
def notebook(source):
    """The built lesson of a source."""
    path = authoring.notebook_path(source)
    assert path.is_file(), f"run: python -m lessons_utils.authoring build {source.stem[:2]}"
    return nbformat.read(path, as_version=4)
