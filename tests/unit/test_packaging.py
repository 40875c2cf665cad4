"""Requirements: the two lists agree, are met here, and are met by what Colab has installed."""

import importlib.metadata
import re
import shutil
import subprocess
import sys
import tomllib

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from lessons_utils import authoring


@pytest.fixture(scope="module")
def project(checkout):
    return tomllib.loads((checkout / "pyproject.toml").read_text(encoding="utf-8"))["project"]


@pytest.fixture(scope="module")
def colab(checkout):
    """Name to version of what Colab has preinstalled."""
    lines = (checkout / "tests" / "colab_pins.txt").read_text(encoding="utf-8").splitlines()
    pins = (line.split("==") for line in lines if line and not line.startswith("#"))
    return {canonicalize_name(name): version for name, version in pins}


def requirements(project, *extras):
    chosen = [*project["dependencies"]]
    for extra in extras:
        chosen += project["optional-dependencies"][extra]
    return {str(Requirement(line)) for line in chosen}


def test_conda_and_pip_install_the_same(checkout, project):
    text = (checkout / "environment.yml").read_text(encoding="utf-8")
    conda = yaml.safe_load(text)["dependencies"]
    assert f"python{project['requires-python']}" in conda
    *listed, course = next(entry["pip"] for entry in conda if isinstance(entry, dict))
    assert course == "-e .[lab,test]"
    assert {str(Requirement(line)) for line in listed} == requirements(project, "lab", "test")
    assert len(listed) == len(set(listed))


def test_what_is_installed_meets_the_bounds(project):
    for requirement in map(Requirement, requirements(project, "lab", "test", "grade")):
        version = importlib.metadata.version(requirement.name)
        assert requirement.specifier.contains(version, prereleases=True), requirement


def test_core_requirements_are_lower_bounds_that_colab_meets(project, colab):
    missing = set()
    for requirement in map(Requirement, requirements(project)):
        assert [clause.operator for clause in requirement.specifier] == [">="], requirement
        version = colab.get(canonicalize_name(requirement.name))
        if version is None:
            missing.add(requirement.name)
        else:
            assert requirement.specifier.contains(version), f"Colab has {version}: {requirement}"
    # All that is added to a runtime, with a helper of its own; nothing there is changed.
    assert missing == {"lightning-fabric"}


def test_what_colab_lacks_asks_for_nothing_that_would_change_it(colab):
    for added in ("lightning-fabric", "lightning-utilities"):
        for line in importlib.metadata.requires(added):
            requirement = Requirement(line)
            if requirement.marker and not requirement.marker.evaluate({"extra": ""}):
                continue
            if requirement.name != "lightning-utilities":
                version = colab[canonicalize_name(requirement.name)]
                assert requirement.specifier.contains(version), f"{added}: {requirement}"


def test_every_requirement_has_its_reason(checkout):
    text = (checkout / "pyproject.toml").read_text(encoding="utf-8")
    listed = re.findall(r'^    "[\w-]+>=[\d.]+",(.*)$', text, re.M)
    assert listed
    assert all(re.match(r" +# \w", reason) for reason in listed)


def test_the_address_is_stamped_everywhere(checkout, tmp_path):
    for name in ("pyproject.toml", "README.md"):
        shutil.copy(checkout / name, tmp_path)
    keep = shutil.ignore_patterns("*.png", ".ipynb_checkpoints")
    shutil.copytree(checkout / "notebooks", tmp_path / "notebooks", ignore=keep)
    stale = [str(path.relative_to(tmp_path)) for path in authoring.stamp(tmp_path)]
    assert not stale, "run: python -m lessons_utils.authoring stamp"


@pytest.mark.parametrize("command", [["check"], ["format", "--check"]], ids=" ".join)
def test_style(checkout, command):
    ran = subprocess.run(
        [sys.executable, "-m", "ruff", *command, "."], cwd=checkout, capture_output=True, text=True
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
