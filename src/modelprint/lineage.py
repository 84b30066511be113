"""Labels as paths: "sdxl/lora-x" is a descendant of "sdxl", and both are of one family.

A family is a path with at least two enrolled labels at or below it. Models that share a decoder
are close to indistinguishable one by one, so an answer may name the family alone.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from graphlib import CycleError, TopologicalSorter
from itertools import pairwise

from modelprint.errors import InvalidOptionError

SEPARATOR = "/"
MAX_DEPTH = 8


def check_path(label: str) -> None:
    """Refuse a label that is no path.

    Raises:
        InvalidOptionError: An empty part, spaces around one, or more than 8 parts.
    """
    parts = label.split(SEPARATOR)
    if any(part != part.strip() or not part for part in parts):
        problem = "got an empty part, or spaces around one"
    elif len(parts) > MAX_DEPTH:
        problem = f"got {len(parts)} parts, expected at most {MAX_DEPTH}"
    else:
        return
    raise InvalidOptionError(
        f"label {label!r}: expected a path such as 'sdxl' or 'sdxl/lora-x', {problem}"
    )


def check_lineage(labels: Iterable[str]) -> None:
    """Refuse labels that contradict each other about what descends from what.

    Raises:
        InvalidOptionError: A name is its own ancestor: "a/a", or "a/b" beside "b/a".
    """
    below: dict[str, set[str]] = {}
    for label in labels:
        parts = label.split(SEPARATOR)
        for parent, child in pairwise(parts):
            below.setdefault(parent, set()).add(child)
    try:
        TopologicalSorter(below).prepare()
    except CycleError as error:
        chain = " above ".join(map(repr, error.args[1][::-1]))
        raise InvalidOptionError(
            f"the labels contradict each other: they place {chain}; give each model one ancestry"
        ) from error


def is_within(label: str, path: str) -> bool:
    """Whether a label is a path or a descendant of it."""
    return label == path or label.startswith(path + SEPARATOR)


def families(labels: Iterable[str]) -> tuple[str, ...]:
    """The paths with at least two of the labels at or below them, in order of appearance."""
    members: dict[str, int] = {}
    for label in labels:
        for path in paths(label):
            members[path] = members.get(path, 0) + 1
    return tuple(path for path, count in members.items() if count > 1)


def narrowest(label: str, shares: Mapping[str, float], least: float) -> str | None:
    """The narrowest path around a label whose labels have this share together; None if none has.

    Args:
        label: One of the labels.
        shares: By label, in [0, 1].
        least: In (0, 1].
    """
    for path in reversed(paths(label)):
        if sum(share for other, share in shares.items() if is_within(other, path)) >= least:
            return path
    return None


def paths(label: str) -> list[str]:
    """All ancestors of a label and itself, the topmost first."""
    parts = label.split(SEPARATOR)
    return [SEPARATOR.join(parts[: i + 1]) for i in range(len(parts))]
