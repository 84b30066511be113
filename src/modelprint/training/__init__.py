"""Training of fingerprint extractors on synthetic models: ``pip install modelprint[train]``."""

from modelprint.training.config import RECIPES, TrainingConfig
from modelprint.training.run import train

__all__ = ["RECIPES", "TrainingConfig", "train"]
