import json

import pytest
import torch

from benchmarks import synthesis
from benchmarks.plain_models import PlainModel, Stacked, model_by_model, one_by_one
from modelprint.synthesis.batched import Runner
from modelprint.synthesis.fitting import fitted
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.rendering import rendered_by
from modelprint.synthesis.synthesizer import ModelSynthesizer


@torch.no_grad()
def test_models_written_plainly_render_what_the_engine_renders():
    """An independent definition of every option of the paper's space."""
    photos = draw_pictures(2, seed=1, size_px=32).float() / 255
    # 17 is prime to the number of options of every axis.
    models = ModelSynthesizer("paper", seed=0).sample(288)[::17]
    with Runner("torch", torch.device("cpu"), 1) as runner:
        parameters = fitted(models, "none", runner)
        ours = torch.stack(rendered_by(models, parameters, photos, runner)).int()
    plain = [PlainModel(m.architecture, p).eval() for m, p in zip(models, parameters, strict=True)]
    stacked = Stacked(plain, [model.architecture for model in models])
    for theirs in (one_by_one(plain, photos), model_by_model(plain, photos), stacked(photos)):
        assert (ours - theirs.int()).abs().max() <= 1


def test_no_speed_is_printed_of_images_that_differ(monkeypatch, capsys):
    right = rendered_by

    def wrong(*arguments):
        images = right(*arguments)
        images[0] += 2
        return images

    monkeypatch.setattr(synthesis, "rendered_by", wrong)
    with pytest.raises(SystemExit, match=r"\(d\) differ from those of \(a\) by up to"):
        synthesis.main(["--models", "4", "--photos", "1", "--size-px", "32"])
    assert capsys.readouterr().out == ""


@pytest.mark.parametrize("option", ["--models=6", "--models=0", "--photos=0", "--size-px=33"])
def test_a_bad_option_is_a_clear_error(option, capsys):
    with pytest.raises(SystemExit) as raised:
        synthesis.main([option])
    assert raised.value.code == 2
    assert option.split("=")[0] in capsys.readouterr().err


def test_a_record_becomes_tables_and_json():
    way = {
        **{"median_s": 2.0, "quartiles_s": [1.0, 3.0], "rounds": 3, "peak_bytes": 5e6},
        **{"ms_per_image": 250.0, "images_per_s": 4.0, "times_faster_than_a": 1.0},
        **{"share_of_arithmetic_ceiling": 0.5, "share_of_copy_ceiling": 0.25},
    }
    equal = {
        "largest_difference_grey_levels": 1,
        "mean_difference_grey_levels": 0.01,
        "share_of_values_that_differ": 0.01,
    }
    machine = {"cpu": "a cpu", "torch_threads": 2, "cores": 2, "accelerator": None}
    record = {
        **{"models": 4, "photos": 2, "size_px": 32, "space": "paper"},
        **{"backend": {"name": "torch", "why": "asked for"}, "load_average_before": 1.5},
        "ceilings": dict.fromkeys(
            ("gflop_s", "matmul_gflop_s", "convolution_gflop_s", "copy_gb_s"), 10.0
        ),
        "work_of_all_models_on_one_photograph": {"gflop": 4.0, "gb": 1.0},
        "ways": {"a": way, "d": way},
        "equality": {"a": equal, "d": equal},
        "growth_with_models": [
            {"models": 16, "photos": 2, "seconds": 1.0, "ms_per_model": 62.5, "peak_bytes": 1e6}
        ],
        "growth_with_photos": [{"models": 4, "photos": 1, "ms_per_image": 9.0, "peak_bytes": 1e6}],
        "fits": {
            "ridge": {
                **{"models_measured": 4, "seconds_per_model": 0.1},
                **{"times_faster_than_the_paper": 830.0, "minutes_for_5760": 9.6},
            }
        },
        "sample": {"seconds_for_5760_of_paper": 0.01},
        "environment": {"machine": machine},
    }
    text = synthesis.tables(json.loads(json.dumps(record)))
    assert "An image takes 1.00 GFLOP" in text
    assert "The machine was not idle (load 1.5)" in text
    assert "| 250          | 125-375   | 4        | 1.00" in text
    assert '| `fit="ridge"`       | 0.1               | 830' in text
    assert "`sample(5760)`: 0.010 s (paper)." in text
