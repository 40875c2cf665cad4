"""The command line: `python -m lessons_utils doctor | fetch | train | evaluate`."""

from __future__ import annotations

import argparse
import shlex
import sys
from pathlib import Path

import torch
from lightning_fabric import Fabric

from lessons_utils import recipes, runtime


def main(arguments: list[str] | None = None) -> int:
    """Run one command; return the exit status."""
    parser = argparse.ArgumentParser(prog="python -m lessons_utils")
    commands = parser.add_subparsers(dest="command", required=True)
    train = commands.add_parser("train")
    train.add_argument("name")
    train.add_argument("--out", type=Path, default=None)
    train.add_argument("--runs", type=Path, default=Path("runs"))
    train.add_argument("--steps", type=int)
    train.add_argument("--seed", type=int, default=0)
    train.add_argument("--accelerator", default="auto")
    train.add_argument("--devices", default="auto")
    train.add_argument("--nodes", type=int, default=1)
    train.add_argument("--precision", default="32-true")
    train.add_argument("--threads", type=int)
    options = parser.parse_args(arguments)
    if options.threads:
        torch.set_num_threads(options.threads)
    fabric = Fabric(
        accelerator=options.accelerator,
        devices=options.devices if options.devices == "auto" else int(options.devices),
        num_nodes=options.nodes,
        precision=options.precision,
    )
    fabric.launch()
    card = recipes.train_super_resolution(
        options.name,
        out=options.out or runtime.data_path("checkpoints"),
        runs=options.runs,
        fabric=fabric,
        command="python -m lessons_utils " + shlex.join(arguments or sys.argv[1:]),
        steps=options.steps,
        seed=options.seed,
    )
    print(card.metrics)
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
