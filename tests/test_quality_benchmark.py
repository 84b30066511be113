"""The whole benchmark protocol on a small made-up folder, every figure against slow loops."""

import numpy as np
import pytest
from quality_oracle import KEEP, PLAN, ScoringEmbedder, Slow, resamples, split, write_folder
from sklearn.metrics import roc_auc_score

from benchmarks import pairs
from benchmarks.folder import BenchmarkFolder
from benchmarks.protocol import evaluate
from modelprint import metrics
from modelprint.gallery import Gallery


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    root = tmp_path_factory.mktemp("benchmark") / "made-up"
    write_folder(root)
    return root


@pytest.fixture(scope="module")
def figures(path):
    folder = BenchmarkFolder.open(path, least_images=5)
    return evaluate(ScoringEmbedder(), folder, PLAN)


@pytest.fixture(scope="module", params=PLAN.conditions)
def both(request, path, figures):
    return figures[request.param], Slow(path, request.param)


@pytest.fixture(scope="module")
def clean(path, figures):
    return figures["clean"], Slow(path, "clean")


def test_pair_figures_are_those_of_slow_loops(both):
    fast, slow = both
    for key, keep in KEEP.items():
        positives, negatives = split(slow.pairs(keep))
        truth = np.r_[np.ones(len(positives)), np.zeros(len(negatives))]
        expected = roc_auc_score(truth, np.r_[positives, negatives])
        assert fast[key].value == pytest.approx(expected, abs=1e-6), key
    expected = metrics.equal_error_rate(*split(slow.pairs(KEEP["auc"])))
    assert fast["eer"].value == pytest.approx(expected, abs=1e-6)


def test_identification_is_that_of_slow_loops(both):
    fast, slow = both
    for size in (4, 3, 1):
        hits = list(slow.hits(size))
        assert fast[f"top1_{size}"].value == pytest.approx(np.mean([hit for _, hit in hits]))
    subset = [hit for model, hit in slow.hits(4) if not model.startswith("other")]
    assert fast["subset_top1"].value == pytest.approx(np.mean(subset))


def test_oscr_is_that_of_slow_loops(both):
    fast, slow = both
    each = []
    for seed in PLAN.seeds:
        known, unknown = slow.open_set(seed)
        _, correct, scores = zip(*known, strict=True)
        each.append(metrics.oscr(scores, np.array(correct), [score for _, score in unknown]))
    assert fast["oscr"].value == pytest.approx(np.mean(each), abs=1e-6)


def test_the_cost_of_likelihood_ratios_is_that_of_slow_loops(both):
    fast, slow = both
    each = [split(slow.ratios(seed)) for seed in PLAN.seeds]
    assert fast["cllr"].value == pytest.approx(np.mean([metrics.cllr(*pair) for pair in each]))


def test_cost_intervals_resample_models(clean):
    fast, slow = clean
    draws = [list(slow.ratios(seed)) for seed in PLAN.seeds]
    values = []
    for times in resamples(slow.models):
        pairs = [split(rows, times) for rows in draws]
        known = all(positives and negatives for positives, negatives in pairs)
        values.append(np.mean([metrics.cllr(*pair) for pair in pairs]) if known else None)
    check_interval(fast["cllr"], values)


def test_decisions_are_those_of_a_gallery(clean):
    fast, slow = clean
    shares = {key: [] for key in ("fpr", "fpr_models", "fpr_photos", "matched", "mismatched")}
    for seed in PLAN.seeds:
        enrolled, out = slow.draw(seed)
        gallery = Gallery(ScoringEmbedder())
        for model in set(enrolled) - set(out):
            gallery.enroll(model, enrolled[model])
        left_out, photographs, right, wrong = [], [], [], []
        for f in slow.everything:
            label, source = gallery.identify(f).label, f.parent.name
            if source in gallery and f not in enrolled[source]:
                right.append(label == source)
                wrong.append(label not in (None, source))
            elif source not in gallery:
                (photographs if source == "real" else left_out).append(label is not None)
        shares["fpr"].append(np.mean(left_out + photographs))
        shares["fpr_models"].append(np.mean(left_out))
        shares["fpr_photos"].append(np.mean(photographs))
        shares["matched"].append(np.mean(right))
        shares["mismatched"].append(np.mean(wrong))
    for key, each in shares.items():
        assert fast[key].value == pytest.approx(np.mean(each)), key
        assert 0 < fast[key].value < 1, f"{key} is no test at {fast[key].value}"


def check_interval(figure, values):
    low, high = np.percentile([v for v in values if v is not None], [2.5, 97.5])
    assert figure.low == pytest.approx(low, abs=1e-6)
    assert figure.high == pytest.approx(high, abs=1e-6)
    assert figure.low < figure.value < figure.high


def test_pair_intervals_resample_models_with_all_their_images(clean):
    fast, slow = clean
    rows = slow.pairs(KEEP["auc"])
    aucs, eers = [], []
    for times in resamples(slow.models):
        positives, negatives = split(rows, times)
        if negatives:
            aucs.append(metrics.roc_auc(positives, negatives))
            eers.append(metrics.equal_error_rate(positives, negatives))
    check_interval(fast["auc"], aucs)
    check_interval(fast["eer"], eers)


def test_identification_intervals_resample_models(clean):
    fast, slow = clean
    hits = list(slow.hits(4))
    values = []
    for times in resamples(slow.models):
        drawn = [hit for model, hit in hits for _ in range(times[model])]
        values.append(np.mean(drawn))
    check_interval(fast["top1_4"], values)


def test_open_set_intervals_resample_models_and_each_photograph(clean):
    fast, slow = clean
    draws = [slow.open_set(seed) for seed in PLAN.seeds]
    values = []
    for times in resamples(slow.models, [f.stem for f in slow.photographs]):
        each = []
        for known, unknown in draws:
            drawn = [row[1:] for row in known for _ in range(times[row[0]])]
            strangers = [score for source, score in unknown for _ in range(times[source])]
            if drawn and strangers:
                correct, scores = zip(*drawn, strict=True)
                each.append(metrics.oscr(scores, np.array(correct), strangers))
        values.append(np.mean(each) if len(each) == len(draws) else None)
    check_interval(fast["oscr"], values)


def test_a_resample_weighs_a_pair_by_both_of_its_models(clean, monkeypatch):
    _, slow = clean
    times = dict(zip(slow.models, [3, 0, 1, 2], strict=True))
    weights = np.array([list(times.values())], dtype=float)
    monkeypatch.setattr(pairs, "measure", lambda _value, statistic, *_, **__: statistic(weights)[0])
    scores = np.array(
        [[slow.both_ways(slow.test[a], slow.reference[b]) for b in slow.files] for a in slow.files]
    )
    model_of = np.array([slow.models.index(f.parent.name) for f in slow.files])
    blocks = pairs.PairBlocks(scores, model_of, ~np.eye(len(scores), dtype=bool))
    drawn = split(slow.pairs(KEEP["auc"]), times)
    assert blocks.auc(resamples=1) == pytest.approx(metrics.roc_auc(*drawn))
    assert blocks.eer(resamples=1) == pytest.approx(metrics.equal_error_rate(*drawn))


def test_eer_interval_hardly_depends_on_the_number_of_thresholds(monkeypatch):
    generator = np.random.default_rng(8)
    model_of = np.arange(6).repeat(20)
    scores = generator.normal(size=(120, 120)) + (model_of[:, None] == model_of)
    blocks = pairs.PairBlocks(scores, model_of, ~np.eye(120, dtype=bool))
    coarse = blocks.eer(resamples=50)
    monkeypatch.setattr(pairs, "EER_THRESHOLDS", 10**6)
    exact = blocks.eer(resamples=50)
    assert coarse.value == exact.value
    assert (coarse.low, coarse.high) == pytest.approx((exact.low, exact.high), abs=1e-3)
