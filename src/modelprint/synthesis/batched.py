"""Running models: one by one on threads, or many in step, whose like requests are one launch."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from itertools import islice
from typing import TypeVar

import torch
from typing_extensions import Self

from modelprint.synthesis.requests import Answer, Request, Steps, answer_all, answer_plainly

S = TypeVar("S")
T = TypeVar("T")


def run_alone(steps: Steps[T], answer: Callable[[Request], Answer] = answer_plainly) -> T:
    """Run one model to its end.

    Args:
        steps: The model.
        answer: How requests are answered; plain PyTorch, through which gradients flow, if not
            given.
    """
    try:
        request = next(steps)
        while True:
            request = steps.send(answer(request))
    except StopIteration as stop:
        result: T = stop.value
        return result


def run_in_step(models: Sequence[Steps[T]], backend: str) -> list[T]:
    """Run models together: in every round, whatever they all wait for is answered at once.

    Args:
        models: At different places and of different architectures as they may be.
        backend: ``"torch"`` or ``"triton"``.

    Returns:
        What each model returns, in order.
    """
    results: dict[int, T] = {}
    waiting: dict[int, Request] = {}

    def go_on(number: int, answer: Answer | None) -> None:
        try:
            waiting[number] = models[number].send(answer)
        except StopIteration as stop:
            results[number] = stop.value

    for number in range(len(models)):
        go_on(number, None)
    while waiting:
        asking, requests = list(waiting), list(waiting.values())
        waiting.clear()
        for number, answer in zip(asking, answer_all(requests, backend), strict=True):
            go_on(number, answer)
    return [results[number] for number in range(len(models))]


class Runner:
    """Runs any number of models, a few at a time, in the way that is best for backend and device.

    Small convolutions hardly gain from many threads each, and grouping them gains nothing on a CPU
    (see ``benchmarks.synthesis``): there every thread runs a model of its own, and a model's result
    is the same whatever the number of threads. To be used in a ``with`` statement.

    Args:
        backend: ``"torch"`` or ``"triton"``.
        device: Where models run.
        at_once: Models to run in step, where models are run in step.
    """

    def __init__(self, backend: str, device: torch.device, at_once: int) -> None:
        self.device = device
        self.in_step = backend == "triton" or device.type != "cpu"
        self.at_once = at_once if self.in_step else 16 * torch.get_num_threads()
        self._backend = backend
        self._threads = 1 if self.in_step else torch.get_num_threads()
        self._pool: ThreadPoolExecutor | None = None

    def __enter__(self) -> Self:
        if self._threads > 1:
            # Every thread of ours gets one thread of PyTorch.
            self._pool = ThreadPoolExecutor(self._threads, "synthesis", torch.set_num_threads, (1,))
        return self

    def __exit__(self, *_: object) -> None:
        if self._pool is not None:
            self._pool.shutdown(cancel_futures=True)
            # What a thread sets is also the default of threads that start later.
            torch.set_num_threads(self._threads)

    def run(self, models: Iterable[Callable[[], Steps[T]]]) -> Iterator[T]:
        """What each model returns, in order; a model is started when it is its turn."""
        if not self.in_step:
            yield from self.map(_run_by_torch, models)
            return
        starting = iter(models)
        while batch := list(islice(starting, self.at_once)):
            with torch.no_grad():
                results = run_in_step([start() for start in batch], self._backend)
            yield from results

    def map(self, task: Callable[[S], T], arguments: Iterable[S]) -> Iterator[T]:
        """``task`` of every argument, in order, on threads where models run on threads."""
        if self._pool is None:
            yield from map(task, arguments)
            return
        starting = iter(arguments)
        # Only a few results wait at a time.
        waiting = deque(self._pool.submit(task, a) for a in islice(starting, 2 * self._threads))
        while waiting:
            result = waiting.popleft().result()
            waiting.extend(self._pool.submit(task, a) for a in islice(starting, 1))
            yield result


def _run_by_torch(start: Callable[[], Steps[T]]) -> T:
    # Whether gradients are recorded is a setting of each thread.
    with torch.no_grad():
        return run_alone(start(), lambda request: answer_all([request], "torch")[0])
