"""The card of the weights in the package says what was measured with them, and nothing else."""

import json
import re

import pytest

from benchmarks import card, pages
from benchmarks.failure_report import RECORD
from modelprint.errors import InvalidOptionError
from modelprint.extractor import FingerprintExtractor
from modelprint.hub import BUNDLED, CARD

HELD_OUT = {"top1": 0.9, "roc_auc": 0.8765, "eer": 0.1}


@pytest.fixture
def digest():
    return FingerprintExtractor.from_pretrained(device="cpu").digest


@pytest.fixture
def results(tmp_path, monkeypatch, digest):
    """Records of the repository, as if they were of the weights in the package."""
    quality = pages.read_record(pages.RESULTS / card.QUALITY)
    quality["embedders"]["modelprint"]["digest"] = digest
    failures = pages.read_record(pages.RESULTS / RECORD)
    failures["embedder"]["digest"] = digest
    for name, record in ((card.QUALITY, quality), (RECORD, failures)):
        (tmp_path / name).write_text(json.dumps(record))
    monkeypatch.setattr(pages, "RESULTS", tmp_path)
    monkeypatch.setattr(card, "PRETRAINED", tmp_path)
    (tmp_path / BUNDLED[0]).mkdir()
    (tmp_path / "figures.json").write_text(json.dumps(HELD_OUT))
    index = [{"source": "b", "licence": "MIT"}, *[{"source": "a", "licence": "CC0"}] * 3]
    (tmp_path / "index.json").write_text(json.dumps(index))
    return tmp_path


def written(results):
    options = ["--figures", str(results / "figures.json")]
    assert card.main([*options, "--photographs", str(results / "index.json")]) == 0
    return (results / BUNDLED[0] / CARD).read_text()


def test_a_card_says_data_use_figures_failures_and_limits(results, digest):
    text = written(results)
    assert re.findall("^## (.+)$", text, re.M) == [
        "Intended use",
        "Data",
        "Figures",
        "Failures",
        "Limits",
    ]
    assert digest in text
    assert "ROC-AUC 0.8765" in text
    quality = pages.read_record(results / card.QUALITY)
    top1 = quality["embedders"]["modelprint"]["figures"]["clean"]["top1_10"]
    shown = f"{top1['value']:.3f} [{top1['low']:.2f}, {top1['high']:.2f}]"
    assert re.search(rf"^\| top-1, 10 enrolled +\| {re.escape(shown)} ", text, re.M)
    models = pages.read_record(results / RECORD)["models"]
    worst = min(models, key=lambda name: models[name]["matched"])
    assert f"Missed most: {worst} ({models[worst]['matched']:.0%} matched)" in text
    assert re.findall(r"^\| (\d) +\| (\w) +\| (\w+) ", text, re.M) == [
        ("3", "a", "CC0"),
        ("1", "b", "MIT"),
    ]
    assert "Not measured" not in text


def test_a_card_is_filled_again_from_new_records(results, monkeypatch):
    text = written(results)
    stale = text.replace("Missed most", "Missed least")
    extractor = FingerprintExtractor.from_pretrained(device="cpu")
    extractor.card = stale
    monkeypatch.setattr(card.FingerprintExtractor, "from_pretrained", lambda *_, device: extractor)
    assert card.main([]) == 0
    assert (results / BUNDLED[0] / CARD).read_text() == text
    extractor.card = "# Of older weights\n"
    with pytest.raises(SystemExit):
        card.main([])


@pytest.mark.parametrize("name", [card.QUALITY, RECORD])
def test_figures_of_other_weights_are_refused(results, digest, name, capsys):
    record = (results / name).read_text().replace(digest, 64 * "0")
    (results / name).write_text(record)
    with pytest.raises(SystemExit):
        card.main(["--figures", str(results / "figures.json")])
    assert f"{name}: expected figures of the weights {digest[:12]}" in capsys.readouterr().err
    assert not (results / BUNDLED[0] / CARD).exists()


def test_an_index_that_is_none_is_refused(tmp_path):
    index = tmp_path / "index.json"
    index.write_text('[{"source": "a"}]')
    with pytest.raises(InvalidOptionError, match="'source' and 'licence'"):
        card.sources(index)


@pytest.mark.parametrize("weights", BUNDLED)
def test_a_card_in_the_package_is_that_of_its_weights_and_the_records(weights):
    """`python -m benchmarks.card` writes it."""
    extractor = FingerprintExtractor.from_pretrained(weights, device="cpu")
    card.check_digests(weights, extractor.digest)
    assert extractor.digest in extractor.card
    assert "<!-- table: real -->" in extractor.card
    assert pages.refreshed(extractor.card, card.tables(weights)) == extractor.card
