"""Work done ahead of its turn by threads, in order, so that whoever takes the results never waits.

What is begun ahead is bounded twice: by its number, and by the size of what lies ready. So memory
does not grow, neither with many things nor with large ones.
"""

from __future__ import annotations

import os
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator
from typing import Generic, TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")

_THREADS = min(8, os.cpu_count() or 1)
# A thread that is inside native code when the interpreter goes away takes the process down with an
# abort. What is begun takes milliseconds; more than this would be felt after Ctrl-C.
_FAREWELL_S = 0.5


def in_order(
    work: Callable[[Item], Result],
    items: Iterator[Item],
    size: Callable[[Result], int],
    *,
    most: int,
    most_size: int,
) -> Iterator[Result]:
    """`map(work, items)`, done ahead; an error comes in its turn, and ends it.

    Items are taken in the caller's thread. The threads are daemons: a program that ends, or is
    interrupted, waits half a second for them at most.

    Args:
        work: Called in other threads, several at a time.
        items: What it is called with.
        size: Of a result.
        most: Items that are begun or ready at once.
        most_size: Of what is ready, all together, from which on nothing more is begun.
    """
    team = _Team(work, size, most_size)
    try:
        for item in items:
            team.give(item)
            if team.pending == most:
                yield team.take()
        while team.pending:
            yield team.take()
    finally:
        team.stop()


class _Task(Generic[Item, Result]):
    def __init__(self, item: Item) -> None:
        self.item = item
        self.done = False
        self.result: list[Result] = []
        self.error: BaseException | None = None
        self.size = 0


class _Team(Generic[Item, Result]):
    """Threads, what they have to do, and what they have done."""

    def __init__(
        self, work: Callable[[Item], Result], size: Callable[[Result], int], most_size: int
    ) -> None:
        self._work, self._size, self._most_size = work, size, most_size
        self._changed = threading.Condition()
        self._window: deque[_Task[Item, Result]] = deque()  # all that were not taken
        self._waiting: deque[_Task[Item, Result]] = deque()  # those of them not begun
        self._threads: list[threading.Thread] = []
        self._ready_size, self._stopped = 0, False

    @property
    def pending(self) -> int:
        """Items given and not taken back."""
        return len(self._window)

    def give(self, item: Item) -> None:
        task: _Task[Item, Result] = _Task(item)
        with self._changed:
            self._window.append(task)
            self._waiting.append(task)
            self._changed.notify_all()
        if len(self._threads) < _THREADS:
            thread = threading.Thread(target=self._run, daemon=True)
            self._threads.append(thread)
            thread.start()

    def take(self) -> Result:
        """The next result in order.

        Raises:
            BaseException: What the work raised.
        """
        with self._changed:
            task = self._window[0]
            self._changed.wait_for(lambda: task.done)
            self._window.popleft()
            self._ready_size -= task.size
            self._changed.notify_all()
        if task.error is not None:
            raise task.error
        return task.result.pop()

    def stop(self) -> None:
        """Begin nothing more, and let what is begun end, for a moment."""
        with self._changed:
            self._stopped = True
            self._changed.notify_all()
        deadline = time.monotonic() + _FAREWELL_S
        for thread in self._threads:
            # A forgotten iterator is cleared away by whichever thread comes by.
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))

    def _run(self) -> None:
        while True:
            with self._changed:
                self._changed.wait_for(lambda: self._stopped or self._may_begin())
                if self._stopped:
                    return
                task = self._waiting.popleft()
            try:
                task.result.append(self._work(task.item))
                task.size = self._size(task.result[0])
            except BaseException as error:  # for whoever takes it
                task.error = error
            with self._changed:
                task.done = True
                self._ready_size += task.size
                self._changed.notify_all()
            del task  # or its result would stay in memory while this thread waits

    def _may_begin(self) -> bool:
        # What is waited for is begun whatever its size, or nothing would ever be taken.
        return bool(self._waiting) and (
            self._ready_size < self._most_size or self._waiting[0] is self._window[0]
        )
