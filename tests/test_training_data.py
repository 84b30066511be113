import itertools
import math
import os
import signal
import subprocess
import sys
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from functools import partial
from pathlib import Path

import numpy as np
import pytest
import tiny
import torch
from PIL import Image

from modelprint.errors import InvalidOptionError
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.space import SPACES
from modelprint.training import TrainingConfig
from modelprint.training.data import (
    content,
    content_count,
    images_of_model,
    in_workers,
    label_of,
)
from modelprint.training.loop import _batches, models_of_step

CONFIG = TrainingConfig(
    pictures=5,
    content_pictures=7,
    image_px=32,
    held_out_px=32,
    models=25,
    images_per_model=3,
    degraded_per_model=2,
    held_out_models=20,
    dim=4,
    models_per_step=4,
    steps=3,
)


@pytest.fixture
def config(monkeypatch) -> TrainingConfig:
    monkeypatch.setitem(SPACES, "tiny", tiny.SPACE)
    return replace(CONFIG, space="tiny")


def same(one, other) -> bool:
    return torch.equal(one.clean, other.clean) and all(
        map(torch.equal, one.degraded, other.degraded)
    )


def drawn(config, n):
    return draw_pictures(n, seed=1 + config.seed, size_px=config.image_px, built=True)


def test_a_models_images_are_bytes_and_their_degraded_copies_too(config):
    images = images_of_model(config, 7)
    assert images.clean.shape == (3, 3, 32, 32)
    assert images.clean.dtype == torch.uint8
    assert len(images.degraded) == 2
    assert all(copy.dtype == torch.uint8 for copy in images.degraded)
    assert images_of_model(config, 7, images=5).clean.shape[0] == 5
    assert images_of_model(replace(config, degraded_per_model=0), 7).degraded == []


def test_images_depend_on_config_index_and_visit_alone(config):
    before = images_of_model(config, 7)
    images_of_model(config, 8)
    assert same(images_of_model(config, 7), before)
    for other in (
        images_of_model(config, 8),
        images_of_model(config, 7, visit=1),
        images_of_model(replace(config, seed=1), 7),
    ):
        assert not torch.equal(other.clean, before.clean)


def test_every_twentieth_class_is_pictures_as_they_are(config):
    for index in (0, 20, 40):
        pictures = drawn(config, config.pictures)
        for image in images_of_model(config, index).clean:
            assert any(
                torch.equal(image, picture) or torch.equal(image.flip(-1), picture)
                for picture in pictures
            )
        assert label_of(index) == 0
    rendered = images_of_model(config, 21).clean
    assert not any(torch.equal(rendered[0], picture) for picture in pictures)
    assert label_of(21) == 21


def test_photographs_are_rendered_beside_pictures_and_are_the_content_alone(config, tmp_path):
    Image.fromarray(np.full((40, 40, 3), (10, 200, 90), np.uint8)).save(tmp_path / "plain.png")
    mixed = replace(config, photos=str(tmp_path), pictures=1, image_px=40)
    shown = torch.cat([images_of_model(mixed, index).clean for index in (0, 20, 40, 60)])
    photographs = (shown == torch.tensor([10, 200, 90])[:, None, None]).flatten(1).all(1)
    assert 0 < photographs.sum() < len(shown)
    assert content_count(mixed) == 1
    plain, mirrored, restyled = content(mixed, 0)
    assert torch.equal(plain[:, 0, 0], torch.tensor([10, 200, 90], dtype=torch.uint8))
    assert torch.equal(plain, mirrored)
    assert not torch.equal(plain, restyled)


def test_content_begins_with_the_pictures_that_models_render(config):
    assert content_count(config) == config.content_pictures
    pictures = drawn(config, config.content_pictures)
    assert all(torch.equal(content(config, n)[0], pictures[n]) for n in range(len(pictures)))


def test_photographs_are_cut_from_the_middle_and_small_ones_left_out(config, tmp_path):
    large = np.zeros((40, 46, 3), np.uint8)
    large[2:38, 5:41] = 255
    Image.fromarray(large).save(tmp_path / "large.png")
    Image.fromarray(np.zeros((35, 90, 3), np.uint8)).save(tmp_path / "small.png")
    cut = replace(config, photos=str(tmp_path), image_px=36)
    assert content_count(cut) == 1
    assert (content(cut, 0)[0] == 255).all()


def test_a_folder_without_large_photographs_is_a_clear_error(config, tmp_path):
    Image.fromarray(np.zeros((37, 35, 3), np.uint8)).save(tmp_path / "small.png")
    with pytest.raises(InvalidOptionError, match=r"36 pixels a side or more.*got 1 images"):
        images_of_model(replace(config, photos=str(tmp_path), image_px=36), 0)


def test_fresh_models_are_never_shown_again_and_never_held_out():
    config = replace(CONFIG, recipe="contrastive")
    shown = [model for step in range(10) for model in models_of_step(config, step)]
    assert len(set(shown)) == 40
    assert min(shown) >= config.models + config.held_out_models


def test_a_step_of_the_papers_recipe_shows_models_of_its_bank():
    config = replace(CONFIG, recipe="paper")
    steps = [models_of_step(config, step) for step in range(60)]
    assert all(len(set(models)) == 4 for models in steps)
    assert set(itertools.chain(*steps)) == set(range(25))
    assert [models_of_step(config, step) for step in range(60)] == steps


def test_a_batch_holds_every_model_with_its_copies_at_one_size(config):
    config = replace(config, recipe="paper", models=21, models_per_step=21, steps=1)
    images, labels = next(iter(_batches(config, 0, 1)))
    assert images.shape == (21 * 5, 3, 32, 32)
    assert images.dtype == torch.uint8
    counts = Counter(labels.tolist())
    assert counts.pop(0) == 10, "0 and 20 are pictures as they are: one class"
    assert counts == dict.fromkeys(range(1, 20), 5)


def test_a_model_of_the_bank_shows_other_photographs_in_every_step(config):
    config = replace(config, recipe="paper", models=2, models_per_step=2, degraded_per_model=0)
    steps = [images[labels.argsort(stable=True)] for images, labels in _batches(config, 0, 1)]
    assert not torch.equal(steps[0], steps[1])
    assert not torch.equal(steps[1], steps[2])


def test_a_resumed_stream_goes_on_as_the_unbroken_one(config):
    config = replace(config, recipe="contrastive", models_per_step=2)
    unbroken = list(_batches(config, 0, 1))
    for (images, labels), (their_images, their_labels) in zip(
        _batches(config, 1, 1), unbroken[1:], strict=True
    ):
        assert torch.equal(images, their_images)
        assert torch.equal(labels, their_labels)


def test_results_come_in_order_and_only_a_few_are_computed_ahead(monkeypatch):
    # Threads in place of processes, which take seconds to start.
    monkeypatch.setattr(
        "modelprint.training.data.ProcessPoolExecutor",
        lambda workers, *_, **__: ThreadPoolExecutor(workers),
    )
    assert list(in_workers(math.sqrt, range(20), 1)) == [math.sqrt(n) for n in range(20)]
    taken: list[int] = []
    endless = (taken.append(n) or n for n in itertools.count())
    results = in_workers(math.sqrt, endless, 2)
    assert list(itertools.islice(results, 15)) == [math.sqrt(n) for n in range(15)]
    results.close()
    assert len(taken) < 25


def test_a_worker_renders_what_this_process_renders():
    config = replace(CONFIG, space="paper", images_per_model=2)
    images = next(in_workers(partial(images_of_model, config), [1], 2))
    assert same(images, images_of_model(config, 1))


def test_too_few_workers_are_a_clear_error():
    with pytest.raises(InvalidOptionError, match="at least 1 worker, got 0"):
        list(in_workers(math.sqrt, range(3), 0))


ENDLESS = """
import itertools
import sys

sys.path.insert(0, {tests!r})
from test_training_data import slow_pid
from modelprint.training.data import in_workers

if __name__ == "__main__":
    for pid in in_workers(slow_pid, itertools.count(), 2):
        print(pid, flush=True)
"""


def slow_pid(_number: int) -> int:
    time.sleep(0.2)
    return os.getpid()


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="Windows ends such processes itself")
def test_workers_of_a_killed_run_end(tmp_path):
    script = tmp_path / "run.py"
    script.write_text(ENDLESS.format(tests=str(Path(__file__).parent)))
    run = subprocess.Popen([sys.executable, script], stdout=subprocess.PIPE, text=True)
    try:
        assert run.stdout is not None
        workers = {int(run.stdout.readline()) for _ in range(4)}
        assert all(map(alive, workers))
    finally:
        run.send_signal(signal.SIGKILL)
        run.wait()
        run.stdout.close()
    give_up = time.monotonic() + 60
    while any(map(alive, workers)) and time.monotonic() < give_up:
        time.sleep(0.1)
    assert not any(map(alive, workers))


def alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    # One that has ended and that nobody has asked about is a zombie.
    status = Path(f"/proc/{pid}/status")
    return not status.exists() or "State:\tZ" not in status.read_text()
