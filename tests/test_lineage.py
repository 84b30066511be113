import numpy as np
import pytest
from fakes import LikelyEmbedder, filled_gallery, picture, pictures, sibling_picture

from modelprint.errors import InvalidOptionError, UnknownLabelError
from modelprint.gallery import Gallery
from modelprint.lineage import check_lineage, check_path, families, narrowest


def siblings(model, which, numbers, apart=4.0):
    return [sibling_picture(model, which, i, apart) for i in numbers]


# Paths


@pytest.mark.parametrize("label", ["sdxl", "sdxl/lora-x", "a b/c", "1/2/3/4/5/6/7/8"])
def test_names_and_paths_are_labels(label):
    check_path(label)


@pytest.mark.parametrize("label", ["/", "/a", "a/", "a//b", "a / b", "a/ b", "1/2/3/4/5/6/7/8/9"])
def test_what_is_no_path_is_refused(label):
    with pytest.raises(InvalidOptionError, match="expected a path such as"):
        check_path(label)


@pytest.mark.parametrize(
    "labels",
    [["a/a"], ["a/b/a"], ["a/b", "b/a"], ["x", "a/b", "b/c", "c/a"], ["sd/x/y", "y/x"]],
)
def test_labels_that_contradict_each_other_are_refused(labels):
    with pytest.raises(InvalidOptionError, match=r"contradict each other.*above"):
        check_lineage(labels)


def test_one_name_in_two_places_is_no_contradiction():
    check_lineage(["sd/lora", "sdxl/lora", "lora", "sd", "sd/lora/v2"])


def test_a_family_has_at_least_two_members():
    assert families(["sd", "flux/dev"]) == ()
    assert families(["sd", "sd/a", "flux"]) == ("sd",)
    assert families(["sd/x/a", "sdxl/c", "sd/x/b", "sd/y"]) == ("sd", "sd/x")


def test_the_narrowest_path_has_enough_of_the_share():
    shares = {"sd/x/a": 0.5, "sd/x/b": 0.2, "sd/y": 0.2, "flux": 0.1}
    expected = {0.4: "sd/x/a", 0.6: "sd/x", 0.8: "sd", 0.95: None}
    for least, path in expected.items():
        assert narrowest("sd/x/a", shares, least) == path


# Galleries


@pytest.fixture
def gallery():
    """Two siblings that are hard to tell apart, one that is not, and a stranger to them."""
    gallery = Gallery(LikelyEmbedder())
    gallery.enroll("sd/a", siblings(1, 0, range(4), apart=1))
    gallery.enroll("sd/b", siblings(1, 1, range(4), apart=1))
    gallery.enroll("sd/far", siblings(1, 2, range(4), apart=14))
    gallery.enroll("flux", pictures(2, range(4)))
    return gallery


def test_siblings_are_matched_as_a_family_and_others_by_name(gallery):
    answers = [gallery.identify(image) for image in siblings(1, 0, range(50, 80), apart=1)]
    assert {answer.decision for answer in answers} == {"match"}
    by_family = [answer for answer in answers if answer.level == "family"]
    # Naming one of them would be a coin toss, though the scores are often far apart.
    assert len(by_family) >= 25
    leads = [a.candidates[0].llr - a.candidates[1].llr for a in by_family]
    assert max(leads) > 1.5
    for answer in by_family:
        assert (answer.label, answer.reason_code) == ("sd", "family_match")
        assert "uncertain between sd/" in answer.reason
        assert str(answer).startswith("<array>: match sd family (member uncertain between ")
    for image, label in ((siblings(1, 2, [50], 14)[0], "sd/far"), (picture(2, 50), "flux")):
        answer = gallery.identify(image)
        assert (answer.label, answer.level, answer.reason_code) == (label, "model", "match")


def test_shares_and_ratios_are_in_the_answer(gallery):
    answer = gallery.identify(siblings(1, 0, [50], apart=1)[0])
    assert [c.label for c in answer.families] == ["sd"]
    assert sum(c.share for c in answer.candidates) == pytest.approx(1)
    assert all(c.llr is not None for c in (*answer.candidates, *answer.families))
    assert answer.families[0].share is None
    assert answer.calibration_source.startswith("random directions; likelihood ratios by")


def test_shares_are_those_of_likelihood_ratios_where_enrolled_images_say_nothing():
    gallery = Gallery(LikelyEmbedder())
    for model in range(3):
        gallery.enroll(f"m{model}", siblings(1, model, [0], apart=6))
    answer = gallery.identify(siblings(1, 0, [50], apart=6)[0])
    weights = [gallery.calibration.log_odds(c.score, 1, 64) for c in answer.candidates]
    odds = np.exp(np.array(weights) - max(weights))
    assert [c.share for c in answer.candidates] == pytest.approx(list(odds / odds.sum()))
    assert 0.01 < answer.candidates[1].share < 0.5


def test_two_models_without_a_common_ancestor_may_be_too_close():
    gallery = Gallery(LikelyEmbedder())
    gallery.enroll("one", siblings(1, 0, range(4), apart=1))
    gallery.enroll("two", siblings(1, 1, range(4), apart=1))
    answers = [gallery.identify(image) for image in siblings(1, 0, range(50, 70), apart=1)]
    close = [answer for answer in answers if answer.decision == "inconclusive"]
    assert len(close) > 5
    assert {(a.reason_code, a.label, a.level) for a in close} == {("too_close", None, None)}


def test_an_image_of_a_sibling_that_is_not_enrolled_is_related():
    gallery = Gallery(LikelyEmbedder())
    for sibling in range(3):
        gallery.enroll(f"sd/{sibling}", siblings(1, sibling, range(4), apart=14))
    gallery.enroll("flux", pictures(2, range(4)))
    answers = [gallery.identify(image) for image in siblings(1, 9, range(30), apart=14)]
    related = [answer for answer in answers if answer.related is not None]
    assert len(related) >= 8
    for answer in related:
        assert answer.decision == "unknown"
        assert f"related to {answer.related}" in answer.reason
    of_the_family = [answer for answer in related if answer.related.split("/")[0] == "sd"]
    assert len(of_the_family) >= 0.8 * len(related)
    assert any(answer.related == "sd" for answer in related)


def test_a_family_is_verified_as_a_whole(gallery):
    image = siblings(1, 0, [50], apart=1)[0]
    answer = gallery.verify(image, "sd")
    assert (answer.decision, answer.reason_code) == ("match", "match")
    assert (answer.claim, answer.label) == ("made by the family sd", "sd")
    member = gallery.verify(image, "sd/a")
    assert (member.claim, member.decision) == ("made by sd/a", "match")
    assert member.llr is not None
    # Three members and the family as one: four chances, one p-value.
    found = gallery.identify(image)
    best = min(c.p_value for c in (*found.candidates, *found.families) if c.label != "flux")
    assert answer.p_value == pytest.approx(1 - (1 - best) ** 4)
    assert answer.llr is None
    assert gallery.verify(picture(77, 0), "sd").decision == "no_match"
    with pytest.raises(UnknownLabelError):
        gallery.verify(image, "s")


def test_a_path_above_a_single_model_is_that_model(gallery):
    gallery.enroll("pixart/sigma", pictures(3, range(4)))
    one, other = (gallery.verify(picture(3, 9), label) for label in ("pixart", "pixart/sigma"))
    assert one.p_value == other.p_value
    assert one.decision == other.decision == "match"


def test_strangers_get_a_match_or_family_at_the_rate_that_was_asked_for():
    gallery = Gallery(LikelyEmbedder())
    for model in range(4):
        for sibling in range(2):
            gallery.enroll(f"m{model}/{sibling}", siblings(model, sibling, range(4)))
    strangers = (picture(1000 + i, 0) for i in range(600))
    answers = list(gallery.identify_many(strangers, fpr=0.04))
    matched = np.mean([answer.decision == "match" for answer in answers])
    related = np.mean([answer.decision == "match" or bool(answer.related) for answer in answers])
    # Siblings are alike, so that eight of them are fewer chances than eight strangers would be.
    assert 0.005 < matched <= 0.04 + 0.02
    assert 0.1 < related <= 0.4 + 0.05
    assert any(answer.level == "family" for answer in answers)


@pytest.mark.parametrize("label", ["sdxl/sdxl", "a//b", "x / y", "sdxl/flux/sdxl"])
def test_a_contradictory_label_leaves_the_gallery_as_it_was(label):
    gallery = filled_gallery()
    before, embedded = gallery.digest, len(gallery.extractor.embedded)
    with pytest.raises(InvalidOptionError):
        gallery.enroll(label, pictures(9, range(2)))
    assert gallery.digest == before
    assert len(gallery.extractor.embedded) == embedded  # found out before any work


def test_galleries_that_contradict_each_other_are_not_merged():
    one, two = Gallery(LikelyEmbedder()), Gallery(LikelyEmbedder())
    one.enroll("a/b", pictures(1, range(2)))
    two.enroll("b/a", pictures(2, range(2)))
    before = one.digest
    with pytest.raises(InvalidOptionError, match="contradict"):
        one.merge(two)
    assert one.digest == before
