import json
import math

import pytest

from modelprint.errors import InvalidOptionError
from modelprint.training import RECIPES, TrainingConfig


@pytest.mark.parametrize("recipe", RECIPES)
def test_every_recipe_has_a_preset_that_is_plain_json(recipe):
    config = TrainingConfig.preset(recipe, seed=3)
    assert (config.recipe, config.seed) == (recipe, 3)
    assert TrainingConfig(**json.loads(json.dumps(config.to_dict()))) == config


def test_the_papers_preset_is_the_papers_recipe():
    config = TrainingConfig.preset("paper")
    assert (config.space, config.depth, config.width) == ("paper", 50, 64)
    assert config.models == 288 * 20


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"recipe": "magic"}, "closed-form.*contrastive.*paper.*'magic'"),
        ({"space": "nowhere"}, "open.*paper.*'nowhere'"),
        ({"seed": -1}, "seed to be a whole number of at least 0, got -1"),
        ({"seed": "0"}, "seed to be a whole number"),
        ({"pictures": 0}, "pictures to be"),
        ({"image_px": 31}, "image_px to be a whole number of at least 32, got 31"),
        ({"image_px": 64.0}, r"image_px to be a whole number of at least 32, got 64\.0"),
        ({"models": 1}, "models to be"),
        ({"models": True}, "models to be"),
        ({"images_per_model": 1}, "images_per_model to be"),
        ({"degraded_per_model": -1}, "degraded_per_model to be"),
        ({"images_per_model": 3, "degraded_per_model": 4}, "up to images_per_model=3, got 4"),
        ({"held_out_models": 19}, "held_out_models to be"),
        ({"dim": 0}, "dim to be"),
        ({"dim": 10**6}, "multiple of 4 between"),
        ({"ridge": 0}, "ridge to be a number"),
        ({"degraded_weight": -0.1}, "degraded_weight to be a number"),
        ({"depth": 19}, "depth among .*got 19"),
        ({"width": 0}, "width to be"),
        ({"steps": 0}, "steps to be"),
        ({"models_per_step": 1}, "models_per_step to be"),
        ({"recipe": "paper", "models": 4, "models_per_step": 5}, "up to models=4, got 5"),
        ({"learning_rate": 0.0}, "learning_rate to be a number"),
        ({"learning_rate": math.nan}, "learning_rate to be a number"),
        ({"learning_rate": math.inf}, "learning_rate to be a number"),
        ({"learning_rate": "1e-3"}, "learning_rate to be a number"),
        ({"temperature": 0}, "temperature to be a number"),
        ({"margin": -1}, "margin to be a number"),
        ({"checkpoint_every": 0}, "checkpoint_every to be"),
    ],
)
def test_a_value_out_of_range_is_a_clear_error(changes, said):
    with pytest.raises(InvalidOptionError, match=said):
        TrainingConfig(**changes)


def test_an_unknown_recipe_or_field_of_a_preset_is_a_clear_error():
    with pytest.raises(InvalidOptionError, match="'magic'"):
        TrainingConfig.preset("magic")
    with pytest.raises(InvalidOptionError, match=r"among \['calibration_space'.*got \['stepz'\]"):
        TrainingConfig.preset("paper", stepz=3)
    with pytest.raises(InvalidOptionError, match="steps to be"):
        TrainingConfig.preset("paper", steps=0)
