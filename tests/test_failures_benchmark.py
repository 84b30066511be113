"""Failures by model and pair, against `Gallery.identify` and plain counting; and the pages."""

import json
import re
from collections import Counter

import numpy as np
import pytest
from fakes import FakeExtractor, picture
from PIL import Image
from scipy.stats import spearmanr
from sklearn.metrics import roc_auc_score

from benchmarks import failure_report, failures, pages
from benchmarks.draws import Draw
from benchmarks.folder import BenchmarkFolder
from benchmarks.residual_spread import Spectra, rank_correlation
from modelprint.features.residual_spectrum import model_spectrum
from modelprint.gallery import Gallery
from modelprint.images import load_image

MODELS = {"a": 1, "b": 2, "c": 3, "d": 8, "e": 9, "twin": 9}
ENROLLED = 4


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    """Six models: "c" makes two odd images, "d" two flat ones, and the last two are one model."""
    root = tmp_path_factory.mktemp("benchmark") / "made-up"
    files = {
        f"images/{name}/{i:02}.png": (m, i + 20 * (name == "twin"))
        for name, m in MODELS.items()
        for i in range(7)
    } | {f"real/{i:02}.png": (60 + i, 0) for i in range(3)}
    files |= {f"images/c/{i:02}.png": (100 + i, 0) for i in (5, 6)}
    for name, (model, number) in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(model, number)).save(root / name)
    for grey in (90, 150):
        Image.new("RGB", (96, 96), (grey, grey, grey)).save(root / f"images/d/flat-{grey}.png")
    return root


@pytest.fixture(scope="module")
def out(path, tmp_path_factory):
    out = tmp_path_factory.mktemp("failures") / "out"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(failures, "FingerprintExtractor", FakeExtractor)
        options = ["--data", str(path), "--enrolled", str(ENROLLED), "--out", str(out)]
        assert failures.main(options) == 0
    return out


@pytest.fixture(scope="module")
def record(out):
    return json.loads((out / "failures.json").read_text())


@pytest.fixture(scope="module")
def folder(path):
    return BenchmarkFolder.open(path, least_images=ENROLLED + 1)


def asked(folder, enrolled, images, draw):
    """(model, answer) of images, by the gallery that users have."""
    gallery = Gallery(FakeExtractor())
    for m in enrolled:
        gallery.enroll(folder.models[m], [folder.files[i] for i in draw.enrolled[m]])
    for i in images:
        yield int(folder.model_of[i]), gallery.identify(folder.files[i])


def test_outcomes_are_those_of_a_gallery(record, folder):
    names = (*folder.models, "photographs")
    best, matched, known, missed, given, strangers = (Counter() for _ in range(6))
    for seed in range(5):
        draw = Draw.of(folder, enrolled=ENROLLED, seed=seed)
        tested = [i for i in range(len(folder.files)) if i not in draw.enrolled]
        for m, answer in asked(folder, range(6), tested, draw):
            best[names[m], answer.candidates[0].label] += 1
        left_in = np.flatnonzero(~draw.left_out)
        hidden = [i for i, m in enumerate(folder.model_of) if m not in left_in]
        for m, answer in asked(folder, left_in, sorted({*tested, *hidden}), draw):
            name = names[m]
            (known if m in left_in else strangers)[name] += 1
            if m not in left_in:
                given[name, answer.label] += answer.label is not None
            elif answer.label is None:
                missed[name, answer.reason_code] += 1
            else:
                matched[name, answer.label] += 1
    confusion = record["confusion"]
    assert confusion["origins"] == [*names]
    assert {
        (name, other): count
        for name, row in zip(names, confusion["answers"], strict=True)
        for other, count in zip(confusion["candidates"], row, strict=True)
        if count
    } == dict(best)
    for name in folder.models:
        row = record["models"][name]
        total = sum(count for (model, _), count in best.items() if model == name)
        assert row["top1"] == best[name, name] / total
        assert row["matched"] == matched[name, name] / known[name]
        wrong = sum(n for (model, other), n in matched.items() if model == name != other)
        assert row["mismatched"] == wrong / known[name]
        assert row["not_matched"] == {c: n for (model, c), n in missed.items() if model == name}
    assert {
        (r["model"], r["given_to"]): (r["answers"], r["of"]) for r in record["false_matches"]
    } == {
        (name, other): (count, strangers[name]) for (name, other), count in given.items() if count
    }
    assert sum(matched.values()) > 20
    assert {code for _, code in missed} == {"none_similar", "too_flat", "too_close"}
    assert record["false_matches"]
    assert {r["model"] for r in record["confused"][:2]} == {"e", "twin"}


def test_verification_is_that_of_all_pairs(record, folder):
    extractor = FakeExtractor()
    images = [i for i, m in enumerate(folder.model_of) if m >= 0]
    rows = extractor.embed([load_image(folder.files[i]) for i in images]).double().numpy()
    scores, model = rows @ rows.T, folder.model_of[images]
    for m, name in enumerate(folder.models):
        pairs = [
            (model[j] == m, scores[i, j])
            for i in np.flatnonzero(model == m)
            for j in range(len(model))
            if i != j
        ]
        truth, values = zip(*pairs, strict=True)
        expected = roc_auc_score(truth, values)
        assert record["models"][name]["auc"] == pytest.approx(expected, abs=1e-6)


def test_spectra_are_those_of_the_models_images(record, folder):
    spectra = Spectra.of(folder)
    one = [load_image(folder.files[0]).pixels]
    assert spectra.images[0] == pytest.approx(model_spectrum(one), abs=1e-4)
    rows = {name: spectra.images[folder.model_of == m] for m, name in enumerate(folder.models)}
    means = {name: values.mean(0) for name, values in rows.items()}
    for name, row in record["models"].items():
        spread = np.sqrt(np.mean((rows[name] - means[name]) ** 2))
        assert row["spread_db"] == pytest.approx(spread)
        others = [np.sqrt(np.mean((means[o] - means[name]) ** 2)) for o in means if o != name]
        assert row["nearest_db"] == pytest.approx(min(others))


def test_rank_correlation_is_spearmans():
    draws = np.random.default_rng(0)
    a, b = draws.integers(0, 6, 20).astype(float), draws.normal(size=20)
    expected = spearmanr(a, b).statistic
    assert rank_correlation(a, b) == pytest.approx(expected)
    assert rank_correlation(np.append(a, np.nan), np.append(b, 9.0)) == pytest.approx(expected)
    assert rank_correlation(a[:2], b[:2]) is None
    assert rank_correlation(np.ones(20), b) is None


def test_pictures_are_drawn(out):
    for name in ("failures-confusion.png", "failures-spectra.png"):
        pixels = np.asarray(Image.open(out / name).convert("L"))
        assert min(pixels.shape) > 300
        assert 0.005 < (pixels < 200).mean() < 0.7


def test_the_page_says_what_was_measured():
    """`python -m benchmarks.failures --docs` writes it."""
    page = failures.PAGE.read_text("utf-8")
    assert pages.refreshed(page, failure_report.TABLES) == page
    assert set(failure_report.TABLES) == set(re.findall(r"<!-- table: (\w+) -->", page))
    record = pages.read_record(pages.RESULTS / failure_report.RECORD)
    assert f"`{record['embedder']['digest'][:12]}`" in page
    assert all(f"| {name} " in page for name in record["models"])


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--out", "x", "--enrolled", "0"], "--enrolled: expected 1 or more"),
        (["--out", "x", "--enrolled", "40"], "expected 41 images"),
        (["--out", "x", "--docs"], "not allowed with"),
        ([], "one of the arguments"),
    ],
)
def test_bad_options_are_refused_in_one_line(path, extra, says, capsys):
    with pytest.raises(SystemExit) as stopped:
        failures.main(["--data", str(path), *extra])
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err
