"""The benchmark of a fingerprint's cost: that it measures what it says."""

import pytest
import torch

from benchmarks import extract
from benchmarks.paper_pipeline import DnCNN, PaperPipeline


def test_the_papers_pipeline_is_as_large_as_they_say():
    denoiser = DnCNN()
    convolutions = [m for m in denoiser.modules() if isinstance(m, torch.nn.Conv2d)]
    assert [c.out_channels for c in convolutions] == [64] * 16 + [3]
    work = extract._work(lambda: denoiser(torch.zeros(1, 3, 16, 16)))
    assert work["gflop"] == pytest.approx(2 * 256 * 9 * 64 * (3 + 15 * 64 + 3) / 1e9)
    assert PaperPipeline().encoder.features == 2048


def test_traffic_is_read_plus_written():
    x = torch.zeros(1000)
    assert extract._work(lambda: x + x)["gb"] == pytest.approx(3 * 4000 / 1e9)
    assert extract._work(lambda: x.view(10, 100))["gb"] == 0


def test_no_speed_is_printed_where_a_batch_differs():
    rows = torch.zeros(2, 3)
    assert extract._equality("ours", (rows, rows + 1e-5)) == pytest.approx(1e-5)
    for other in (rows + 1e-3, rows * float("nan")):
        with pytest.raises(SystemExit, match="no speed"):
            extract._equality("ours", (rows, other))
