from pathlib import Path

import pytest
import torch
from matplotlib.figure import Figure

from lessons_utils.explorers import where_next
from lessons_utils.explorers.where_next import BOARDS, YEARS, Board, Result, draw_board


def draw(board, year):
    figure = Figure(figsize=(8, 3.6), dpi=80, layout="constrained")
    sentence = draw_board(figure, board, year)
    figure.canvas.draw()
    return figure, sentence


def test_the_default_state_names_the_best_of_set5():
    figure, sentence = draw("Set5 x4: PSNR", 2024)
    assert "8 of 8 results, the best HAT (2023) with 33.04." in sentence
    labels = [text.get_text() for text in figure.axes[0].texts]
    assert "SRCNN 30.49" in labels and "SRGAN 29.40" in labels


@pytest.mark.parametrize("board", BOARDS)
@pytest.mark.parametrize("year", [YEARS[0], 2017, 2020, YEARS[1]])
def test_every_state_draws_and_names_the_best(board, year):
    figure, sentence = draw(board, year)
    chosen = BOARDS[board]
    known = [result for result in chosen.results if result.year <= year]
    assert len(figure.axes[0].texts) == len(known)
    if not known:
        assert sentence == f"{board}, up to {year}: nothing published yet."
        return
    order = sorted(known, key=lambda result: result.number)
    best = order[-1] if chosen.larger_is_better else order[0]
    assert f"{len(known)} of {len(chosen.results)} results" in sentence
    assert f"{best.method} ({best.year}) with {best.number:.{chosen.digits}f}" in sentence
    assert sentence.endswith(f"Source: {chosen.source}.")


def test_axes_stand_still_while_the_year_moves():
    limits = {draw("NYU: abs rel", year)[0].axes[0].get_ylim() for year in (2014, 2019, 2024)}
    assert len(limits) == 1
    low, high = limits.pop()
    assert low > high  # turned round: less is better, and stands higher up


def test_boards_are_in_order_and_within_their_years():
    for board in BOARDS.values():
        years = [result.year for result in board.results]
        assert years == sorted(years)
        assert YEARS[0] <= min(years) and max(years) <= YEARS[1]
        assert len({result.method for result in board.results}) == len(years)


def test_labels_of_small_steps_do_not_overlap():
    figure, _ = draw("Set5 x4: PSNR", 2024)
    boxes = {text.get_text().split()[0]: text.get_window_extent() for text in figure.axes[0].texts}
    assert not boxes["EDSR"].overlaps(boxes["RCAN"])


def test_lessons_14_and_15_quote_the_boards():
    """Their tables repeat OpenOOD's numbers; every one must be the board's."""
    folder = Path(__file__).parents[2] / "notebooks" / "source"
    lines = (folder / "15_where_next.py").read_text(encoding="utf-8").splitlines()
    rows = [line for line in lines if line.startswith(("# | ODIN (ICLR", "# | MSP (ICLR"))]
    assert len(rows) == 2
    detector = (folder / "14_odin_detector.py").read_text(encoding="utf-8")
    for place in ("CIFAR-10", "ImageNet"):
        pairs = zip(
            BOARDS[f"{place}, near: AUROC"].results,
            BOARDS[f"{place}, far: AUROC"].results,
            strict=True,
        )
        for near, far in pairs:
            assert near.method == far.method
            assert f"({near.number:.1f}, {far.number:.1f})" in detector, near.method
            if near.method in ("MSP", "ODIN"):
                (row,) = (row for row in rows if near.method in row)
                assert f"{near.number:.1f} / {far.number:.1f}" in row


def test_the_best_of_a_board():
    results = (Result("a", 2015, 1.0), Result("b", 2016, 3.0), Result("c", 2017, 2.0))
    larger, smaller = Board("", "", results), Board("", "", results, larger_is_better=False)
    assert larger.best(2014) is None
    assert [larger.best(year).method for year in (2015, 2017)] == ["a", "b"]
    assert smaller.best(2017).method == "a"


def test_the_lessons_figures_draw():
    curves = {"bicubic": ([0.5, 0.7], [28.0, 28.2]), "SRCNN": ([0.6, 1.1], [30.0, 27.0])}
    errors = {name: {"mean": 0.3, "ours": 0.2} for name in ("metres", "factor", "both")}
    areas = {"ours": {"baseline": {"cifar100": 0.8, "tinyimagenet-crop": 0.9}}}
    wall = torch.rand(1, 3, 20, 10)
    for figure in (
        where_next.trade_figure(curves),
        where_next.protocols_figure(errors),
        where_next.near_far_figure(areas),
        where_next.defect_figure(wall, wall, torch.rand(1, 1, 5, 4)),
    ):
        figure.canvas.draw()
        assert figure.axes
