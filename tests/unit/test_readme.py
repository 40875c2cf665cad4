"""The README says what the cards, the score banks and lesson 00 say."""

import re
import shutil
from pathlib import Path

from lessons_utils import anomaly, authoring, checkpoints

CHECKOUT = Path(__file__).parents[2]


def test_numbers_and_picture_are_up_to_date(tmp_path):
    for name in ("README.md", "notebooks/00_start_here.ipynb"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        shutil.copy(CHECKOUT / name, tmp_path / name)
    (tmp_path / "data").mkdir()
    authoring.refresh_readme(tmp_path)
    advice = "run `python -m lessons_utils.authoring readme`"
    for name in ("README.md", "data/teaser.png"):
        assert (tmp_path / name).read_bytes() == (CHECKOUT / name).read_bytes(), advice


def test_the_table_has_the_cards_numbers():
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    for scale in (2, 3, 4):
        ours = checkpoints.load_card(f"srcnn-9-5-5-x{scale}").metrics["set5"]
        assert f"{ours['psnr']:.2f} ({ours['ssim']:.4f}) |" in text


def test_the_depth_table_has_the_cards_numbers():
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    for data in ("rooms", "nyu"):
        table = checkpoints.load_card(f"eigen-{data}").metrics[data]
        numbers = [f"{table[name]['abs_rel']:.3f}" for name in ("mean", "coarse", "fine")]
        assert ", ".join(numbers) in text


def test_the_motion_table_has_the_cards_numbers():
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    table = checkpoints.load_card("geonet-streets").metrics["streets"]
    assert f"| {table['depth']['geonet']['abs_rel']:.3f} |" in text
    for region in ("static", "moving"):
        rigid, final = (table["flow"][name][f"{region}_epe"] for name in ("rigid", "final"))
        assert f"{rigid:.2f} → {final:.2f} |" in text


def test_the_odin_table_has_the_banks_numbers():
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    for name in ("densenet-cifar10", "cifar10-compact"):
        bank = anomaly.load_bank(name)
        for outside in ("tinyimagenet-crop", "gaussian"):
            inside, strangers = (
                [bank.baseline(part), bank.odin(part, 1000.0, 0.0014)]
                for part in ("cifar10-test", outside)
            )
            pairs = list(zip(inside, strangers, strict=True))
            fpr = " → ".join(f"{100 * anomaly.fpr_at_tpr(*pair):.1f}" for pair in pairs)
            area = " → ".join(f"{100 * anomaly.auroc(*pair):.1f}" for pair in pairs)
            assert f"{fpr} ({area}) |" in text


def test_links_lead_to_files():
    text = (CHECKOUT / "README.md").read_text(encoding="utf-8")
    for target in re.findall(r"\]\((?!https?:)([^)#]+)\)", text):
        assert (CHECKOUT / target).exists(), target
