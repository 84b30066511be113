"""A small made-up benchmark folder, embedders for it, and the protocol once more in slow loops."""

import hashlib
import json
from collections import Counter
from itertools import product

import numpy as np
import torch
from PIL import Image

from benchmarks.conditions import CONDITIONS
from benchmarks.protocol import Plan
from modelprint.calibration import Calibration

SIDE_PX = 96
DIM = 8
COUNTS = {"dalle_mini": 8, "other_a": 9, "other_b": 8, "sd14": 7}
SHARED = 3
PHOTOGRAPHS = 6
PLAN = Plan(
    enrolled=4,
    seeds=(0, 1, 2),
    conditions=("clean", "jpeg-50", "resize-0.75", "noise-0.01"),
    resamples=60,
)


class WeakEmbedder:
    """Mean greys of eight strips; its scorer is neither a cosine nor symmetric."""

    dim = DIM
    digest = hashlib.sha256(b"weak").hexdigest()

    def embed(self, images, *, batch_size=32, progress=None):
        strips = [
            torch.stack([strip.double().mean() for strip in image.pixels.chunk(DIM, dim=2)])
            for image in images
        ]
        return torch.nn.functional.normalize(torch.stack(strips) - 127, dim=1).float()


class ScoringEmbedder(WeakEmbedder):
    """The same with a scorer and a calibration of its own."""

    digest = hashlib.sha256(b"scoring").hexdigest()
    calibration = Calibration.fit(
        {
            (1, 64): np.random.default_rng(1).normal(0, 2, 900),
            (4, 64): np.random.default_rng(2).normal(0, 1, 900),
        },
        {
            (1, 64): np.random.default_rng(3).normal(2, 2, 90),
            (4, 64): np.random.default_rng(4).normal(2, 1, 90),
        },
        source="made up",
        default_fpr=0.3,
    )

    def compare(self, a, b):
        return 3 * a @ b.T - 2 * (a[:, :1] - b[:, 0]) ** 2 + a[:, 1:2]


def model_strips(model):
    return 127 + 12 * np.random.default_rng([model]).normal(size=DIM)


def write_picture(path, model, number):
    generator = np.random.default_rng([model, number])
    strips = model_strips(model) + 14 * generator.normal(size=DIM)
    pixels = strips.repeat(SIDE_PX // DIM) + 10 * generator.normal(size=(SIDE_PX, SIDE_PX))
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.dstack([pixels.clip(0, 255).round().astype(np.uint8)] * 3)).save(path)


def write_folder(root):
    for model, (name, count) in enumerate(COUNTS.items()):
        shared = SHARED if name.startswith("other") else 0
        for number in range(count):
            stem = f"shared{number:02}" if number < shared else f"{number:02}"
            # The last one looks as if the next model had made it, and is mismatched.
            shown = (model + 1) % len(COUNTS) if number == count - 1 else model
            write_picture(root / "images" / name / f"{stem}.png", shown, number)
    for number in range(PHOTOGRAPHS):
        write_picture(root / "real" / f"{number:02}.png", 50 + number, 0)
    # Looks like a model but is nearly flat: the decision rule must refuse to judge it.
    for model in range(len(COUNTS)):
        strips = model_strips(model).clip(0, 255).round().astype(np.uint8)
        flat = np.broadcast_to(strips.repeat(100)[:, None], (SIDE_PX, 100 * DIM, 3))
        Image.fromarray(np.ascontiguousarray(flat)).save(root / "real" / f"flat{model}.png")
    index = [{"model": name, "images": count} for name, count in COUNTS.items()]
    (root / "index.json").write_text(json.dumps(index))


class Slow:
    """The protocol once more, in plain loops over file names."""

    def __init__(self, path, condition):
        self.files = sorted((path / "images").glob("*/*.png"))
        self.photographs = sorted((path / "real").glob("*.png"))
        self.models = sorted(COUNTS)
        self.embedder = ScoringEmbedder()
        self.sizes = {}
        self.reference = {f: self.fingerprint(f, "clean") for f in self.everything}
        self.test = {f: self.fingerprint(f, condition) for f in self.everything}

    @property
    def everything(self):
        return [*self.files, *self.photographs]

    def fingerprint(self, file, condition):
        pixels = np.asarray(Image.open(file))
        pixels = CONDITIONS[condition](pixels, f"{file.parent.name}/{file.stem}")
        self.sizes[file] = pixels.shape[:2]
        strips = [strip.mean() for strip in np.array_split(pixels, DIM, axis=1)]
        row = np.array(strips) - 127
        return (row / np.linalg.norm(row)).astype(np.float32)

    def score(self, test, reference):
        a, b = torch.from_numpy(test)[None], torch.from_numpy(reference)[None]
        return self.embedder.compare(a, b).item()

    def both_ways(self, a, b):
        return (self.score(a, b) + self.score(b, a)) / 2

    def draw(self, seed):
        enrolled = {}
        for model in self.models:
            own = [f for f in self.files if f.parent.name == model]
            own.sort(key=lambda f: hashlib.sha256(f"{seed}/{model}/{f.stem}".encode()).hexdigest())
            enrolled[model] = own[:4]
        out = sorted(
            self.models, key=lambda m: hashlib.sha256(f"{seed}/left-out/{m}".encode()).hexdigest()
        )[: len(self.models) // 2]
        return enrolled, out

    def best(self, file, enrolled, models):
        """Model and score of the best template."""
        scores = {}
        for model in models:
            mean = np.mean([self.reference[f] for f in enrolled[model]], axis=0, dtype=np.float64)
            template = (mean / np.linalg.norm(mean)).astype(np.float32)
            scores[model] = self.score(self.test[file], template)
        return max(scores.items(), key=lambda item: item[1])

    def hits(self, size):
        """(model, hit) of every test image in every draw."""
        for seed in PLAN.seeds:
            enrolled, _ = self.draw(seed)
            few = {model: files[:size] for model, files in enrolled.items()}
            for f in self.files:
                if f not in enrolled[f.parent.name]:
                    yield f.parent.name, self.best(f, few, self.models)[0] == f.parent.name

    def ratios(self, seed):
        """(model, other model, LLR) of every test image against every model in one draw."""
        enrolled, _ = self.draw(seed)
        for f in self.files:
            for model in self.models:
                if f not in enrolled[f.parent.name]:
                    score = self.best(f, enrolled, [model])[1]
                    side_px = min(self.sizes[f])
                    yield f.parent.name, model, self.embedder.calibration.llr(score, 4, side_px)

    def pairs(self, keep):
        """(model, other model, score) of every pair that is kept, both ways round."""
        return [
            (a.parent.name, b.parent.name, self.both_ways(self.test[a], self.reference[b]))
            for a, b in product(self.files, self.files)
            if a != b and keep(a, b)
        ]

    def open_set(self, seed):
        """Known (model, correct, score) and unknown (source, score) of one draw."""
        enrolled, out = self.draw(seed)
        gallery = [m for m in self.models if m not in out]
        known, unknown = [], []
        for f in self.everything:
            source = f.parent.name
            model, score = self.best(f, enrolled, gallery)
            if source not in gallery:
                unknown.append((f.stem if source == "real" else source, score))
            elif f not in enrolled[source]:
                known.append((source, model == source, score))
        return known, unknown


def both_shared(a, b):
    return a.stem.startswith("shared") and b.stem.startswith("shared")


KEEP = {
    "auc": lambda a, b: True,
    "shared_auc": lambda a, b: both_shared(a, b) and (a.parent == b.parent or a.stem == b.stem),
    "shared_images_auc": both_shared,
    "subset_auc": lambda a, b: not a.parent.name.startswith("o") and b.parent.name[0] != "o",
}


def split(rows, times=None):
    """Positives and negatives, each pair as often as the draws of its models say."""
    positives, negatives = [], []
    for a, b, score in rows:
        if a == b:
            positives += [score] * (times[a] if times else 1)
        else:
            negatives += [score] * (times[a] * times[b] if times else 1)
    return positives, negatives


def resamples(names, extra=()):
    """The draws of the bootstrap, as a count for each name."""
    generator = np.random.default_rng(0)
    kinds = [kind for kind in (names, extra) if kind]
    counts = [
        generator.multinomial(len(kind), np.full(len(kind), 1 / len(kind)), size=PLAN.resamples)
        for kind in kinds
    ]
    for row in np.concatenate(counts, axis=1):
        yield Counter(dict(zip([*names, *extra], row.tolist(), strict=True)))
