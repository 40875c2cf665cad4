"""Save what a reader first sees of a notebook in JupyterLab: screenshot.py NOTEBOOK OUT.png."""

import argparse
import shutil
import tempfile
from pathlib import Path

import lab


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("notebook", type=Path)
    parser.add_argument("out", type=Path)
    parser.add_argument("--run", action="store_true", help="run all cells first")
    parser.add_argument("--height", type=int, default=1000, help="of the window, in pixels")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        root, scratch = Path(folder) / "notebooks", Path(folder) / "jupyter"
        root.mkdir()
        scratch.mkdir()
        shutil.copy(options.notebook, root)  # the notebook itself stays as it is
        with lab.jupyterlab(root, scratch) as address, lab.chromium() as browser:
            page = browser.new_page(viewport={"width": 1400, "height": options.height})
            lab.open_notebook(page, address.format(options.notebook.name))
            if options.run:
                lab.run_all_cells(page)
            page.wait_for_timeout(1500)  # formulas and pictures
            page.screenshot(path=options.out)


if __name__ == "__main__":
    main()
