"""Two records of one question, compared value by value."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from modelprint.decision import one_line

# Rounding differs between machines: scores of one image by 0.002 between two libraries of
# convolutions, where it was measured. A weight or a pixel that changed moves them by far more.
SCORE_TOLERANCE = 0.01
# What follows from scores, and moves faster than they do. p-values as a share of the recorded one.
LLR_TOLERANCE = 0.1
SHARE_TOLERANCE = 0.05
P_VALUE_TOLERANCE = 0.1

# Sentences give numbers with two digits.
SENTENCE_TOLERANCE = 0.25

_NUMBER = re.compile(r"(?<![\w.])\d+(?:\.\d+)?(?:e[-+]?\d+)?(?![\w]|\.\d)")


@dataclass(frozen=True)
class Difference:
    """One value that came out differently.

    Attributes:
        field: Where it stands in the record, such as "candidates.sdxl.score".
        recorded: What the record says; None where it says nothing.
        found: What came out now; None where nothing did.
    """

    field: str
    recorded: Any
    found: Any

    def __str__(self) -> str:
        return one_line(f"{self.field}: recorded {self.recorded!r}, found {self.found!r}")


def differences(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[Difference]:
    """Every value of two records that differs by more than it may."""
    recorded, found = dict(_leaves(old)), dict(_leaves(new))
    for path in dict.fromkeys([*recorded, *found]):
        a, b = recorded.get(path), found.get(path)
        missing = path not in recorded or path not in found
        if not _is_circumstance(path) and (missing or not _same(path[-1], a, b)):
            yield Difference(".".join(path), a, b)


def notes(old: Mapping[str, Any], new: Mapping[str, Any]) -> Iterator[str]:
    """What differs between two records and need not touch the answer."""
    then, now = old["provenance"], new["provenance"]
    if then.get("library_version") != now["library_version"]:
        yield (
            f"recorded with modelprint {then.get('library_version')}, "
            f"replayed with {now['library_version']}"
        )
    for was, is_now in zip(then["images"], now["images"], strict=False):
        if isinstance(was, Mapping) and was.get("format") != is_now["format"]:
            yield f"the image came as {was.get('format')}, now as {is_now['format']}"


def largest_score_difference(old: Mapping[str, Any], new: Mapping[str, Any]) -> float:
    """Over all scores that are in both records."""
    recorded, found = (
        {path: leaf for path, leaf in _leaves(record) if path[-1] == "score"}
        for record in (old, new)
    )
    differences = [
        abs(recorded[path] - found[path])
        for path in recorded.keys() & found.keys()
        if isinstance(recorded[path], int | float)
    ]
    return max(differences, default=0.0)


def _is_circumstance(path: tuple[str, ...]) -> bool:
    """Whether this may differ without touching the answer: the time, and what `notes` tells."""
    return path in (("provenance", "time"), ("provenance", "library_version")) or (
        path[:2] == ("provenance", "images") and path[-1] == "format"
    )


def _leaves(value: object, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    """Every plain value of a record with the way to it; lists of models go by their labels."""
    if isinstance(value, Mapping) and value:
        for key, inner in value.items():
            yield from _leaves(inner, (*path, str(key)))
    elif isinstance(value, list | tuple) and value:
        labels = [inner.get("label") if isinstance(inner, Mapping) else None for inner in value]
        # A label that stands twice must not hide what it says the first time.
        named = None not in labels and len(set(map(str, labels))) == len(labels)
        for number, inner in enumerate(value):
            yield from _leaves(inner, (*path, str(labels[number]) if named else str(number)))
    else:
        yield path, value


def _same(name: str, a: object, b: object) -> bool:
    if isinstance(a, int | float) and isinstance(b, int | float):
        relative, absolute = {
            "score": (0.0, SCORE_TOLERANCE),
            "llr": (0.0, LLR_TOLERANCE),
            "share": (0.0, SHARE_TOLERANCE),
            "p_value": (P_VALUE_TOLERANCE, 0.0),
        }.get(name, (1e-9, 0.0))
        close = math.isclose(a, b, rel_tol=relative, abs_tol=absolute)
        return close and isinstance(a, bool) == isinstance(b, bool)
    if name == "reason" and isinstance(a, str) and isinstance(b, str):
        return _same_sentence(a, b)
    return type(a) is type(b) and a == b


def _same_sentence(a: str, b: str) -> bool:
    """Whether two sentences are the same but for the last digits of their numbers."""
    numbers = [[float(found) for found in _NUMBER.findall(text)] for text in (a, b)]
    return _NUMBER.sub("#", a) == _NUMBER.sub("#", b) and all(
        math.isclose(x, y, rel_tol=SENTENCE_TOLERANCE) for x, y in zip(*numbers, strict=True)
    )
