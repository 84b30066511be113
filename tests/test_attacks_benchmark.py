"""The attack benchmark: what each attack does to pixels, and how success is counted."""

import io
import json

import numpy as np
import pytest
import torch
from PIL import Image
from tiny import extractor as tiny_extractor
from tiny import weights

from benchmarks import attack_methods as methods
from benchmarks import attacks
from benchmarks.attack_report import Outcome, figures, table
from benchmarks.attack_subjects import from_folder, synthetic
from modelprint.extractor import FingerprintExtractor
from modelprint.synthesis.pictures import draw_pictures

PICTURES = draw_pictures(4, seed=5, size_px=96)


def away(pixels, other):
    return int((pixels.int() - other.int()).abs().max())


@pytest.mark.parametrize("attack", [methods.launder, methods.renoise])
def test_black_box_attacks_keep_the_picture_and_are_the_same_in_every_run(attack):
    pixels = PICTURES[0]
    attacked = attack(pixels, "model/0")
    assert (attacked.shape, attacked.dtype) == (pixels.shape, torch.uint8)
    assert 20 < methods.psnr_db(attacked, pixels) < 50
    assert torch.equal(attack(pixels, "model/0"), attacked)


def test_noise_is_drawn_by_the_image():
    assert away(methods.renoise(PICTURES[0], "a"), methods.renoise(PICTURES[0], "b")) > 0


def test_a_spectrum_that_is_as_wanted_stays_as_it_is():
    power = methods.mean_power(list(PICTURES))
    assert power.shape == (3, methods.TAPS, methods.TAPS)
    assert away(methods.reshape_spectrum(PICTURES[0], power, power), PICTURES[0]) == 0


def test_a_spectrum_becomes_what_is_wanted():
    """High frequencies are raised fourfold in power; low ones, which hold the content, stay."""
    own = methods.mean_power(list(PICTURES))
    frequency = torch.fft.fftfreq(methods.TAPS)
    high = torch.hypot(frequency[:, None], frequency) > 0.25
    wanted = torch.where(high, 4 * own, own)
    shaped = methods.mean_power([methods.reshape_spectrum(p, own, wanted) for p in PICTURES])
    ratio = (shaped / own).mean(0)
    well_above = torch.hypot(frequency[:, None], frequency) > 0.35
    assert 3 < ratio[well_above].median() < 4.5
    assert 0.8 < ratio[torch.hypot(frequency[:, None], frequency) < 0.15].median() < 1.2


@pytest.mark.parametrize("forgery", [True, False])
def test_the_gradient_moves_scores_and_no_pixel_by_more_than_a_grey_level(forgery):
    extractor = tiny_extractor()
    pixels = PICTURES[3, :, :64, :64].contiguous()
    own, target = extractor.embed(PICTURES[1:2]), extractor.embed(PICTURES[2:3])
    attacked = methods.follow_gradient(
        pixels, extractor, away_from=own, towards=target if forgery else None
    )
    assert away(attacked, pixels) == 1

    def gained(image):
        score = extractor.compare(extractor.embed(image), torch.cat([own, target]))[0]
        return float(score[1] - score[0] if forgery else -score[0])

    assert gained(attacked) > gained(pixels) + 0.1


def test_psnr_is_that_of_the_definition():
    a = np.random.default_rng(0).integers(0, 256, (3, 8, 8))
    b = np.random.default_rng(1).integers(0, 256, (3, 8, 8))
    expected = 20 * np.log10(255 / np.sqrt(np.mean((a - b) ** 2)))
    found = methods.psnr_db(*(torch.from_numpy(x.astype(np.uint8)) for x in (a, b)))
    assert found == pytest.approx(expected)


def outcome(model, success, after="unknown"):
    return Outcome(model, "a", after, 9.0, 1.0, 40.0 + model, success)


def test_only_what_was_matched_can_be_removed():
    row = figures(
        [
            outcome(0, True),
            outcome(0, False, "a"),
            outcome(1, True, "inconclusive"),
            outcome(1, None),
        ],
        forgery=False,
    )
    assert (row["images"], row["successes"]) == (3, 2)
    assert (row["then_unknown"], row["then_inconclusive"]) == (1, 1)
    assert row["interval"] == [0.5, 1.0]  # a resample of two models: 1 of 2, 2 of 3 or 1 of 1
    assert (row["psnr_db_mean"], row["psnr_db_least"]) == (40.5, 40.0)
    nothing = figures([outcome(0, None)], forgery=False)
    assert nothing["interval"] is None
    text = table(
        {"attacks": {"x": {"attacker_has": "y", **row}, "z": {"attacker_has": "", **nothing}}}
    )
    assert "2 of 3" in text
    assert "0.67 [0.50, 1.00]" in text
    assert "0 of 0" in text


def test_subjects_of_every_kind_are_apart():
    subjects = synthetic(2, 2, 1, 64)
    assert [len(images) for images in subjects.enrolled] == [2, 2]
    assert [len(images) for images in subjects.attacked] == [1, 1]
    assert subjects.names[0] != subjects.names[1]
    everything = [*subjects.enrolled[0], *subjects.attacked[0], *subjects.photographs]
    assert len({image.numpy().tobytes() for image in everything}) == len(everything)


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Two models of three images, and two photographs, all of noise."""
    root = tmp_path_factory.mktemp("data")
    generator = np.random.default_rng(0)
    for name, count in (("images/a", 3), ("images/b", 3), ("real", 2)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            pixels = generator.integers(0, 256, (64, 80, 3), np.uint8)
            Image.fromarray(pixels).save(root / name / f"{number}.png")
    return root


def test_a_folder_gives_every_image_one_use(folder):
    subjects = from_folder(folder, 2, 1)
    assert subjects.names == ["a", "b"]
    seen = [*subjects.enrolled[0], *subjects.attacked[0], *subjects.enrolled[1]]
    assert len({image.numpy().tobytes() for image in seen}) == 5
    assert len(subjects.photographs) == 2


def test_the_command_attacks_and_records(folder, tmp_path, capsys):
    # Two numbers to a view are too few to follow: an image may resist.
    larger = weights(dim=64)
    FingerprintExtractor.from_weights(larger, device="cpu").save_pretrained(tmp_path / "w")
    arguments = ["--data", folder, "--weights", tmp_path / "w", "--enrolled", 2, "--attacked", 1]
    path = tmp_path / "figures.json"
    assert attacks.main([*map(str, arguments), "--json", str(path), "--device", "cpu"]) == 0
    shown = capsys.readouterr().out
    record = json.loads(path.read_text("utf-8"))
    assert list(record["attacks"]) == [
        *("launder", "re-noise", "spectrum to photographs", "gradient away"),
        *("spectrum to target", "gradient to target"),
    ]
    assert all(name in shown for name in record["attacks"])
    for name, row in record["attacks"].items():
        outcomes = record["outcomes"][name]
        assert len(outcomes) == 2
        assert row["successes"] == sum(bool(each["success"]) for each in outcomes)
        forged = row["aim"] == "forgery"
        targets = ["b", "a"] if forged else ["a", "b"]
        for each, target in zip(outcomes, targets, strict=True):
            assert each["success"] in ([each["after"] == target] if forged else [None, True, False])
    removed = record["outcomes"]["gradient away"]
    assert all(each["score_after"] < each["score_before"] for each in removed)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--models", "1"], "--models of 2"),
        (["--data", "missing"], "expected a folder"),
        (["--attacked", "0"], "--attacked of 1"),
    ],
)
def test_wrong_arguments_are_named(arguments, message, capsys, tmp_path):
    FingerprintExtractor.from_weights(weights(), device="cpu").save_pretrained(tmp_path / "w")
    with pytest.raises(SystemExit):
        attacks.main([*arguments, "--weights", str(tmp_path / "w")])
    assert message in capsys.readouterr().err


def test_laundering_is_what_pillow_would_do():
    pixels = PICTURES[1]
    buffer = io.BytesIO()
    Image.fromarray(pixels.permute(1, 2, 0).numpy()).save(buffer, "JPEG", quality=85)
    image = Image.open(buffer).convert("RGB")
    small = image.resize((86, 86), Image.Resampling.BICUBIC)
    buffer = io.BytesIO()
    small.resize((96, 96), Image.Resampling.BICUBIC).save(buffer, "JPEG", quality=90)
    expected = np.array(Image.open(buffer).convert("RGB"))
    assert np.array_equal(methods.launder(pixels, "").permute(1, 2, 0).numpy(), expected)
