"""The benchmark of a fingerprint's cost, and of failures: that they measure what they say."""

import json

import numpy as np
import pytest
import torch
from quality_oracle import PLAN, ScoringEmbedder, write_folder

from benchmarks import extract
from benchmarks.confusion import confusion
from benchmarks.failures_report import record_of, tables
from benchmarks.folder import BenchmarkFolder
from benchmarks.paper_pipeline import DnCNN, PaperPipeline
from benchmarks.protocol import evaluate


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


@pytest.fixture(scope="module")
def found(tmp_path_factory):
    root = tmp_path_factory.mktemp("failures") / "made-up"
    write_folder(root)
    folder = BenchmarkFolder.open(root, least_images=5)
    return folder, confusion(ScoringEmbedder(), folder, PLAN)


def test_confusion_adds_up_to_the_figures_of_the_protocol(found):
    folder, result = found
    figures = evaluate(ScoringEmbedder(), folder, PLAN)["clean"]
    asked = result.tested > 0
    np.testing.assert_allclose(result.shares[asked].sum(1), 1)
    right = (np.diagonal(result.shares)[asked] * result.tested[asked]).sum()
    top1 = figures[f"top1_{PLAN.enrolled}"].value
    assert right / result.tested.sum() == pytest.approx(top1)
    assert result.false_matches[-1] == pytest.approx(figures["fpr_photos"].value)


def test_the_record_is_json_and_its_tables_name_every_model(found):
    folder, result = found
    record = {"digest": "0" * 64, "data": {"digest": "1" * 64}, **record_of(result, folder)}
    assert json.loads(json.dumps(record, allow_nan=False)) == record
    written = tables(record)
    assert all(f"| {name} " in written["models"] for name in folder.models)
    assert all(pair["model"] != pair["taken_for"] for pair in record["worst_pairs"])
