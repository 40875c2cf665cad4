"""The command line: `python -m lessons_utils doctor | fetch | train | bank | evaluate`."""

from __future__ import annotations

import argparse
import importlib.util
import json
import math
import shlex
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import torch
from lightning_fabric import Fabric

from lessons_utils import anomaly, checkpoints, datasets, depth, recipes, runtime, superres

_OWN_ODIN = "odin-cifar10"
"""ODIN with the CIFAR-10 network that the course ships."""


def doctor(options: argparse.Namespace) -> int:
    """Check that this machine can run the course, a line a check."""
    checks: list[tuple[str, Callable[[], str]]] = [
        ("package", lambda: f"lessons_utils {runtime.version()}"),
        ("python", lambda: sys.version.split()[0]),
        ("torch", lambda: f"{torch.__version__}, {torch.get_num_threads()} thread(s)"),
        ("device", lambda: str(runtime.choose_device())),
        ("jupyterlab", _find_jupyterlab),
        ("cache", _describe_cache),
        ("weights", _verify_checkpoints),
        ("LESSONS_DATA", lambda: str(runtime.lessons_data() or "not set (it need not be)")),
        ("data sets", _list_sets),
    ]
    failures = 0
    for name, check in checks:
        try:
            print(f"ok       {name:13} {check()}")
        except (OSError, RuntimeError, ValueError) as error:
            failures += 1
            print(f"PROBLEM  {name:13} {error}")
    print("All is well." if not failures else f"{failures} problem(s) found.")
    return 1 if failures else 0


def _find_jupyterlab() -> str:
    if importlib.util.find_spec("jupyterlab") is None:
        return "not here; Colab has its own, else: pip install -e '.[lab]'"
    return "installed"


def _describe_cache() -> str:
    folder = runtime.cache_folder()
    return f"{folder}, {shutil.disk_usage(folder).free / 1e9:.0f} GB free"


def _verify_checkpoints() -> str:
    names = checkpoints.checkpoint_names()
    for name in names:
        checkpoints.load(name, recipes.network(name))
    return f"{len(names)} verified"


def _list_sets() -> str:
    here = [name for name in datasets.fetchable() if datasets.is_present(name)]
    return (
        f"present: {', '.join(here) or 'none'}; the others download on first use "
        f"({datasets.NYU}, 3 GB, by `fetch {datasets.NYU}` only)"
    )


def fetch(options: argparse.Namespace) -> int:
    """Bring data sets onto this machine, before a lecture without network."""
    for name in options.names or list(datasets.SETS):
        print(f"{name}: {datasets.fetch(name)}")
    return 0


def train(options: argparse.Namespace) -> int:
    """Train a network by its recipe; a killed run goes on where it was."""
    if options.threads:
        torch.set_num_threads(options.threads)
    fabric = Fabric(
        accelerator=options.accelerator,
        devices=options.devices,
        num_nodes=options.nodes,
        precision=options.precision or runtime.best_precision(options.accelerator),
    )
    fabric.launch()
    if options.name in recipes.SUPER_RESOLUTION:
        train_by_recipe = recipes.train_super_resolution
    elif options.name in recipes.DEPTH:
        train_by_recipe = recipes.train_depth
    elif options.name in recipes.CLASSIFIERS:
        train_by_recipe = recipes.train_classifier
    elif options.name in recipes.MOTION:
        train_by_recipe = recipes.train_motion
    else:
        kinds = (recipes.SUPER_RESOLUTION, recipes.DEPTH, recipes.CLASSIFIERS, recipes.MOTION)
        names = ", ".join(name for kind in kinds for name in kind)
        raise ValueError(f"No recipe is named {options.name!r}. There are: {names}.")
    card = train_by_recipe(
        options.name,
        out=options.out,
        runs=options.runs,
        fabric=fabric,
        command=f"python -m lessons_utils {shlex.join(options.typed)}",
        steps=options.steps,
        seed=options.seed,
    )
    if fabric.is_global_zero:
        print(json.dumps(card.metrics))
    if torch.distributed.is_available() and torch.distributed.is_initialized():
        fabric.barrier()
        torch.distributed.destroy_process_group()  # its threads may else crash a process that ends
    return 0


def evaluate(options: argparse.Namespace) -> int:
    """Measure a network: SRCNN on pictures, depth on frames, GeoNet on drives, ODIN on two sets."""
    if options.name in ("odin", _OWN_ODIN):
        return _evaluate_odin(options)
    if options.inside or options.outside or options.count:
        raise ValueError(f"--inside, --outside and --count are for odin and {_OWN_ODIN}.")
    if options.name in recipes.DEPTH:
        return _evaluate_depth(options)
    if options.name in recipes.MOTION:
        return _evaluate_motion(options)
    model, scale = recipes.load_for_evaluation(options.name, options.weights, options.scale)
    if options.images:
        images = datasets.image_folder(options.images)
    else:
        images = datasets.super_resolution_set("Set5")
    scores = superres.evaluate(model.to(runtime.choose_device()), images, scale)
    if options.json:
        print(json.dumps({"name": options.name, "scale": scale, **scores}))
        return 0
    print(f"{'picture':20} {'bicubic':>16} {options.name:>20}")
    for name, row in [*scores["per_image"].items(), ("mean", scores)]:
        bicubic = f"{row['bicubic_psnr']:.2f} dB {row['bicubic_ssim']:.4f}"
        print(f"{name:20} {bicubic:>16} {row['psnr']:>11.2f} dB {row['ssim']:.4f}")
    return 0


def _evaluate_depth(options: argparse.Namespace) -> int:
    if options.images or options.scale:
        raise ValueError("--images and --scale are for super-resolution; depth takes --data DIR.")
    data = recipes.DEPTH[options.name].data
    if data == "rooms" and options.data:
        raise ValueError(f"{options.name} is measured on rendered rooms; leave --data out.")
    model = recipes.load_eigen(options.name, options.weights)
    frames = recipes.frames_for_test(data, options.data)
    scores = depth.evaluate(model.to(runtime.choose_device()), frames, crop=data == "nyu")
    if options.json:
        print(json.dumps({"name": options.name, **scores}))
        return 0
    print(f"{scores['frames']} frames{'mean':>16} {'coarse':>8} {'fine':>8}")
    for metric in depth.METRICS:
        row = "".join(f"{scores[name][metric]:9.3f}" for name in ("mean", "coarse", "fine"))
        print(f"{metric:16}{row}")
    return 0


def _evaluate_motion(options: argparse.Namespace) -> int:
    if options.images or options.scale or options.data:
        raise ValueError(f"--images, --scale and --data are not for {options.name}.")
    model = recipes.load_geonet(options.name, options.weights).to(runtime.choose_device())
    scores = recipes.measure_streets(model, *recipes.drives_for_test())
    if options.json:
        print(json.dumps({"name": options.name, **scores}))
        return 0
    for table in ("depth", "flow", "pose", "occlusions"):
        rows = scores[table]
        metrics = list(next(iter(rows.values())))
        print(f"{table:14}" + "".join(f"{metric:>16}" for metric in metrics))
        for name, row in rows.items():
            values = (math.nan if row[metric] is None else row[metric] for metric in metrics)
            print(f"{name:14}" + "".join(f"{value:16.3f}" for value in values))
    return 0


def _evaluate_odin(options: argparse.Namespace) -> int:
    if options.images or options.scale or options.data:
        raise ValueError("--images, --scale and --data are for other networks than odin's.")
    if options.name == _OWN_ODIN:
        if options.weights:
            raise ValueError(f"{_OWN_ODIN} is the shipped network; use `odin` to give --weights.")
        model, _ = checkpoints.load("cifar10-compact", recipes.network("cifar10-compact"))
        inside = _images(options.inside, "cifar10-test", options.count)
        outside = _images(options.outside, "tinyimagenet-crop", options.count)
    else:
        if not (options.weights and options.inside and options.outside):
            raise ValueError("odin takes --weights FILE, --inside NPZ and --outside NPZ.")
        model = recipes.load_classifier(options.weights)
        inside = datasets.read_archive(options.inside, options.count)
        outside = datasets.read_archive(options.outside, options.count)
    model = model.to(runtime.choose_device())
    scores = anomaly.evaluate(
        model,
        inside.images,
        outside.images,
        temperature=options.temperature,
        epsilon=options.epsilon,
        labels=inside.labels,
    )
    if options.json:
        print(json.dumps({"name": options.name, **scores}))
        return 0
    print(
        f"{scores['inside']} inside, {scores['outside']} outside; ODIN at temperature "
        f"{options.temperature:g}, epsilon {options.epsilon:g}"
    )
    print(f"{'':10}{'baseline':>10}{'odin':>10}")
    for metric in anomaly.METRICS:
        row = "".join(f"{100 * scores[name][metric]:8.1f} %" for name in ("baseline", "odin"))
        print(f"{metric:10}{row}")
    return 0


def _images(file: Path | None, name: str, count: int | None) -> datasets.LabelledImages:
    return datasets.read_archive(file, count) if file else datasets.image_set(name, count)


def bank(options: argparse.Namespace) -> int:
    """Compute a classifier's scores on thousands of images, once; a killed run goes on."""
    if options.threads:
        torch.set_num_threads(options.threads)
    computed = recipes.compute_bank(
        options.name,
        options.weights,
        out=options.out,
        runs=options.runs,
        command=f"python -m lessons_utils {shlex.join(options.typed)}",
        device=runtime.choose_device(),
    )
    print(json.dumps({"accuracy": computed.card.accuracy, "sets": computed.card.sets}))
    return 0


def build_parser() -> argparse.ArgumentParser:
    """Return the parser of the whole command line."""
    parser = argparse.ArgumentParser(
        prog="python -m lessons_utils", description="Look after the course from the command line."
    )
    commands = parser.add_subparsers(dest="command", required=True)

    doctor_parser = commands.add_parser("doctor", help=doctor.__doc__)
    doctor_parser.set_defaults(run=doctor)

    fetch_parser = commands.add_parser("fetch", help=fetch.__doc__)
    fetch_parser.add_argument(
        "names",
        nargs="*",
        metavar="NAME",
        help=f"of {', '.join(datasets.fetchable())} (3 GB; the two before it 170 MB each); if none "
        f"is named, {', '.join(datasets.SETS)}",
    )
    fetch_parser.set_defaults(run=fetch)

    train_parser = commands.add_parser("train", help=train.__doc__)
    train_parser.add_argument("name", metavar="NAME", help="such as srcnn-9-5-5-x3 or eigen-rooms")
    train_parser.add_argument("--steps", type=int, help="instead of the recipe's")
    train_parser.add_argument("--seed", type=int, default=0)
    train_parser.add_argument(
        "--out", type=Path, default=Path("runs"), help="folder of weights and card; default: runs"
    )
    train_parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="folder of unfinished runs"
    )
    train_parser.add_argument("--accelerator", default="auto", help="cpu, cuda, mps or auto")
    train_parser.add_argument("--devices", default="auto", help="how many; default: all")
    train_parser.add_argument("--nodes", type=int, default=1, help="machines")
    train_parser.add_argument(
        "--precision", help="32-true, bf16-mixed (default where the hardware has it) or 16-mixed"
    )
    train_parser.add_argument("--threads", type=int, help="processor threads a process")
    train_parser.set_defaults(run=train)

    bank_parser = commands.add_parser("bank", help=bank.__doc__)
    bank_parser.add_argument("name", metavar="NAME", help="of the bank")
    bank_parser.add_argument("--weights", type=Path, required=True, help="a classifier's")
    bank_parser.add_argument("--out", type=Path, default=Path("runs"), help="folder of the bank")
    bank_parser.add_argument(
        "--runs", type=Path, default=Path("runs"), help="folder of unfinished banks"
    )
    bank_parser.add_argument("--threads", type=int, help="processor threads")
    bank_parser.set_defaults(run=bank)

    evaluate_parser = commands.add_parser("evaluate", help=evaluate.__doc__)
    evaluate_parser.add_argument(
        "name",
        metavar="NAME",
        help="a shipped network, odin-cifar10, or srcnn or odin with --weights",
    )
    evaluate_parser.add_argument(
        "--weights", type=Path, help=".mat or .safetensors; for odin a classifier's"
    )
    evaluate_parser.add_argument(
        "--data", type=Path, help="folder of NYU Depth v2, for eigen-nyu; default: LESSONS_DATA"
    )
    evaluate_parser.add_argument("--scale", type=int, choices=(2, 3, 4))
    evaluate_parser.add_argument("--images", type=Path, help="a folder; default: Set5")
    evaluate_parser.add_argument(
        "--inside", type=Path, metavar="NPZ", help="for odin: images like those trained on"
    )
    evaluate_parser.add_argument("--outside", type=Path, metavar="NPZ", help="for odin: others")
    evaluate_parser.add_argument(
        "--count", type=int, help="the first so many of each; default: all"
    )
    evaluate_parser.add_argument("--temperature", type=float, default=anomaly.TEMPERATURE)
    evaluate_parser.add_argument("--epsilon", type=float, default=anomaly.EPSILON)
    evaluate_parser.add_argument(
        "--json", action="store_true", help="one JSON object as the last line"
    )
    evaluate_parser.set_defaults(run=evaluate)
    return parser


def main(arguments: list[str] | None = None) -> int:
    """Run one command.

    Args:
        arguments: without the program's name; None takes those of the process.

    Returns:
        The exit status: 0, 1 for a doctor who found problems, 2 for bad input.
    """
    typed = sys.argv[1:] if arguments is None else arguments
    options = build_parser().parse_args(typed)
    options.typed = typed
    try:
        return options.run(options)
    except (ValueError, OSError, datasets.DownloadError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 2


if __name__ == "__main__":
    raise SystemExit(main())
