"""What a user gets who installs modelprint with every extra, by what is installed here."""

from __future__ import annotations

from importlib.metadata import Distribution, PackageNotFoundError, distribution

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

PACKAGE = "modelprint"
EXTRAS = ("train", "plots")


def requirements(name: str, extras: tuple[str, ...] = ()) -> list[Requirement]:
    """What a package requires here, with some of its extras."""
    wanted = map(Requirement, distribution(name).requires or [])
    environments = [{"extra": extra} for extra in ("", *extras)]
    return [
        requirement
        for requirement in wanted
        if requirement.marker is None or any(map(requirement.marker.evaluate, environments))
    ]


def closure() -> dict[str, Distribution]:
    """Every package that comes with modelprint and its extras, by name, without itself.

    Raises:
        SystemExit: One of them is not installed.
    """
    found: dict[str, Distribution] = {}
    waiting = requirements(PACKAGE, EXTRAS)
    while waiting:
        requirement = waiting.pop()
        name = canonicalize_name(requirement.name)
        if name in found:
            continue
        try:
            found[name] = distribution(name)
        except PackageNotFoundError:
            raise SystemExit(f"expected {name} to be installed: call bootstrap.py") from None
        waiting += requirements(name, tuple(requirement.extras))
    return dict(sorted(found.items()))
