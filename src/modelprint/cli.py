"""The command `modelprint`: identify, enroll, verify, train, env."""

from __future__ import annotations

import argparse
import json
import os
import platform
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

import torch

from modelprint import __version__
from modelprint.answer_file import identify_to_file, image_paths
from modelprint.asking import verify
from modelprint.decision import one_line
from modelprint.errors import InvalidOptionError, ModelprintError
from modelprint.extractor import FingerprintExtractor
from modelprint.gallery import Gallery
from modelprint.hub import BUNDLED
from modelprint.kernels import which_backend
from modelprint.locking import LOCK_TIMEOUT_S
from modelprint.report import candidates_table, table

_EPILOG = """\
The exit status is 0 when the question was answered, whatever the answer; 2 after an error, with one
line on stderr; 130 when interrupted. With --json every answer is one line of JSON on stdout.
"""
_RECIPES = ("closed-form", "contrastive", "paper")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line.

    Args:
        arguments: Without the program's name; ``None`` for those of the process.

    Returns:
        The exit status: 0, 2 after an error, 130 when interrupted.
    """
    options = _parser().parse_args(arguments)
    command: Callable[[argparse.Namespace], int] = options.run
    try:
        status = command(options)
        # Here, where a reader that went away is caught; at exit Python would complain about it.
        sys.stdout.flush()
    except BrokenPipeError:
        # Whoever read our output, such as `head`, has enough. Python must not flush into it again.
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 0
    except (ModelprintError, OSError) as error:
        return _failed(str(error))
    except KeyboardInterrupt:
        print("modelprint: interrupted", file=sys.stderr)
        return 130
    return status


def _failed(message: str) -> int:
    print(f"modelprint: {one_line(message)}", file=sys.stderr)
    return 2


def _identify(options: argparse.Namespace) -> int:
    gallery = Gallery.load(options.gallery, _extractor(options))
    status, paths = 0, image_paths(options.images)
    if not paths:
        return _failed(
            f"no images in {', '.join(options.images)}; folders are read without their subfolders"
        )
    if options.out is not None:
        with _bar(len(paths)) as progress:
            done = identify_to_file(options.out, paths, gallery, fpr=options.fpr, progress=progress)
        print(f"{done}; see {options.out}")
        return 2 if done.unreadable else 0
    for answer in gallery.identify_many(paths, fpr=options.fpr):
        if answer.error is not None:
            status = _failed(answer.error)
        if options.json:
            print(json.dumps(answer.to_dict()), flush=True)
        elif answer.error is None:
            print(answer)
            _print_warnings(answer.warnings)
            if len(options.images) == 1 and not Path(options.images[0]).is_dir():
                print(candidates_table(answer))
    return status


def _enroll(options: argparse.Namespace) -> int:
    path, extractor = options.gallery, _extractor(options)
    with Gallery.update(path, extractor, timeout_s=options.timeout) as gallery:
        paths = image_paths(options.images)
        with _bar(len(paths)) as progress:
            count = gallery.enroll(options.label, paths, progress=progress)
    print(f"enrolled {count} images of {options.label}; {path} now knows {len(gallery)} models")
    return 0


def _verify(options: argparse.Namespace) -> int:
    answer = verify(options.a, options.b, extractor=_extractor(options), fpr=options.fpr)
    if options.json:
        print(json.dumps(answer.to_dict()))
    else:
        print(answer)
        _print_warnings(answer.warnings)
    return 0


def _train(options: argparse.Namespace) -> int:
    # Imported here alone: training is optional, and nothing else needs it.
    from modelprint.training import TrainingConfig, train

    changes = dict(map(_setting, options.set))
    if options.photos is not None:
        changes["photos"] = options.photos
    config = TrainingConfig.preset(options.recipe, **changes)
    figures = train(config, options.out, workers=options.workers)
    print(table(["held-out synthetic models", ""], [[k, f"{v:.4f}"] for k, v in figures.items()]))
    weights = str(Path(options.out) / "weights")
    print(f"use them with FingerprintExtractor.from_pretrained({weights!r}) or --weights {weights}")
    return 0


def _env(options: argparse.Namespace) -> int:
    devices = ["cpu", "cuda"] if torch.cuda.is_available() else ["cpu"]
    rows = [
        ["modelprint", __version__],
        ["python", f"{platform.python_version()} on {platform.platform()}"],
        *([name, _version_of(name)] for name in ("torch", "numpy", "pillow", "safetensors")),
        *([name, _version_of(name)] for name in ("huggingface-hub", "tqdm", "triton")),
        ["gpu", torch.cuda.get_device_name() if torch.cuda.is_available() else "none"],
        ["cpu threads", str(torch.get_num_threads())],
        *([f"synthesis on {device}", _synthesis_on(device)] for device in devices),
    ]
    try:
        extractor = FingerprintExtractor.from_pretrained(options.weights, device=options.device)
    except ModelprintError as error:
        # This command is for bug reports: it has to work where nothing else does.
        rows.append(["weights", f"cannot be used: {error}"])
    else:
        rows += [
            ["device", str(extractor.device)],
            ["weights", options.weights or "bundled"],
            ["digest", extractor.digest],
            ["backbone", f"{extractor.config.backbone}, {extractor.dim} dimensions"],
            ["calibrated on", extractor.calibration.source],
        ]
    print(table(["", ""], rows).split("\n", 2)[2])
    return 0


def _synthesis_on(device: str) -> str:
    """Which backend ``ModelSynthesizer`` uses on ``device`` unless told otherwise, and why."""
    backend, why = which_backend("auto", device)
    return f"backend {backend}: {why}"


def _extractor(options: argparse.Namespace) -> FingerprintExtractor | None:
    """The extractor that was asked for; ``None`` for the bundled one on the default device."""
    if options.weights is None and options.device is None:
        return None
    return FingerprintExtractor.from_pretrained(options.weights, device=options.device)


@contextmanager
def _bar(total: int) -> Iterator[Callable[[int], None] | None]:
    """Shows progress on a terminal, where tqdm is installed."""
    try:
        from tqdm import tqdm
    except ImportError:
        yield None
        return
    with tqdm(total=total, unit="image", disable=None) as bar:
        yield bar.update


def _print_warnings(warnings: Sequence[str]) -> None:
    for warning in warnings:
        print(f"  warning: {one_line(warning)}")


def _setting(text: str) -> tuple[str, object]:
    """``key=value`` with the value as JSON if it is JSON, else as text."""
    key, equals, value = text.partition("=")
    if not key or not equals or key in ("recipe", "photos"):
        raise InvalidOptionError(
            f"--set {text}: expected key=value, such as models=500; "
            "the recipe and the photographs have options of their own"
        )
    try:
        return key, json.loads(value)
    except ValueError:
        return key, value


def _version_of(package: str) -> str:
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="modelprint",
        description="Says which generative model made an image.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--version", action="version", version=f"modelprint {__version__}")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    def command(
        name: str, run: Callable[[argparse.Namespace], int], text: str
    ) -> argparse.ArgumentParser:
        added = commands.add_parser(name, help=text, description=text[0].upper() + text[1:] + ".")
        added.set_defaults(run=run)
        return added

    identify = command("identify", _identify, "say which enrolled model made each image, if any")
    identify.add_argument("images", nargs="+", metavar="IMAGE", help="image files or folders")
    identify.add_argument("--gallery", required=True, metavar="G", help="file made by enroll")
    enroll = command("enroll", _enroll, "add images of a model to a gallery file")
    enroll.add_argument("gallery", metavar="G", help="gallery file; made if there is none")
    enroll.add_argument(
        "label",
        metavar="LABEL",
        help="name of the model, such as sdxl, or its path, such as sdxl/lora-x",
    )
    enroll.add_argument(
        "images", nargs="+", metavar="IMAGE", help="its images, files or folders; ten are good"
    )
    enroll.add_argument(
        "--timeout",
        type=float,
        default=LOCK_TIMEOUT_S,
        metavar="S",
        help="seconds to wait for others that are changing the gallery; default: %(default)g",
    )
    verification = command("verify", _verify, "say whether one model made two images")
    verification.add_argument("a", metavar="A", help="image file")
    verification.add_argument("b", metavar="B", help="another image file")
    identify.add_argument(
        "--out",
        metavar="FILE",
        help="add audit records to FILE as lines of JSON; called again, go on where it stopped",
    )
    for answering in (identify, verification):
        answering.add_argument(
            "--fpr",
            type=float,
            metavar="RATE",
            help="false-positive rate to allow, in (0, 1); default: the weights', mostly 0.01",
        )
        answering.add_argument("--json", action="store_true", help="print audit records as JSON")
    _add_training(command("train", _train, "train weights of your own on synthetic models"))
    env = command("env", _env, "print versions, device and weights, for bug reports")
    for using in (identify, enroll, verification, env):
        using.add_argument(
            "--weights",
            metavar="SOURCE",
            help=f"{' or '.join(BUNDLED)}, both in the package (default: the first); a folder; "
            "or a Hugging Face repository",
        )
        using.add_argument("--device", help="cpu, cuda, ...; default: the GPU if there is one")
    return parser


def _add_training(train: argparse.ArgumentParser) -> None:
    train.description = (
        "Train weights on random synthetic models: no image of a real generator is needed. "
        "Called again with the same values, an interrupted run is continued. "
        "Needs `pip install modelprint[train]`."
    )
    train.add_argument("--out", required=True, metavar="RUN", help="folder of the run")
    train.add_argument(
        "--recipe", choices=_RECIPES, default=_RECIPES[0], help="default: %(default)s"
    )
    train.add_argument(
        "--photos",
        metavar="FOLDER",
        help="photographs that the synthetic models render; default: procedural pictures",
    )
    train.add_argument(
        "--workers",
        type=int,
        default=os.cpu_count() or 1,
        metavar="N",
        help="processes that render; default: one per processor, here %(default)s",
    )
    train.add_argument(
        "--set",
        action="append",
        default=[],
        metavar="KEY=VALUE",
        help="any other field of TrainingConfig, such as models=500; may be repeated",
    )
