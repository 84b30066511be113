"""`gallery.health()`: planted drift, twins and thin enrolments are found, and only these."""

import json
import math

import numpy as np
import pytest
import torch
from fakes import DIM, CalibratedEmbedder, CosineEmbedder, filled_gallery, picture, pictures

from modelprint.gallery import Gallery
from modelprint.health import examining
from modelprint.health.examining import gallery_health
from modelprint.index import Index, Row
from modelprint.reference import Reference


@pytest.fixture(scope="module")
def gallery():
    """Beside three models of one enrolment: one steady, one that changed, twins, a single image."""
    gallery = filled_gallery()
    gallery.enroll("steady", pictures(11, range(6)))
    gallery.enroll("changed", pictures(12, range(6)))
    gallery.enroll("steady", pictures(11, range(6, 12)))
    gallery.enroll("changed", pictures(13, range(6, 12)))
    gallery.enroll("twin a", pictures(14, range(6)))
    gallery.enroll("twin b", pictures(14, range(6, 12)))
    gallery.enroll("single", pictures(15, range(1)))
    return gallery


@pytest.fixture(scope="module")
def health(gallery):
    return gallery.health()


def by_label(health):
    return {each.label: each for each in health.labels}


def test_drift_is_found_where_it_was_planted(health):
    assert health.drifted == ("changed",)
    labels = by_label(health)
    assert labels["changed"].drift.p_value < 0.005
    assert labels["changed"].drift.later_score < labels["changed"].drift.first_score - 3
    assert labels["steady"].drift.p_value > 0.05
    assert (labels["steady"].images, labels["steady"].enrolments) == (12, 2)
    assert labels["sdxl"].drift is None
    assert "changed: 12 images" in str(health)
    assert str(health).count("drifted (p 0.0") == 1


def test_drift_is_seldom_found_where_there_is_none():
    found = []
    for seed in range(20):
        gallery = Gallery(CalibratedEmbedder())
        for model in range(3):
            for first in (0, 5):
                images = pictures(100 + model, range(10 * seed + first, 10 * seed + first + 5))
                gallery.enroll(f"model {model}", images)
        found.append(bool(gallery.health().drifted))
    assert sum(found) <= 3


def test_twins_cannot_be_told_apart(health):
    (pair,) = health.look_alikes
    assert pair.labels == ("twin a", "twin b")
    assert pair.images == (6, 6)
    n, k = 12, sum(pair.confused)
    assert pair.p_value == pytest.approx(sum(math.comb(n, i) for i in range(k + 1)) / 2**n)
    assert pair.p_value > 0.05
    assert f"twin a and twin b cannot be told apart: {k} of 12 images" in str(health)
    labels = by_label(health)
    assert labels["twin a"].mistaken + labels["twin b"].mistaken == pytest.approx(k / 6)


def test_shares_are_those_of_a_gallery_without_the_image(gallery, health):
    fingerprints = gallery._index.fingerprints
    outcomes = {label: [] for label in gallery.labels}
    for left, row in enumerate(gallery._index.rows):
        keep = [i for i in range(len(fingerprints)) if i != left]
        without = Gallery(gallery.extractor)
        without._reference = Reference(gallery.extractor, gallery._index.only(keep))
        if row.label in without:
            model = {"sdxl": 1, "flux": 2, "pixart": 3, "steady": 11}.get(row.label)
            if model is None:
                continue
            answer = without.identify(picture(model, int(row.name.split()[1]) + _offset(row)))
            outcomes[row.label].append((answer.candidates[0].label, answer.label))
    for label in ("sdxl", "flux", "pixart", "steady"):
        each = by_label(health)[label]
        best, matched = zip(*outcomes[label], strict=True)
        assert each.recognised == np.mean([name == label for name in best])
        assert each.matched == np.mean([name == label for name in matched])
        assert each.mistaken == np.mean([name not in (label, None) for name in matched])


def _offset(row):
    """Names say the place within an enrolment; the second one of a model began with picture 6."""
    return 6 if row.label == "steady" and row.enrolment == 5 else 0


def test_a_family_is_as_good_as_its_member():
    gallery = filled_gallery()
    gallery.enroll("twin/a", pictures(14, range(6)))
    gallery.enroll("twin/b", pictures(14, range(6, 12)))
    labels = by_label(gallery.health())
    answers = [labels["twin/a"], labels["twin/b"]]
    for each in answers:
        assert each.matched + each.mistaken <= 1
    assert gallery.health().look_alikes[0].labels == ("twin/a", "twin/b")


def test_how_many_images_are_missing(health):
    assert health.missing == {"single": by_label(health)["single"].wanted - 1}
    assert by_label(health)["single"].recognised is None
    assert by_label(health)["single"].cohesion is None
    assert "single: 1 image, " in str(health)


@pytest.mark.parametrize(
    ("alike", "wanted"), [(0.21, 16), (0.41, 6), (0.52, 4), (0.9, 3), (0.01, 100)]
)
def test_less_alike_images_take_more_of_them(alike, wanted):
    """Images with this cosine, and a model they have nothing in common with: 4 (1 - c) / c."""
    n = 8
    basis = torch.eye(DIM)
    own = alike**0.5 * basis[0] + (1 - alike) ** 0.5 * basis[1 : n + 1]
    other = basis[n + 1 : n + 2].repeat(3, 1)
    rows = [Row("m", f"{i:064x}", str(i)) for i in range(n)]
    rows += [Row("other", f"{i:064x}", str(i)) for i in range(n, n + 3)]
    fingerprints = torch.cat([own, other])
    index = Index(fingerprints, tuple(rows), fingerprints)
    health = gallery_health(Reference(CalibratedEmbedder(), index))
    assert by_label(health)["m"].wanted == wanted
    assert by_label(health)["m"].missing == max(wanted - n, 0)
    assert by_label(health)["other"].wanted == examining.FEWEST_IMAGES


def test_what_all_models_have_in_common_does_not_count():
    """Cosines of 0.5 and more within each model, but as much between them."""
    generator = np.random.default_rng(0)
    rows = generator.normal(size=(24, DIM)) + 5 * np.eye(DIM)[0]
    rows = torch.nn.functional.normalize(torch.from_numpy(rows), dim=1).float()
    names = [Row(f"m{i % 2}", f"{i:064x}", str(i)) for i in range(24)]
    health = gallery_health(Reference(CalibratedEmbedder(), Index(rows, tuple(names), rows)))
    assert all(each.wanted > 12 for each in health.labels)


def test_a_new_gallery_asks_for_the_usual_number():
    gallery = Gallery(CalibratedEmbedder())
    gallery.enroll("sdxl", pictures(1, range(2)))
    (only,) = gallery.health().labels
    assert (only.wanted, only.missing) == (10, 8)
    assert only.recognised == 1


def test_without_calibration_shares_are_of_the_best_alone():
    gallery = Gallery(CosineEmbedder())
    for model in (1, 2):
        gallery.enroll(f"model {model}", pictures(model, range(5)))
    health = gallery.health()
    assert health.fpr is None
    assert health.calibration_source is None
    for each in health.labels:
        assert (each.recognised, each.matched, each.mistaken) == (1, None, None)
        assert each.cohesion > 0.5
    assert "matched" not in str(health)


def test_at_a_rate_that_the_calibration_cannot_give_nothing_matches(gallery, health):
    strict = gallery.health(fpr=1e-4)
    assert (health.fpr, strict.fpr) == (0.01, 1e-4)
    assert {each.matched for each in strict.labels} == {0, None}
    assert [each.recognised for each in strict.labels] == [
        each.recognised for each in health.labels
    ]


def test_the_record_is_plain(health):
    record = health.to_dict()
    assert json.loads(json.dumps(record)) == record
    assert record["kind"] == "health"
    assert record["labels"][3]["label"] == "steady"
    assert record["labels"][3]["drift"]["later_images"] == 6
    assert record["look_alikes"][0]["labels"] == ["twin a", "twin b"]
