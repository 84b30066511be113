"""A gallery at one moment: what its enrolled images say about images to come."""

import torch
from fakes import CosineEmbedder

from modelprint.index import Index, Row
from modelprint.reference import Reference

DIM, MODELS, ENROLLED = 200, 4, 8


class WideEmbedder(CosineEmbedder):
    dim = DIM


def images(count: int, seed: int) -> torch.Tensor:
    """``(MODELS, count, DIM)`` unit rows, each model's around a centre of its own."""
    generator = torch.Generator().manual_seed(seed)
    centres = torch.randn(MODELS, 1, DIM, generator=torch.Generator().manual_seed(0))
    noise = 1.5 * torch.randn(MODELS, count, DIM, generator=generator)
    return torch.nn.functional.normalize(centres + noise, dim=2)


def reference_of(fingerprints, rows):
    return Reference(WideEmbedder(), Index(fingerprints, rows, fingerprints))


def test_enrolled_images_left_out_score_as_new_images_do():
    enrolled, new = images(ENROLLED, 1), images(50, 2)
    rows = tuple(Row(str(m), f"{m}-{n}", "") for m in range(MODELS) for n in range(ENROLLED))
    reference = reference_of(enrolled.flatten(0, 1), rows)
    templates = reference.index.templates.fingerprints
    for model in range(MODELS):
        fresh = reference.score(new[model], templates)[:, model].mean()
        left_out = reference.left_out_scores(model)[:, model].mean()
        assert abs(left_out - fresh) < 0.04
        # The scorer that is adapted to them flatters them.
        own = enrolled[model].double()
        others = torch.nn.functional.normalize(own.sum(0) - own, dim=1).float()
        assert reference.score(enrolled[model], others).diagonal().mean() > fresh + 0.05


def test_images_are_scored_each_in_its_place():
    enrolled = images(3, 3)
    rows = tuple(Row(str(m), f"{m}-{n}", "") for n in range(3) for m in range(MODELS))
    reference = reference_of(enrolled.transpose(0, 1).flatten(0, 1), rows)
    templates = reference.index.templates.fingerprints
    all_at_once = reference.as_if_new(range(len(rows)), templates)
    for number in range(len(rows)):
        alone = reference.as_if_new([number], templates)
        torch.testing.assert_close(alone[0], all_at_once[number])
