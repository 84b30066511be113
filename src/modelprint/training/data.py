"""Images of synthetic models: what every recipe trains and is validated on."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from functools import lru_cache
from multiprocessing import get_context, parent_process
from pathlib import Path
from threading import Thread
from typing import NamedTuple, TypeVar

import torch
from torch import Tensor

from modelprint.draws import Draws
from modelprint.errors import InvalidOptionError
from modelprint.features.degradations import degrade
from modelprint.images import iter_sources, load_image
from modelprint.synthesis.pictures import crops, draw_pictures
from modelprint.synthesis.synthesizer import ModelSynthesizer
from modelprint.training.config import TrainingConfig
from modelprint.training.restyling import mirror, restyle

T = TypeVar("T")
N = TypeVar("N")


class ModelImages(NamedTuple):
    """Images of one class: a synthetic model, or none ("photographs as they are").

    Attributes:
        clean: ``(K, 3, S, S)`` uint8.
        degraded: Copies of the first of them, degraded; uint8, sizes differ.
    """

    clean: Tensor
    degraded: list[Tensor]


# Every so many classes one is pictures that no model rendered, so that "real" is known as well.
_UNRENDERED_EVERY = 20


def label_of(index: int) -> int:
    """What class ``index`` is to be told apart by: all unrendered classes are one and the same."""
    return index if index % _UNRENDERED_EVERY else 0


def images_of_model(
    config: TrainingConfig, index: int, *, visit: int = 0, images: int | None = None
) -> ModelImages:
    """Images of class ``index``; they depend on (config, index, visit) alone.

    Args:
        config: Of the run.
        index: Number of the synthetic model.
        visit: Another visit shows other photographs.
        images: How many clean ones; ``None`` is ``config.images_per_model``.
    """
    draws = Draws("training", config.space, config.seed, index, visit)
    count = config.images_per_model if images is None else images
    photos = torch.stack(list(crops(_pictures(config), draws, count, config.image_px)))
    clean = photos
    if index % _UNRENDERED_EVERY:
        synthesizer = _synthesizer(config.space, config.seed)
        clean = synthesizer.generate(synthesizer.sample(1, first=index), photos)[0]
    degraded = [degrade(image, draws) for image in clean[: config.degraded_per_model]]
    return ModelImages(clean, degraded)


def content_count(config: TrainingConfig) -> int:
    """How many pictures ``content`` can vary."""
    return len(_photographs(config)) or config.content_pictures


def content(config: TrainingConfig, number: int) -> Tensor:
    """A picture that no model rendered, as it is, mirrored, and restyled: ``(3, 3, S, S)`` uint8.

    Photographs if there are any, or else procedural pictures, which vary in other things as well.
    """
    photographs = _photographs(config)
    picture = photographs[number] if len(photographs) else _draw(config, 1, first=number)[0]
    draws = Draws("content", config.seed, number)
    return torch.stack([picture, mirror(picture, number), restyle(picture, draws)])


@lru_cache(maxsize=1)
def _synthesizer(space: str, seed: int) -> ModelSynthesizer:
    return ModelSynthesizer(space, seed=seed)


@lru_cache(maxsize=1)
def _pictures(config: TrainingConfig) -> Tensor:
    """What models render, ``(N, 3, S, S)`` uint8: procedural pictures, and photographs if any."""
    return torch.cat([_draw(config, config.pictures), _photographs(config)])


def _draw(config: TrainingConfig, n: int, *, first: int = 0) -> Tensor:
    seed, size_px = 1 + config.seed, config.image_px
    return draw_pictures(n, seed=seed, size_px=size_px, first=first, built=True)


@lru_cache(maxsize=1)
def _photographs(config: TrainingConfig) -> Tensor:
    """``(N, 3, S, S)`` uint8, read once per process; none where the config names no folder."""
    if config.photos is None:
        return torch.empty(0, 3, config.image_px, config.image_px, dtype=torch.uint8)
    return _read_photos(Path(config.photos), config.image_px)


def _read_photos(folder: Path, side_px: int) -> Tensor:
    photos = [load_image(source, name=name).pixels for name, source in iter_sources(folder)]
    large = [photo for photo in photos if min(photo.shape[1:]) >= side_px]
    if not large:
        raise InvalidOptionError(
            f"expected photographs of {side_px} pixels a side or more in {folder}, got "
            f"{len(photos)} images, all smaller or none; pass another folder or a smaller image_px"
        )
    middle = [((photo.shape[1] - side_px) // 2, (photo.shape[2] - side_px) // 2) for photo in large]
    return torch.stack(
        [
            photo[:, top : top + side_px, left : left + side_px]
            for photo, (top, left) in zip(large, middle, strict=True)
        ]
    )


def in_workers(task: Callable[[N], T], numbers: Iterable[N], workers: int) -> Iterator[T]:
    """``task`` of every number, in order, computed ahead by worker processes of one thread each.

    Only a few results wait at a time, so ``numbers`` may be endless.

    Raises:
        InvalidOptionError: Fewer than one worker.
    """
    if workers < 1:
        raise InvalidOptionError(f"expected at least 1 worker, got {workers}")
    if workers == 1:
        yield from map(task, numbers)
        return
    waiting: deque[Future[T]] = deque()
    with ProcessPoolExecutor(workers, get_context("spawn"), initializer=_start_worker) as pool:
        for number in numbers:
            waiting.append(pool.submit(task, number))
            if len(waiting) > 2 * workers:
                yield waiting.popleft().result()
        while waiting:
            yield waiting.popleft().result()


def _start_worker() -> None:
    Thread(target=_end_with_parent, daemon=True).start()
    torch.set_num_threads(1)
    # Every model has convolutions of other shapes. oneDNN keeps a compiled primitive for each of
    # the last 1024, gigabytes in all, and would never use one again.
    os.environ.setdefault("ONEDNN_PRIMITIVE_CACHE_CAPACITY", "16")


def _end_with_parent() -> None:
    """A run that is killed cannot end its workers, which would wait for work for ever."""
    parent = parent_process()
    if parent is not None:
        parent.join()
        os._exit(1)
