"""The floors of the house: a room imports only rooms below it."""

import ast
import re

import pytest

FLOORS = {
    "runtime": 0,
    "datasets": 1,
    "scenes": 1,
    "superres": 2,
    "depth": 2,
    "motion": 2,
    "anomaly": 2,
    "plots": 3,
    "training": 3,
    "checkpoints": 3,
    "explorers": 4,
    "checks": 4,
    "recipes": 4,
    "__main__": 5,
    "authoring": 5,
}
OF_SEVERAL_MODULES = {"anomaly", "datasets", "explorers", "motion", "recipes", "scenes"}
"""Rooms whose modules import each other (of the explorers only `live`, by a test of its own)."""
APART = "nbval_close"
"""A pytest plugin: no floor, imports no room; the authors' command line uses it."""


def rooms_of(package):
    """Yield each module of the package as (room, file)."""
    for path in sorted(package.rglob("*.py")):
        parts = path.relative_to(package).with_suffix("").parts
        if parts != ("__init__",):
            yield parts[0], path


def imported_rooms(code, rooms):
    """Return the rooms that a module's code imports, at any depth of the code."""
    found = set()
    for node in ast.walk(ast.parse(code)):
        if isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports inside the package are written out"
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        else:
            continue
        for name in names:
            package, _, rest = name.partition(".")
            if package == "lessons_utils" and rest.partition(".")[0] in rooms:
                found.add(rest.partition(".")[0])
    return found


def may_import(room, other):
    if other == room:
        return room in OF_SEVERAL_MODULES
    if APART in (room, other):
        return room == "authoring"
    return FLOORS[other] < FLOORS[room]


def test_every_room_has_a_floor(checkout):
    rooms = {room for room, _ in rooms_of(checkout / "lessons_utils")} - {APART}
    assert rooms <= set(FLOORS), "give a new room its floor, here and in lessons_utils/__init__.py"


def test_a_room_imports_only_rooms_below_it(checkout):
    package = checkout / "lessons_utils"
    rooms = {*FLOORS, APART}
    wrong = [
        f"{path.relative_to(checkout)} imports {other}"
        for room, path in rooms_of(package)
        for other in imported_rooms(path.read_text(encoding="utf-8"), rooms)
        if not may_import(room, other)
    ]
    assert not wrong


def test_explorers_share_only_the_live_widget(checkout):
    for path in (checkout / "lessons_utils" / "explorers").glob("*.py"):
        code = path.read_text(encoding="utf-8")
        imports = r"^(?:from|import) lessons_utils\.explorers(?:\.| import )(\w+)"
        shared = re.findall(imports, code, re.M)
        assert set(shared) <= {"live"}, path.name


def test_the_package_itself_imports_only_the_ground_floor(checkout):
    code = (checkout / "lessons_utils" / "__init__.py").read_text(encoding="utf-8")
    assert imported_rooms(code, {*FLOORS, APART}) <= {"runtime"}


@pytest.mark.parametrize(
    ("room", "code", "allowed"),
    [
        ("superres", "from lessons_utils import runtime, datasets", True),
        ("superres", "from lessons_utils import plots", False),
        ("superres", "def f():\n    import lessons_utils.training", False),
        ("plots", "from lessons_utils.training import fit", False),
        ("explorers", "from lessons_utils.explorers.live import live", True),
        ("datasets", "from lessons_utils.datasets import download", True),
        ("superres", "import lessons_utils.superres", False),
        ("nbval_close", "from lessons_utils import runtime", False),
        ("__main__", "from lessons_utils import nbval_close", False),
        ("authoring", "from lessons_utils import nbval_close, runtime", True),
    ],
)
def test_the_rule_itself(room, code, allowed):
    others = imported_rooms(code, {*FLOORS, APART})
    assert others
    assert all(may_import(room, other) for other in others) == allowed
