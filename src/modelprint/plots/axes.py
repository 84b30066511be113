"""What the pictures share: axes to draw on, ticks, and the refusal of what cannot be drawn."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, TypeVar

from modelprint.errors import InvalidOptionError, MissingExtraError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Curve = TypeVar("Curve")

# Wide enough for a square frame with its labels.
SIZE_INCHES = (5.4, 5.0)
MOST_TICKS = 12


def figure_and_axes(ax: Axes | None) -> tuple[Figure, Axes]:
    """The axes to draw on and the figure that holds them, new where none were given.

    Raises:
        MissingExtraError: matplotlib is not installed.
    """
    try:
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError(
            "pictures are drawn with matplotlib, which is not installed: "
            "pip install 'modelprint[plots]'"
        ) from error
    if ax is None:
        figure = Figure(figsize=SIZE_INCHES, layout="constrained")
        return figure, figure.add_subplot()
    whole = ax.figure if isinstance(ax.figure, Figure) else ax.figure.figure
    return whole, ax


def check_curves(curves: Mapping[str, Curve], kind: type[Curve]) -> None:
    """Refuse what is not names with curves.

    Raises:
        InvalidOptionError: no curve, or one of another kind.
    """
    wanted = f"curves: expected a mapping of names to {kind.__name__}"
    if not isinstance(curves, Mapping) or not curves:
        raise InvalidOptionError(f"{wanted}, at least one, got {type(curves).__name__}.")
    for name, curve in curves.items():
        if not isinstance(curve, kind):
            raise InvalidOptionError(f"{wanted}, got {type(curve).__name__} for {name!r}.")


def percent_axes(ax: Axes, what: tuple[str, str], low: float, high: float) -> None:
    """A square frame with the same rates on both axes, a dotted diagonal and a grid."""
    ax.set(xlim=(low, high), ylim=(low, high), box_aspect=1)
    ax.set(xlabel=f"{what[0]} (%)", ylabel=f"{what[1]} (%)")
    ax.plot([low, high], [low, high], color="grey", linewidth=0.8, linestyle=":")
    ax.grid(alpha=0.3)


def percent_ticks(ax: Axes, rates: Sequence[float]) -> None:
    """The same ticks on both axes, labelled in percent."""
    for set_ticks in (ax.set_xticks, ax.set_yticks):
        set_ticks(rates, [f"{100 * rate:g}" for rate in rates])
    ax.minorticks_off()
