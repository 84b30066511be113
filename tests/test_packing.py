"""Weights with 8 bits a number: how near they come, and that rounding twice is rounding once."""

import pytest
import tiny
import torch

from modelprint.errors import InvalidWeightsError
from modelprint.extractor import FingerprintExtractor
from modelprint.packing import packed, unpacked

MATRICES = ("matrix",)


def test_a_number_is_at_most_half_a_127th_of_its_columns_largest_away():
    matrix = tiny.numbers(400, 30) * torch.logspace(-3, 3, 30)
    kept = packed({"matrix": matrix}, MATRICES)
    assert {name: value.dtype for name, value in kept.items()} == {
        "matrix": torch.int8,
        "matrix.scale": torch.float16,
    }
    found = unpacked(kept)["matrix"]
    assert found.dtype == torch.float32
    largest = matrix.abs().amax(0)
    # Half a step, and what rounding the step itself to 16 bits adds at the end of the scale.
    assert ((found - matrix).abs() <= largest * (0.5 / 127 + 2**-11)).all()


@pytest.mark.parametrize("seed", range(5))
def test_packing_again_changes_nothing(seed):
    matrix = tiny.numbers(50, 20, seed=seed) * torch.logspace(-6, 4, 20)
    kept = packed({"matrix": matrix}, MATRICES)
    again = packed(unpacked(kept), MATRICES)
    assert all(torch.equal(again[name], value) for name, value in kept.items())
    assert again.keys() == kept.keys()


@pytest.mark.parametrize(
    "matrix", [torch.zeros(4, 3), torch.zeros(0, 3), torch.full((4, 3), 1e-12)]
)
def test_columns_of_nothing_stay_nothing(matrix):
    found = unpacked(packed({"matrix": matrix}, MATRICES))["matrix"]
    assert torch.equal(found, torch.zeros_like(matrix))


def test_other_floats_have_16_bits_and_integers_stay():
    count, mean = torch.tensor(1_000_001), torch.tensor([1 / 3, 1e-3])
    kept = packed({"count": count, "mean": mean}, MATRICES)
    assert kept["mean"].dtype == torch.float16
    assert torch.equal(kept["count"], count)
    found = unpacked(kept)
    assert torch.equal(found["mean"], mean.half().float())
    assert torch.equal(found["count"], count)


def test_scales_that_do_not_fit_are_refused():
    kept = packed({"matrix": torch.ones(4, 3)}, MATRICES)
    for scale in (None, torch.ones(4).half(), torch.ones(3, 1).half()):
        changed = {"matrix": kept["matrix"]} | ({} if scale is None else {"matrix.scale": scale})
        with pytest.raises(InvalidWeightsError, match=r"matrix\.scale for each column"):
            unpacked(changed)
    with pytest.raises(InvalidWeightsError, match="to be a matrix"):
        unpacked({"matrix": torch.ones(4, dtype=torch.int8), "matrix.scale": torch.ones(0)})


def test_weights_of_16_bits_are_read_as_they_are():
    weights = tiny.weights()
    halved = {name: value.half() for name, value in unpacked(weights.tensors).items()}
    older = type(weights)(
        halved, {**weights.config, "schema_version": 2}, weights.calibration, weights.card
    )
    extractor = FingerprintExtractor.from_weights(older, device="cpu")
    assert torch.equal(extractor.cohort, halved["cohort"].float())
    assert torch.equal(extractor.backbone.projection, halved["projection"].float())
