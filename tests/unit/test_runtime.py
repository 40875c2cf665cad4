"""Device, seeds, folders, and the handshake between notebook and package."""

import random

import numpy as np
import pytest
import torch

import lessons_utils
from lessons_utils import runtime


def test_set_up_says_one_stable_line_and_repeats_itself(capsys, monkeypatch):
    monkeypatch.setenv("LESSONS_DEVICE", "cpu")
    device = lessons_utils.set_up(lesson_api=runtime.LESSON_API)
    first = torch.rand(3), np.random.rand(), random.random()
    assert device == torch.device("cpu")
    assert lessons_utils.set_up(lesson_api=runtime.LESSON_API) == device
    second = torch.rand(3), np.random.rand(), random.random()
    assert torch.equal(first[0], second[0]) and first[1:] == second[1:]
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 and lines[0] == lines[1]
    assert lines[0] == (
        f"lessons_utils {lessons_utils.__version__} | torch {torch.__version__} "
        "| device cpu | seed 0"
    )


def test_a_newer_notebook_gets_the_command_that_updates_a_checkout():
    with pytest.raises(RuntimeError, match=r"older than this notebook[\s\S]*git -C .* pull"):
        runtime.set_up(lesson_api=runtime.LESSON_API + 1)


def test_a_newer_notebook_gets_the_command_that_updates_a_wheel(monkeypatch):
    monkeypatch.setattr(runtime, "checkout_folder", lambda: None)
    with pytest.raises(RuntimeError, match=r"pip install --upgrade .*git\+https://"):
        runtime.set_up(lesson_api=runtime.LESSON_API + 1)


def test_an_older_notebook_gets_the_address_of_the_current_one():
    with pytest.raises(RuntimeError, match=r"notebook is older[\s\S]*https://"):
        runtime.set_up(lesson_api=runtime.LESSON_API - 1)


def test_device_can_be_overridden(monkeypatch):
    monkeypatch.setenv("LESSONS_DEVICE", "cpu")
    assert runtime.choose_device() == torch.device("cpu")
    with pytest.raises(ValueError, match="no device"):
        runtime.choose_device("toaster")
    with pytest.raises(ValueError, match="does not have it"):
        runtime.choose_device(f"cuda:{torch.cuda.device_count()}")


def test_data_path_names_what_is_missing():
    assert runtime.data_path("checkpoints").is_dir()
    with pytest.raises(FileNotFoundError, match=r"no 'nothing\.bin'"):
        runtime.data_path("nothing.bin")


def test_cache_folder_can_be_named(tmp_path, monkeypatch):
    monkeypatch.setenv("LESSONS_CACHE", str(tmp_path / "here"))
    assert runtime.cache_folder() == tmp_path / "here"
    assert (tmp_path / "here").is_dir()


def test_lessons_data_must_be_a_folder(tmp_path, monkeypatch):
    monkeypatch.delenv("LESSONS_DATA", raising=False)
    assert runtime.lessons_data() is None
    monkeypatch.setenv("LESSONS_DATA", str(tmp_path / "missing"))
    with pytest.raises(NotADirectoryError, match="no folder"):
        runtime.lessons_data()


def test_precision_follows_the_hardware(monkeypatch):
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setattr(torch.backends.mps, "is_available", lambda: False)
    for ability, expected in (({"amx_bf16": True}, "bf16-mixed"), ({}, "32-true")):
        monkeypatch.setattr(torch.cpu, "get_capabilities", lambda found=ability: found, False)
        assert runtime.best_precision() == expected
    assert runtime.best_precision("mps") == "32-true"
