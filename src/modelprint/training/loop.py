"""The gradient recipes: a network, a stream of rendered models, a loss, a checkpoint."""

from __future__ import annotations

import itertools
import json
import math
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path

import torch
import torch.nn.functional as F
from safetensors import safe_open
from torch import Tensor, nn

from modelprint.backbone import SpectrumResNet
from modelprint.draws import Draws
from modelprint.training.checkpoint import save_whole
from modelprint.training.config import TrainingConfig
from modelprint.training.data import images_of_model, in_workers, label_of
from modelprint.training.losses import batch_hard_triplet, supervised_contrastive

_WARM_UP = 50


def train_network(
    config: TrainingConfig, run: Path, *, workers: int, progress: Callable[[int], None]
) -> SpectrumResNet:
    """Train the network of a gradient recipe, from the checkpoint in ``run`` if there is one.

    The batch of step s depends on (config, s) alone, so a resumed run sees what an unbroken one
    would have seen.

    Args:
        config: Of the run.
        run: Folder for ``checkpoint.safetensors`` and ``log.jsonl``.
        workers: Processes that render the batches.
        progress: Called with the number of steps done since the last call.
    """
    # Fresh weights come from the global generator of torch: fork it, so that nobody else's changes.
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(config.seed)
        backbone = SpectrumResNet(config.depth, config.width, log=config.recipe == "contrastive")
        classes = config.models if config.recipe == "paper" else 1
        learner = nn.ModuleDict({"backbone": backbone, "head": nn.Linear(backbone.dim, classes)})
    learner.to("cuda" if torch.cuda.is_available() else "cpu")
    optimizer = torch.optim.AdamW(learner.parameters(), lr=config.learning_rate)
    first = _load_checkpoint(run, learner, optimizer)
    progress(first)
    learner.train()
    for step, (images, labels) in enumerate(_batches(config, first, workers), first):
        for group in optimizer.param_groups:
            group["lr"] = config.learning_rate * _schedule(step, config.steps)
        loss = _loss(config, learner, images, labels)
        optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        progress(1)
        if (step + 1) % config.checkpoint_every == 0 or step + 1 == config.steps:
            _save_checkpoint(run, learner, optimizer, step + 1)
            with (run / "log.jsonl").open("a", encoding="utf-8") as log:
                log.write(json.dumps({"step": step + 1, "loss": loss.item()}) + "\n")
    return backbone.cpu().eval()


def _loss(config: TrainingConfig, learner: nn.ModuleDict, images: Tensor, labels: Tensor) -> Tensor:
    device = next(learner.parameters()).device
    labels = labels.to(device)
    features = learner["backbone"](images.to(device).float() / 255)
    if config.recipe == "contrastive":
        return supervised_contrastive(features, labels, config.temperature)
    entropy = F.cross_entropy(learner["head"](features), labels)
    return entropy + batch_hard_triplet(features, labels, config.margin)


def _schedule(step: int, steps: int) -> float:
    warm = min(1.0, (step + 1) / _WARM_UP)
    return warm * 0.5 * (1 + math.cos(math.pi * step / steps))


def _batches(config: TrainingConfig, first: int, workers: int) -> Iterator[tuple[Tensor, Tensor]]:
    """Images ``(B, 3, S, S)`` uint8 and labels ``(B,)`` of the steps from ``first`` on."""
    # A visit number makes a model of a fixed bank show other photographs in every step.
    visits = (
        (model, step)
        for step in range(first, config.steps)
        for model in models_of_step(config, step)
    )
    rendered = in_workers(partial(_one_class, config), visits, workers)
    for step in range(first, config.steps):
        labels = [label_of(model) for model in models_of_step(config, step)]
        groups = list(itertools.islice(rendered, len(labels)))
        each = len(groups[0])
        yield torch.cat(groups), torch.tensor(labels).repeat_interleave(each)


def models_of_step(config: TrainingConfig, step: int) -> list[int]:
    """Which models a step shows: some of the bank in the paper's recipe, else ones never seen."""
    if config.recipe == "paper":
        draws = Draws("bank", config.seed, step)
        return [int(i) for i in draws.permutation(config.models)[: config.models_per_step]]
    unseen = config.models + config.held_out_models + step * config.models_per_step
    return list(range(unseen, unseen + config.models_per_step))


def _one_class(config: TrainingConfig, visit: tuple[int, int]) -> Tensor:
    index, step = visit
    images = images_of_model(config, index, visit=step)
    sized = [_to_size(image, config.image_px) for image in images.degraded]
    return torch.cat([images.clean, *(image[None] for image in sized)])


def _to_size(image: Tensor, side_px: int) -> Tensor:
    """Crop or mirror a copy that was resized, so that a batch has one size."""
    missing = [max(0, side_px - length) for length in image.shape[1:]]
    padded = F.pad(image[None].float(), (0, missing[1], 0, missing[0]), mode="reflect")[0]
    return padded[:, :side_px, :side_px].to(torch.uint8)


def _save_checkpoint(
    run: Path, learner: nn.Module, optimizer: torch.optim.Optimizer, step: int
) -> None:
    tensors = {f"learner.{name}": value for name, value in learner.state_dict().items()}
    for number, state in optimizer.state_dict()["state"].items():
        tensors |= {f"optimizer.{number}.{name}": value for name, value in state.items()}
    contiguous = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
    save_whole(contiguous, run / "checkpoint.safetensors", {"step": str(step)})


def _load_checkpoint(run: Path, learner: nn.Module, optimizer: torch.optim.Optimizer) -> int:
    """Continue from ``run``'s checkpoint; the step to go on with, 0 where there is none."""
    path = run / "checkpoint.safetensors"
    if not path.is_file():
        return 0
    with safe_open(path, "pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118  # no dict
        step = int(file.metadata()["step"])
    prefix = "learner."
    learner.load_state_dict(
        {name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)}
    )
    moments: dict[int, dict[str, Tensor]] = {}
    for name, value in tensors.items():
        if name.startswith("optimizer."):
            _, number, key = name.split(".")
            moments.setdefault(int(number), {})[key] = value
    optimizer.load_state_dict({**optimizer.state_dict(), "state": moments})
    return step
