"""Evidence: where, in which frequencies and next to what an image is like a model."""

import hashlib
import json
import math

import numpy as np
import pytest
import torch
from tiny import extractor as tiny_extractor
from tiny import photos

from modelprint.answers.evidence import MOST_TILES, NEAREST, TILE_PX, explain
from modelprint.answers.fingerprint_spectrum import GRID, compare_spectra, remembered
from modelprint.backbone import WhitenedStatistics
from modelprint.calibration import Calibration
from modelprint.embedder import degraded_of
from modelprint.errors import UnknownLabelError
from modelprint.features.residual_statistics import residual_statistics, statistics_count
from modelprint.images import load_image
from modelprint.index import Index, Row
from modelprint.records import canonical_json
from modelprint.reference import Reference

RED, BLUE = (200, 90, 90), (90, 90, 200)
DRAWN = np.random.default_rng(0).normal(size=20_000)


class ColourEmbedder:
    """Knows a model by the mean colour of its images."""

    dim = 3
    digest = hashlib.sha256(b"colour").hexdigest()
    calibration = Calibration.fit({(1, 32): DRAWN, (1, 128): 2 * DRAWN}, source="made up")

    def embed(self, images, *, batch_size=32, progress=None):
        means = torch.stack([image.pixels.double().mean((1, 2)) for image in images])
        return torch.nn.functional.normalize(means - 127, dim=1).float()


def coloured(colour, height, width, seed=0):
    noise = np.random.default_rng(seed).normal(0, 20, (height, width, 3))
    return (np.array(colour) + noise).clip(0, 255).astype(np.uint8)


def reference(embedder, enrolled):
    """`enrolled`: label -> images."""
    rows, images = [], []
    for label, several in enrolled.items():
        for number, pixels in enumerate(several):
            images.append(load_image(pixels, name=f"{label} {number}"))
            rows.append(Row(label, images[-1].sha256, images[-1].name))
    fingerprints = embedder.embed(images)
    index = Index.empty(embedder.dim).with_rows(
        rows, fingerprints, degraded_of(embedder, images, fingerprints)
    )
    return Reference(embedder, index)


@pytest.fixture(scope="module")
def colours():
    several = {
        label: [coloured(colour, 64, 64, seed) for seed in range(first, first + 3)]
        for label, colour, first in (
            ("red", RED, 0),
            ("sea/blue", BLUE, 10),
            ("sea/navy", BLUE, 20),
        )
    }
    return reference(ColourEmbedder(), several)


def spliced():
    """Blue, with a red quarter at the upper right."""
    pixels = coloured(BLUE, 320, 448, 1)
    pixels[:128, 256:] = coloured(RED, 128, 192, 2)
    return load_image(pixels, name="spliced.png")


def test_the_map_shows_where_the_likeness_is(colours):
    evidence = explain(colours, spliced(), "red")
    tiles = evidence.tiles
    assert (tiles.side_px, tiles.tops_px, tiles.lefts_px) == (
        TILE_PX,
        (0, 64, 128, 192),
        (0, 64, 128, 192, 256, 320),
    )
    scores = np.array(tiles.scores)
    assert scores.shape == (4, 6)
    assert (scores[0, 4:] > 0.9).all()
    assert (scores[0, 4:] > scores[1, 4:]).all()
    assert (scores[2:].max(), scores[:, :3].max()) < (0, 0)
    assert evidence.score < 0
    assert (np.array(explain(colours, spliced(), "sea/blue").tiles.scores)[2:] > 0.9).all()


def test_a_tile_is_scored_and_judged_like_an_image(colours):
    tiles = explain(colours, spliced(), "red").tiles
    cut = spliced().pixels[:, 64:192, 320:448].contiguous()
    alone = explain(colours, load_image(cut), "red")
    assert tiles.scores[1][5] == pytest.approx(alone.score, abs=1e-6)
    assert tiles.p_values[1][5] == pytest.approx(alone.p_value)
    assert tiles.flat_shares[1][5] == load_image(cut).flat_share
    calibration = ColourEmbedder.calibration
    assert alone.p_value == calibration.p_value(alone.score, 3, 128)


@pytest.mark.parametrize(
    ("height", "width", "side", "shape"),
    [
        (32, 32, 32, (1, 1)),
        (130, 300, 128, (1, 4)),
        (100, 300, 100, (1, 4)),
        (128, 4000, 128, (1, MOST_TILES)),
    ],
)
def test_small_images_have_fewer_tiles_and_huge_ones_not_too_many(
    colours, height, width, side, shape
):
    tiles = explain(colours, load_image(coloured(RED, height, width))).tiles
    assert tiles.side_px == side
    assert np.shape(tiles.scores) == np.shape(tiles.flat_shares) == shape
    assert (len(tiles.tops_px), len(tiles.lefts_px)) == shape
    assert tiles.lefts_px[-1] >= width - side - 2


def test_without_a_label_the_best_model_is_explained(colours):
    assert explain(colours, load_image(coloured(RED, 64, 64, 99))).label == "red"
    with pytest.raises(UnknownLabelError, match="green"):
        explain(colours, spliced(), "green")
    with pytest.raises(UnknownLabelError, match="'se'"):
        explain(colours, spliced(), "se")


def test_a_family_is_explained_as_one(colours):
    image = load_image(coloured(BLUE, 64, 64, 99))
    family, member = explain(colours, image, "sea"), explain(colours, image, "sea/blue")
    assert (family.enrolled, member.enrolled) == (6, 3)
    mean = torch.nn.functional.normalize(colours.index.fingerprints[3:].mean(0, True), dim=1)
    fingerprint = ColourEmbedder().embed([image])
    assert family.score == pytest.approx(colours.score(fingerprint, mean).item(), abs=1e-5)


def test_the_nearest_enrolled_images_come_best_first(colours):
    image = load_image(coloured(RED, 64, 64, 1))  # which is enrolled
    nearest = explain(colours, image).nearest
    assert len(nearest) == NEAREST
    assert [near.score for near in nearest] == sorted((n.score for n in nearest), reverse=True)
    assert (nearest[0].label, nearest[0].name) == ("red", "red 1")
    assert nearest[0].sha256 == image.sha256
    assert {near.label for near in nearest[:3]} == {"red"}


def test_evidence_is_plain_data(colours):
    evidence = explain(colours, spliced())
    record = evidence.to_dict()
    assert record == json.loads(canonical_json(record))
    assert record["kind"] == "evidence"
    assert record["provenance"]["gallery_digest"] == colours.digest
    assert (record["width_px"], record["height_px"]) == (448, 320)
    assert record["image_sha256"] == spliced().sha256
    assert explain(colours, spliced()) == evidence


def test_without_a_calibration_there_are_no_p_values():
    embedder = ColourEmbedder()
    embedder.calibration = None
    evidence = explain(reference(embedder, {"red": [coloured(RED, 64, 64)]}), spliced())
    assert evidence.p_value is evidence.tiles.p_values is None


def test_only_statistics_lead_back_to_spectra(colours):
    assert explain(colours, spliced()).spectrum is None
    stack = photos(5, 64, 64)
    extractor = tiny_extractor()
    enrolled = {"a": [*stack[:2]], "b": [*stack[2:4]]}
    spectrum = explain(reference(extractor, enrolled), load_image(stack[4])).spectrum
    assert np.shape(spectrum.image) == np.shape(spectrum.enrolled) == (3, *GRID)
    assert -1 <= spectrum.correlation <= 1


def waves(vertical, horizontal, side=128):
    """A picture of one frequency in green alone, ``(1, 3, side, side)``."""
    y, x = torch.meshgrid(torch.arange(side), torch.arange(side), indexing="ij")
    picture = torch.full((1, 3, side, side), 0.5)
    picture[0] += 0.2 * torch.sin(2 * math.pi * (vertical * y + horizontal * x))
    return picture


@pytest.mark.parametrize(("vertical", "horizontal"), [(0.23, 0.4), (-0.23, 0.4), (-0.4, 0.15)])
def test_the_first_statistics_are_the_spectrum_that_they_are_taken_for(vertical, horizontal):
    power = residual_statistics(waves(vertical, horizontal))[0, : 3 * GRID[0] * GRID[1]]
    row, column = np.unravel_index(int(power.view(3, *GRID)[0].argmax()), GRID)
    spectrum = compare_spectra(backbone(), torch.eye(1, 8)[0], torch.eye(1, 8)[0])
    assert abs(spectrum.vertical_frequencies[row] - vertical) <= 0.5 / GRID[0]
    assert abs(spectrum.horizontal_frequencies[column] - horizontal) <= 0.25 / GRID[1]


def backbone(columns=8):
    """Its fingerprint is the first statistics as they are."""
    made = WhitenedStatistics(4 * columns)
    made.projection[:columns] = torch.eye(columns)
    return made


def test_what_a_fingerprint_remembers_gives_this_fingerprint():
    random = WhitenedStatistics(64)
    random.projection.normal_(generator=torch.Generator().manual_seed(0))
    fingerprints = torch.nn.functional.normalize(torch.eye(3, 64) + 0.1, dim=1)
    statistics = remembered(random, fingerprints)
    assert statistics.shape == (3, statistics_count())
    assert torch.allclose(
        (statistics @ random.projection.double()).float(), fingerprints[:, :16], atol=1e-5
    )
    # Of all statistics with this fingerprint, the shortest: nothing that the projection ignores.
    inverse = torch.linalg.pinv(random.projection.double())
    assert torch.allclose(statistics, fingerprints[:, :16].double() @ inverse, atol=1e-8)


def test_spectra_are_compared_cell_by_cell():
    cells = 3 * GRID[0] * GRID[1]
    made = backbone(cells)
    generator = torch.Generator().manual_seed(1)
    image, other = torch.randn(2, cells, generator=generator)
    spectrum = compare_spectra(made, image / image.norm(), (image + other) / 9)
    expected = image / image.square().mean().sqrt()
    assert np.allclose(spectrum.image, expected.view(3, *GRID), atol=1e-4)
    oracle = np.corrcoef(image.numpy(), (image + other).numpy())[0, 1]
    assert spectrum.correlation == pytest.approx(oracle, abs=1e-4)
