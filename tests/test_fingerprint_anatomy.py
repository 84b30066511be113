"""The anatomy of a fingerprint: what it claims is seen in small runs, and what is not is said."""

import builtins
from dataclasses import replace

import numpy as np
import pytest
import torch
from PIL import Image

from examples import fingerprint_anatomy
from examples.anatomy import exchange, figure, findings, spectra
from modelprint.errors import MissingExtraError
from modelprint.synthesis.batched import Runner
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.synthesizer import ModelSynthesizer


@pytest.fixture(scope="module")
def measured():
    """Spectra of few and narrow models: the observations are no matter of width."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(spectra, "BASE", replace(spectra.BASE, channels=8))
        patch.setattr(spectra, "SIDE_PX", 96)
        return spectra.measure(models=4, images=6)


@pytest.fixture(scope="module")
def exchanged():
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(exchange, "PICTURES", 4)
        return exchange.measure(pairs=1, asked=4)


def test_upsampling_with_weights_leaves_grid_peaks_and_bilinear_the_fewest_replicas(measured):
    levels = {name: spectra.grid_peak_db(of) for name, of in measured.options("upsampler").items()}
    nearest = spectra.grid_peak_db(measured.base)
    assert min(levels["transposed2"], levels["pixel_shuffle"]) > nearest + 6
    assert levels["bilinear"] < nearest
    replicas = {n: spectra.replica_db(of) for n, of in measured.options("upsampler").items()}
    assert replicas["bilinear"] < min(spectra.replica_db(measured.base), replicas["transposed2"])


def test_only_a_nonlinearity_after_a_convolution_fills_the_zeros(measured):
    base = spectra.zeros_db(measured.base)
    assert spectra.zeros_db(measured.variants["activation", "none"]) < base - 4
    assert spectra.zeros_db(measured.variants["kernel", 1]) < base - 4
    assert spectra.zeros_db(measured.variants["kernel", 5]) > base - 2


def test_a_seed_moves_the_spectrum_more_than_other_pictures_do(measured):
    pictures = spectra.distance_db(measured.elsewhere, measured.base)
    assert spectra.seed_distance_db(measured.base) > 1.2 * pictures


def test_images_are_named_after_their_last_blocks(exchanged):
    for shares in exchanged.named.values():
        assert shares[0] == 0  # nothing exchanged: the model itself is named
        assert shares[-1] == 1  # the whole decoder exchanged
    half = exchange.STEPS.index(exchange.SHOWN)
    assert exchanged.named[exchange.SAME][half] >= 0.75
    for kind, shares in exchanged.matched.items():
        assert all(m <= n for m, n in zip(shares, exchanged.named[kind], strict=True))
    to_last, to_first = exchanged.distances_db()
    assert to_last < 0.75 * to_first


def test_an_exchange_takes_the_named_parts_and_no_others():
    first, second = exchange.pairs_of_models(1)[exchange.OTHER][0]
    photos = draw_pictures(1, seed=4, size_px=64)
    with Runner("torch", torch.device("cpu"), at_once=1) as runner:
        a, b = exchange.models_of([first, second], runner)
        mixed = a.with_last_blocks_of(b, 1)
        own, same, other = exchange.render([a, a.with_last_blocks_of(a, 2), mixed], photos, runner)
    assert torch.equal(own, same)
    assert torch.equal(own, ModelSynthesizer(exchange.SPACE, seed=0).generate([first], photos)[0])
    assert not torch.equal(own, other)
    stages = mixed.spec.architecture.stages
    assert stages == (*first.architecture.stages[:3], second.architecture.stages[3])
    weight = mixed.parameters.scope("stage3").scope("layer0").known("weight")
    assert weight is b.parameters.scope("stage3").scope("layer0").known("weight")
    weight = mixed.parameters.scope("stage2").scope("layer0").known("weight")
    assert weight is a.parameters.scope("stage2").scope("layer0").known("weight")
    assert mixed.parameters.known("output") is b.parameters.known("output")


def test_the_figure_has_a_title_for_every_finding_and_overlaps_nothing(measured, exchanged):
    found = findings.findings(measured, exchanged)
    canvas = figure.new_figure()
    figure.draw(canvas, measured, exchanged, found)
    canvas.draw_without_rendering()
    written = {text.get_text() for text in canvas.texts}
    assert {finding.title for finding in found} <= written
    boxes = [ax.get_tightbbox() for ax in canvas.axes] + [
        t.get_window_extent() for t in canvas.texts
    ]
    assert all(box.x1 <= canvas.bbox.x1 and box.y1 <= canvas.bbox.y1 for box in boxes)
    assert all(box.x0 >= 0 and box.y0 >= 0 for box in boxes)
    for number, box in enumerate(boxes):
        for other in boxes[:number]:
            shared_x = min(box.x1, other.x1) - max(box.x0, other.x0)
            shared_y = min(box.y1, other.y1) - max(box.y0, other.y0)
            assert min(shared_x, shared_y) < 2, (box, other)  # pixels


def test_a_claim_that_the_figures_do_not_bear_out_is_not_made(measured, exchanged):
    flat = dict.fromkeys(measured.variants, measured.base)
    nothing = replace(measured, variants=flat, elsewhere=measured.base[::-1])
    none = {kind: [0.0] * len(shares) for kind, shares in exchanged.named.items()}
    found = findings.findings(nothing, replace(exchanged, named=none))
    assert not any(finding.holds for finding in found)
    assert all(finding.title.startswith("Not seen here") for finding in found)


def test_the_script_writes_the_picture_and_prints_what_it_shows(
    measured, exchanged, monkeypatch, tmp_path, capsys
):
    monkeypatch.setattr(spectra, "measure", lambda *_: measured)
    monkeypatch.setattr(exchange, "measure", lambda *_: exchanged)
    out = tmp_path / "new" / "anatomy.png"
    fingerprint_anatomy.main(["--out", str(out)])
    printed = capsys.readouterr().out
    for finding in findings.findings(measured, exchanged):
        assert finding.title in printed
        assert finding.figures in printed
    assert "activation sigmoid" in printed
    assert printed.isascii()
    with Image.open(out) as picture:
        assert picture.width > 1000


def test_without_matplotlib_the_script_says_what_to_install_before_it_measures(
    monkeypatch, tmp_path, capsys
):
    actual = builtins.__import__

    def without(name, *arguments, **named):
        if name.startswith("matplotlib"):
            raise ImportError(name)
        return actual(name, *arguments, **named)

    monkeypatch.setattr(builtins, "__import__", without)
    monkeypatch.setattr(spectra, "measure", lambda *_: pytest.fail("measured in vain"))
    with pytest.raises(MissingExtraError, match="plots"):
        figure.new_figure()
    assert fingerprint_anatomy.main(["--out", str(tmp_path / "x.png")]) == 1
    assert "pip install 'modelprint[plots]'" in capsys.readouterr().err


def test_white_noise_has_a_flat_spectrum_and_a_pattern_its_peaks():
    generator = np.random.default_rng(0)
    noise = generator.normal(128, 12, (6, 3, 128, 128))
    tiled = np.tile(generator.normal(0, 6, (4, 4)), (32, 32))
    plain, patterned = (
        spectra.log_spectrum(torch.from_numpy(images.clip(0, 255).astype(np.uint8)))
        for images in (noise, noise + tiled)
    )
    assert abs(spectra.grid_peak_db(plain)) < 1
    assert spectra.grid_peak_db(patterned) > 10
    frequency, level = spectra.radial(plain)
    # The blur that the residual is without leaves noise above a quarter cycle per pixel as it was.
    high = level[(frequency > 0.35) & (frequency < 0.6)]
    assert np.ptp(high) < 1.5
    along, profile = spectra.profile(patterned)
    assert along[16] == 0.25
    assert profile[16] > profile[13]
    assert spectra.distance_db(plain + 2, plain) == pytest.approx(2)
