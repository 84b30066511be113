"""Enrolls generators that the weights have never seen, then asks who made other images.

Seven small generators of different kinds (`examples/generators.py`) learn for some seconds each to
render procedural pictures. Ten images of five of them are enrolled. Fresh images of these are then
identified and verified; images of the other two, and pictures that no generator touched, should be
answered "unknown". Every generator renders the *same* pictures, so that content cannot help.

    python3 bootstrap.py demo
"""

from __future__ import annotations

import argparse
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

# A checkout need not be installed as a package for its examples to find each other.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import modelprint
from examples.generators import ENROLLED, STRANGERS, build, render
from modelprint.images import load_image
from modelprint.report import BAD, GOOD, UNDECIDED, Tile, contact_sheet, table
from modelprint.synthesis.pictures import draw_pictures

ENROLL, FRESH, LEARN = 10, 8, 40
SIDE_PX, LEARN_PX, STEPS = 256, 64, 200
NO_GENERATOR = "(no generator)"
# Other pictures than those that synthetic models were fitted to and weights were trained on.
SERIES = 1_000_000


@dataclass
class Outcome:
    """What the gallery said about the fresh images of one model.

    Attributes:
        enrolled: Whether the model is in the gallery.
        decisions: How often "right" (a match with it), "wrong" (with another one), "unknown" and
            "inconclusive" were answered.
        claims: How often the true claim and a false claim were accepted, out of FRESH each.
    """

    enrolled: bool
    decisions: Counter[str] = field(default_factory=Counter)
    claims: tuple[int, int] | None = None
    tiles: list[Tile] = field(default_factory=list)


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0] if __doc__ else None)
    parser.add_argument("--out", type=Path, default=Path("demo"), help="folder for the results")
    parser.add_argument("--seed", type=int, default=0, help="other pictures, other weights")
    options = parser.parse_args(arguments)
    started = time.perf_counter()
    outcomes = run(options.out, options.seed)
    print(summary(outcomes))
    print(f"\n{time.perf_counter() - started:.0f} s; pictures of it: {options.out / 'report.png'}")
    print("ask the same gallery yourself:")
    command = Path(sys.executable).with_name("modelprint")
    shown = command if command.exists() else "modelprint"
    print(f"  {shown} identify {options.out}/fresh/* --gallery {options.out}/models.gallery")
    return 0


def run(out: Path, seed: int) -> dict[str, Outcome]:
    """Make generators and images, enroll, identify, verify; writes everything into `out`."""
    threads = torch.get_num_threads()
    # Networks this small wait for each other's threads longer than they compute.
    torch.set_num_threads(1)
    try:
        make_images(out, seed)
    finally:
        torch.set_num_threads(threads)
    gallery = modelprint.Gallery(modelprint.FingerprintExtractor.from_pretrained())
    for label in ENROLLED:
        gallery.enroll(label, out / "enrolled" / label)
    gallery.save(out / "models.gallery", overwrite=True)
    outcomes = {model: ask(gallery, model, out / "fresh" / model) for model in everyone()}
    sheet = contact_sheet("Who made these images?", [(m, o.tiles) for m, o in outcomes.items()])
    sheet.save(out / "report.png")
    return outcomes


def everyone() -> tuple[str, ...]:
    return (*ENROLLED, *STRANGERS, NO_GENERATOR)


def make_images(out: Path, seed: int) -> None:
    """Write `enrolled/MODEL/*.png` and `fresh/MODEL/*.png`."""
    drawn = draw_pictures(ENROLL + FRESH + LEARN, seed=SERIES + seed, size_px=SIDE_PX)
    pictures = drawn.float() / 255
    shown, learnt = pictures[: ENROLL + FRESH], pictures[ENROLL + FRESH :]
    corner = (SIDE_PX - LEARN_PX) // 2
    learnt = learnt[..., corner : corner + LEARN_PX, corner : corner + LEARN_PX]
    for model in everyone():
        images = drawn[: ENROLL + FRESH]
        if model != NO_GENERATOR:
            print(f"{model}: learning to render pictures", flush=True)
            make = {**ENROLLED, **STRANGERS}[model]
            images = render(build(make, learnt, seed=seed, steps=STEPS), shown)
        if model in ENROLLED:
            write(images[:ENROLL], out / "enrolled" / model)
        write(images[ENROLL:], out / "fresh" / model)


def write(images: Tensor, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    for number, image in enumerate(images):
        picture = Image.fromarray(image.permute(1, 2, 0).contiguous().numpy())
        picture.save(folder / f"{number:02d}.png")


def ask(gallery: modelprint.Gallery, model: str, folder: Path) -> Outcome:
    """Identify a model's fresh images and, if it is enrolled, verify a true and a false claim."""
    outcome = Outcome(enrolled=model in gallery)
    for answer in gallery.identify_many(folder):
        decision: str = answer.decision
        if answer.label is not None:
            decision = "right" if answer.label == model else "wrong"
        outcome.decisions[decision] += 1
        expected = "right" if outcome.enrolled else "unknown"
        colour = GOOD if decision == expected else BAD if decision == "wrong" else UNDECIDED
        caption = answer.label or answer.decision
        outcome.tiles.append(Tile(load_image(answer.image).pixels, caption, colour))
    if outcome.enrolled:
        images = sorted(folder.iterdir())
        other = gallery.labels[gallery.labels.index(model) - 1]
        true, false = (
            sum(gallery.verify(image, label).accepted for image in images)
            for label in (model, other)
        )
        outcome.claims = true, false
    return outcome


def summary(outcomes: dict[str, Outcome]) -> str:
    """The table that the demo prints."""
    kinds = ("right", "wrong", "unknown", "inconclusive")
    rows = []
    for model, outcome in outcomes.items():
        counts = [outcome.decisions[kind] for kind in kinds]
        claims = outcome.claims or ("", "")
        rows.append([model, ENROLL if outcome.enrolled else 0, *counts, *claims])
    headers = ("images made by", "enrolled", *kinds, "true claims", "false claims")
    return (
        f"\nanswers to {FRESH} fresh images of each model, and how many claims were accepted, at "
        "the default false-positive rate of 1 %:\n\n"
        + table(headers, rows)
        + '\n\nwhere nothing is enrolled, "unknown" is the right answer'
    )


if __name__ == "__main__":
    sys.exit(main())
