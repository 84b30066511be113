"""Like things together: what every operation on requests of many models begins with."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


def by_group(
    items: Sequence[T], key: Callable[[T], Hashable], run: Callable[[list[T]], Sequence[R]]
) -> list[R]:
    """``run`` on the items of each key, its results in the order of ``items``.

    Args:
        items: Of any keys, in any order.
        key: Items of equal keys are run together, in their order.
        run: Returns one result for each item that it is given.
    """
    together: dict[Hashable, list[int]] = defaultdict(list)
    for number, item in enumerate(items):
        together[key(item)].append(number)
    results: dict[int, R] = {}
    for numbers in together.values():
        results.update(zip(numbers, run([items[number] for number in numbers]), strict=True))
    return [results[number] for number in range(len(items))]
