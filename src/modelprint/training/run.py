"""A training run: a folder that a killed run continues in, and weights at its end."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from modelprint.backbone import Backbone
from modelprint.errors import InvalidOptionError, MissingExtraError
from modelprint.training.card import model_card
from modelprint.training.closed_form import closed_form_tasks, fit_closed_form
from modelprint.training.config import TrainingConfig
from modelprint.training.evaluate import finish, held_out_images
from modelprint.training.loop import train_network

try:
    from tqdm import tqdm
except ImportError as error:
    raise MissingExtraError(
        "training shows its progress with tqdm, which is not installed: "
        "pip install 'modelprint[train]'"
    ) from error


def train(config: TrainingConfig, out: str | Path, *, workers: int = 2) -> dict[str, float]:
    """Train weights and write them to ``out/weights``.

    Args:
        config: What to train.
        out: Folder of the run. If a run with the same config stopped there, it is continued.
        workers: Processes that render synthetic models.

    Returns:
        Figures on held-out synthetic models: ``top1``, ``roc_auc``, ``eer``.

    Raises:
        InvalidOptionError: ``out`` holds a run with another config.
    """
    run = Path(out)
    _claim(run, config)
    network = config.recipe != "closed-form"
    backbone: Backbone
    total = config.steps if network else closed_form_tasks(config)
    with tqdm(total=total, desc="training") as bar:
        if network:
            backbone = train_network(config, run, workers=workers, progress=bar.update)
            options: dict[str, Any] = {"depth": config.depth, "width": config.width}
            options["log"] = config.recipe == "contrastive"
        else:
            backbone = fit_closed_form(config, run, workers=workers, progress=bar.update)
            options = {"dim": config.dim}
    with tqdm(total=config.held_out_models, desc="held-out models") as bar:
        held_out = held_out_images(config, workers=workers, progress=bar.update)
    name = "spectrum-resnet" if network else "whitened-statistics"
    extractor, figures = finish(backbone, name, options, config, held_out)
    extractor.card = model_card(extractor, figures)
    extractor.save_pretrained(run / "weights")
    (run / "figures.json").write_text(json.dumps(figures, indent=1) + "\n", "utf-8")
    return figures


def _claim(run: Path, config: TrainingConfig) -> None:
    """Make the folder, or check that the run in it is this one."""
    run.mkdir(parents=True, exist_ok=True)
    path = run / "config.json"
    mine = json.loads(json.dumps(config.to_dict()))
    if path.is_file():
        theirs = json.loads(path.read_text("utf-8"))
        differing = sorted(name for name in mine if mine[name] != theirs.get(name))
        if differing:
            raise InvalidOptionError(
                f"{run} holds a run with other values of {differing}; "
                "pass another folder, or the same values to continue it"
            )
    path.write_text(json.dumps(mine, indent=1) + "\n", "utf-8")
