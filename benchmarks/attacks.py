"""What attacks do to answers: `python -m benchmarks.attacks`, or with `--data FOLDER`.

Every model is enrolled with ten images; other images of it are attacked, as
`benchmarks.attack_methods` says, and the gallery is asked at the shipped rate. A removal succeeds
where an image that was matched with its model no longer is; a forgery where an image is matched
with the model that the attacker chose. Intervals are 95 % bootstrap intervals over models.

Without `--data`, the models are synthetic ones that took no part in training, and the pictures that
they render stand in for photographs.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch.nn.functional as F
from torch import Tensor

from benchmarks import attack_methods as methods
from benchmarks.attack_report import Outcome, figures, table
from benchmarks.attack_subjects import Subjects, from_folder, synthetic
from benchmarks.record import check_place, write_record
from benchmarks.report import environment
from modelprint.decision import Identification
from modelprint.errors import InvalidOptionError, ModelprintError
from modelprint.extractor import FingerprintExtractor
from modelprint.gallery import Gallery


@dataclass(frozen=True)
class Attack:
    """One attack.

    Attributes:
        name: As in the table of `benchmarks.attack_methods`.
        forgery: Whether it puts another model's fingerprint on, or only takes one off.
        knows: What the attacker has.
        run: From pixels, own model, target model and a key for draws to pixels.
    """

    name: str
    forgery: bool
    knows: str
    run: Callable[[Tensor, int, int, str], Tensor]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = _parser()
    options = parser.parse_args(arguments)
    try:
        check_place(options.json)
        if min(options.models - 1, options.enrolled, options.attacked) < 1:
            raise InvalidOptionError(
                "expected --models of 2 or more, --enrolled and --attacked of 1 or more, got "
                f"{options.models}, {options.enrolled}, {options.attacked}"
            )
        extractor = FingerprintExtractor.from_pretrained(options.weights, device=options.device)
        if options.data is None:
            subjects = synthetic(
                options.models, options.enrolled, options.attacked, options.size_px
            )
        else:
            subjects = from_folder(options.data, options.enrolled, options.attacked)
        outcomes = measure(extractor, subjects, _log)
        record = _record(extractor, subjects, outcomes, options)
        print(f"{subjects.source}; {record['matched_before']:.0%} of images matched before")
        print(table(record))
        if options.json is not None:
            write_record(options.json, record)
    except (ModelprintError, OSError) as error:
        parser.error(str(error))
    return 0


def attacks(extractor: FingerprintExtractor, subjects: Subjects) -> list[Attack]:
    """All attacks, with what the attacker has learnt from images."""
    powers = [methods.mean_power(images) for images in subjects.enrolled]
    natural = methods.mean_power(subjects.photographs)
    templates = [
        F.normalize(extractor.embed(images).mean(0, keepdim=True), dim=1)
        for images in subjects.enrolled
    ]
    along = partial(methods.follow_gradient, extractor=extractor)
    return [
        Attack("launder", False, "the image", lambda x, _o, _t, key: methods.launder(x, key)),
        Attack("re-noise", False, "the image", lambda x, _o, _t, key: methods.renoise(x, key)),
        Attack(
            *("spectrum to photographs", False, "images"),
            lambda x, own, _t, _key: methods.reshape_spectrum(x, powers[own], natural),
        ),
        Attack(
            *("gradient away", False, "the weights"),
            lambda x, own, _t, _key: along(x, away_from=templates[own]),
        ),
        Attack(
            *("spectrum to target", True, "images"),
            lambda x, own, to, _key: methods.reshape_spectrum(x, powers[own], powers[to]),
        ),
        Attack(
            *("gradient to target", True, "the weights"),
            lambda x, own, to, _key: along(x, away_from=templates[own], towards=templates[to]),
        ),
    ]


def measure(
    extractor: FingerprintExtractor, subjects: Subjects, log: Callable[[str], None]
) -> dict[Attack, list[Outcome]]:
    """Every attack on every image; the target of a forgery is the next model."""
    gallery = Gallery(extractor)
    for name, images in zip(subjects.names, subjects.enrolled, strict=True):
        gallery.enroll(name, images)
    outcomes: dict[Attack, list[Outcome]] = {}
    clean = [list(gallery.identify_many(images)) for images in subjects.attacked]
    for attack in attacks(extractor, subjects):
        outcomes[attack] = []
        for model, images in enumerate(subjects.attacked):
            target = (model + 1) % len(subjects.names)
            aim = subjects.names[target if attack.forgery else model]
            for number, pixels in enumerate(images):
                attacked = attack.run(pixels, model, target, f"{subjects.names[model]}/{number}")
                before, after = clean[model][number], gallery.identify(attacked)
                outcomes[attack].append(
                    Outcome(
                        model,
                        _found(before),
                        _found(after),
                        _score(before, aim),
                        _score(after, aim),
                        methods.psnr_db(attacked, pixels),
                        _success(attack, before, after, aim),
                    )
                )
        log(f"{attack.name}: done")
    return outcomes


def _success(
    attack: Attack, before: Identification, after: Identification, aim: str
) -> bool | None:
    if attack.forgery:
        return after.label == aim
    return None if before.label != aim else after.label != aim


def _found(answer: Identification) -> str:
    return answer.label or answer.decision


def _score(answer: Identification, label: str) -> float:
    return next(each.score for each in answer.candidates if each.label == label)


def _record(
    extractor: FingerprintExtractor,
    subjects: Subjects,
    outcomes: Mapping[Attack, Sequence[Outcome]],
    options: argparse.Namespace,
) -> dict[str, Any]:
    first = next(iter(outcomes.values()))
    own = [o for o in first if o.before == subjects.names[o.model]]
    return {
        "data": subjects.source,
        "enrolled": options.enrolled,
        "attacked_per_model": options.attacked,
        "matched_before": len(own) / len(first),
        "extractor_digest": extractor.digest,
        "environment": environment(str(extractor.device)),
        "attacks": {
            attack.name: {"attacker_has": attack.knows, **figures(done, forgery=attack.forgery)}
            for attack, done in outcomes.items()
        },
        "outcomes": {
            attack.name: [asdict(outcome) for outcome in done] for attack, done in outcomes.items()
        },
    }


def _log(line: str) -> None:
    print(line, file=sys.stderr)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.attacks", description=__doc__)
    add = parser.add_argument
    add("--data", type=Path, help="folder with images/<model>/ and real/, not synthetic models")
    add("--weights", metavar="FOLDER", help="instead of the weights in the package")
    add("--models", type=int, default=12, metavar="M", help="synthetic models")
    add("--enrolled", type=int, default=10, metavar="N", help="images enrolled for each model")
    add("--attacked", type=int, default=4, metavar="N", help="images attacked of each model")
    add("--size-px", type=int, default=256, metavar="PX", help="side of synthetic images")
    add("--device", help="where weights run (default: the GPU if there is one)")
    add("--json", type=Path, metavar="PATH", help="write the figures and what they belong to")
    return parser


if __name__ == "__main__":
    sys.exit(main())
