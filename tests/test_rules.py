import pytest

from modelprint.answers.rules import (
    corrected_p,
    decide_claim,
    decide_identity,
    largest_p,
    related_fpr,
)
from modelprint.answers.usability import Problem
from modelprint.decision import Candidate

OK = {"fpr": 0.01, "finest_p": 1e-5}


def gallery_of(models, best_p):
    others = [Candidate(f"model {i}", 1.0, 0.5) for i in range(models - 1)]
    return [Candidate("best", 9.0, best_p), *others]


def shared(shares, p_value=1e-6):
    """Candidates that are all alike enough, with these shares."""
    ordered = sorted(shares.items(), key=lambda item: -item[1])
    return [Candidate(label, 9.0, p_value, 5.0, share) for label, share in ordered]


@pytest.mark.parametrize("p", [1.0, 0.5, 0.01, 1e-4])
@pytest.mark.parametrize("n", [1, 2, 20])
def test_correction_is_the_chance_that_any_of_n_is_as_extreme(p, n):
    none_of_them = 1.0
    for _ in range(n):
        none_of_them *= 1 - p
    assert corrected_p(p, n) == pytest.approx(1 - none_of_them, rel=1e-9)


def test_correction_keeps_digits_that_plain_arithmetic_loses():
    assert corrected_p(1e-20, 1000) == pytest.approx(1e-17)


@pytest.mark.parametrize("n", [1, 7, 1000])
def test_the_largest_p_is_the_one_that_is_just_accepted(n):
    p = largest_p(0.01, n)
    assert corrected_p(p, n) == pytest.approx(0.01, rel=1e-9)
    assert decide_claim(p * 0.999999, **OK, comparisons=n).decision == "match"
    assert decide_claim(p * 1.000001, **OK, comparisons=n).decision == "no_match"


def test_a_match_needs_more_evidence_in_a_larger_gallery():
    assert decide_identity(gallery_of(1, 0.009), **OK).decision == "match"
    assert decide_identity(gallery_of(2, 0.009), **OK).decision == "unknown"
    per_model = 1 - (1 - 0.01) ** (1 / 20)
    assert decide_identity(gallery_of(20, per_model * 0.999), **OK).decision == "match"
    assert decide_identity(gallery_of(20, per_model * 1.001), **OK).decision == "unknown"


def test_a_p_value_equal_to_the_rate_passes():
    assert decide_claim(0.01, **OK)[:2] == ("match", "match")
    assert decide_claim(0.0101, **OK)[:2] == ("no_match", "not_similar")


def test_nothing_is_decided_without_a_calibration():
    uncalibrated = {**OK, "fpr": None}
    verdict = decide_identity(gallery_of(3, None), **uncalibrated)
    assert verdict[:3] == ("inconclusive", "not_calibrated", "not calibrated")
    assert decide_claim(None, **OK)[:2] == ("inconclusive", "not_calibrated")


def test_nothing_is_decided_about_an_image_that_cannot_be_judged():
    flat = Problem("too_flat", "nearly flat")
    verdict = decide_identity(gallery_of(3, 1e-4), **OK, unusable=flat)
    assert verdict == ("inconclusive", "too_flat", "nearly flat", None, None, None)
    assert decide_claim(1e-4, **OK, unusable=flat) == ("inconclusive", "too_flat", "nearly flat")


def test_a_calibration_too_coarse_for_the_gallery_says_so_instead_of_unknown():
    coarse = {**OK, "finest_p": 1e-3}
    verdict = decide_identity(gallery_of(100, 1e-3), **coarse)
    assert verdict[:2] == ("inconclusive", "calibration_too_coarse")
    assert "too coarse for 100 enrolled" in verdict.reason
    # Away from the floor the image is to blame, and at the floor of a small gallery it matches.
    assert decide_identity(gallery_of(100, 2e-3), **coarse).decision == "unknown"
    assert decide_identity(gallery_of(5, 1e-3), **coarse).decision == "match"
    assert decide_claim(1e-3, **{**coarse, "fpr": 1e-4}).decision == "inconclusive"


def test_unknown_names_the_nearest_model_but_does_not_claim_it():
    verdict = decide_identity(gallery_of(3, 0.2), **OK)
    assert verdict[:2] == ("unknown", "none_similar")
    assert verdict.label is verdict.level is verdict.related is None
    assert verdict.reason.startswith("best is the nearest")


# Shares


@pytest.mark.parametrize(
    ("shares", "expected"),
    [
        ({"sdxl": 0.8, "flux": 0.2}, ("match", "match", "sdxl", "model")),
        ({"sdxl": 0.79, "flux": 0.21}, ("inconclusive", "too_close", None, None)),
        ({"sd/a": 0.5, "sd/b": 0.4, "flux": 0.1}, ("match", "family_match", "sd", "family")),
        # The base model enrolled by itself, and a fine-tune below it.
        ({"sd": 0.5, "sd/b": 0.45, "flux": 0.05}, ("match", "family_match", "sd", "family")),
        ({"sd": 0.9, "sd/b": 0.1}, ("match", "match", "sd", "model")),
        # The narrowest family that has enough, not the widest.
        (
            {"sd/x/a": 0.5, "sd/x/b": 0.4, "sd/y": 0.1},
            ("match", "family_match", "sd/x", "family"),
        ),
        (
            {"sd/x/a": 0.4, "sd/x/b": 0.35, "sd/y": 0.25},
            ("match", "family_match", "sd", "family"),
        ),
        # A family that has enough, but not of the best candidate, is no answer.
        (
            {"flux": 0.18, **{f"sd/{i}": 0.082 for i in range(10)}},
            ("inconclusive", "too_close", None, None),
        ),
        # Names that merely begin alike are no family.
        ({"sd": 0.5, "sdxl": 0.5}, ("inconclusive", "too_close", None, None)),
    ],
)
def test_the_answer_is_at_the_level_that_the_evidence_supports(shares, expected):
    verdict = decide_identity(shared(shares), **OK)
    assert (verdict.decision, verdict.reason_code, verdict.label, verdict.level) == expected


def test_an_uncertain_answer_names_the_rivals_and_their_shares():
    verdict = decide_identity(shared({"sd/a": 0.5, "sd/b": 0.4, "flux": 0.1}), **OK)
    assert "uncertain between sd/a (50 %) and sd/b (40 %)" in verdict.reason
    verdict = decide_identity(shared({"sd/a": 0.5, "flux": 0.5}), **OK)
    assert "uncertain between sd/a (50 %) and flux (50 %)" in verdict.reason


def test_shares_never_make_a_match_of_what_is_not_accepted():
    for shares in ({"sd/a": 1.0, "flux": 0.0}, {"sd/a": 0.5, "sd/b": 0.5}):
        assert decide_identity(shared(shares, p_value=0.02), **OK).decision == "unknown"


# Related


def test_the_rate_of_related_answers_is_ten_times_as_large_and_at_most_a_half():
    assert related_fpr(0.01) == pytest.approx(0.1)
    assert related_fpr(0.2) == 0.5


def test_what_is_too_alike_for_most_strangers_is_related():
    def related(p_value, families=(), fpr=0.01):
        verdict = decide_identity(gallery_of(1, p_value), families, **{**OK, "fpr": fpr})
        assert verdict.decision == "unknown"
        return verdict.related

    assert related(0.09) == "best"
    assert related(0.11) is None
    assert related(0.55, fpr=0.5) is None
    # A family is one more comparison.
    far = [Candidate("sd", 0.0, 0.9)]
    assert related(0.05, far) == "best"
    assert related(0.09, far) is None
    assert related(0.9, [Candidate("sd", 8.0, 0.04)]) == "sd"


def test_of_a_model_and_its_family_the_family_is_named():
    def related(model_p, family_p, wider_p=0.9):
        candidates = [Candidate("sd/x/a", 5.0, model_p), Candidate("sd/x/b", 1.0, 0.9)]
        families = [Candidate("sd/x", 4.0, family_p), Candidate("sd", 3.0, wider_p)]
        return decide_identity(candidates, families, **OK).related

    assert related(0.006, 0.02) == "sd/x"
    assert related(0.02, 0.006) == "sd/x"
    assert related(0.006, 0.02, 0.01) == "sd/x"
    assert related(0.006, 0.5) == "sd/x/a"
    assert related(0.006, 0.5, 0.01) == "sd"
