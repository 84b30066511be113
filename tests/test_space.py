from collections import Counter
from dataclasses import fields, replace

import pytest

from modelprint.draws import Draws
from modelprint.errors import InvalidOptionError
from modelprint.synthesis.blocks import ACTIVATIONS, NORMS, UPSAMPLERS
from modelprint.synthesis.space import (
    OPEN,
    PAPER,
    SPACES,
    Architecture,
    DesignSpace,
    Stage,
    Whole,
    find_space,
)

SMALL = DesignSpace("small", (1, 2), {"layers": (1, 2), "norm": ("none", "batch", "pixel")}, {})


def drawn(space: DesignSpace, n: int) -> list[Architecture]:
    return [space.draw(Draws("test", number)) for number in range(n)]


def test_the_papers_space_has_288_architectures_of_unique_names():
    architectures = list(PAPER)
    assert PAPER.size == len(architectures) == 288
    assert len({architecture.name for architecture in architectures}) == 288
    assert len(set(architectures)) == 288


def test_the_papers_space_is_gone_through_in_a_fixed_order():
    assert [a.name for a in PAPER] == [a.name for a in PAPER]


def test_the_open_space_has_over_a_million_architectures():
    assert OPEN.size > 10**6


def test_draws_of_the_open_space_hardly_repeat_and_have_unique_names():
    architectures = drawn(OPEN, 1000)
    assert len(set(architectures)) > 990
    assert len({architecture.name for architecture in architectures}) == len(set(architectures))


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_option_of_a_space_is_a_part_that_exists(space):
    assert set(space.stage.get("upsampler", ())) <= set(UPSAMPLERS)
    assert set(space.stage.get("activation", ())) <= set(ACTIVATIONS)
    assert set(space.stage.get("norm", ())) <= set(NORMS)


@pytest.mark.parametrize("space", SPACES.values(), ids=SPACES)
def test_every_option_is_drawn_and_nothing_else(space):
    architectures = drawn(space, 600)
    assert {len(a.stages) for a in architectures} == set(space.depths)
    for axis, options in space.stage.items():
        assert {getattr(s, axis) for a in architectures for s in a.stages} == set(options)
    for axis, options in space.whole.items():
        assert {getattr(a.whole, axis) for a in architectures} == set(options)


def test_an_option_that_stands_twice_is_twice_as_likely():
    space = DesignSpace("x", (1, 1, 1, 2), {"layers": (1, 2, 2)}, {})
    architectures = drawn(space, 3000)
    layers = Counter(a.stages[0].layers for a in architectures)
    depths = Counter(len(a.stages) for a in architectures)
    assert 1.7 < layers[2] / layers[1] < 2.3
    assert 2.5 < depths[1] / depths[2] < 3.5


def test_stages_are_drawn_one_by_one_unless_shared():
    apart = drawn(replace(SMALL, depths=(2,)), 100)
    together = drawn(replace(SMALL, depths=(2,), shared=True), 100)
    assert any(a.stages[0] != a.stages[1] for a in apart)
    assert all(a.stages[0] == a.stages[1] for a in together)


@pytest.mark.parametrize(("shared", "size"), [(False, 6 + 36), (True, 6 + 6)])
def test_the_size_is_the_number_of_architectures(shared, size):
    space = replace(SMALL, shared=shared)
    assert space.size == size
    assert len(set(space)) == len(list(space)) == size


def test_options_that_stand_twice_count_once():
    space = DesignSpace("x", (1, 1), {"layers": (1, 1, 2)}, {"skip": (True, True)})
    assert space.size == len(list(space)) == 2


@pytest.mark.parametrize("field", [f.name for f in fields(Stage)])
def test_a_name_tells_every_choice_of_a_stage(field):
    base = Architecture((Stage(), Stage()))
    other = type(getattr(Stage(), field))(7) if field != "noise" else 0.5
    for stages in (
        (replace(Stage(), **{field: other}), Stage()),
        (Stage(), replace(Stage(), **{field: other})),
    ):
        assert Architecture(stages).name != base.name


@pytest.mark.parametrize("field", [f.name for f in fields(Whole)])
def test_a_name_tells_every_choice_of_the_whole(field):
    value = getattr(Whole(), field)
    other = (not value) if isinstance(value, bool) else type(value)(7)
    changed = Architecture((Stage(),), replace(Whole(), **{field: other}))
    assert changed.name != Architecture((Stage(),)).name


def test_a_name_tells_the_depth():
    assert Architecture((Stage(),)).name != Architecture((Stage(), Stage())).name


@pytest.mark.parametrize(
    ("stage", "whole", "said"),
    [
        ({"colour": (1,)}, {}, "colour"),
        ({}, {"layers": (1,)}, "layers"),
        ({"layers": ()}, {}, "layers"),
        ({}, {"skip": ()}, "skip"),
    ],
)
def test_an_unknown_or_empty_axis_is_refused(stage, whole, said):
    with pytest.raises(InvalidOptionError, match=said):
        DesignSpace("x", (1,), stage, whole)


@pytest.mark.parametrize("depths", [(), (0, 1), (1, 6)])
def test_depths_out_of_range_are_refused(depths):
    with pytest.raises(InvalidOptionError, match="depths"):
        DesignSpace("x", depths, {}, {})


def test_spaces_are_found_by_name_or_taken_as_they_are():
    assert find_space("paper") is PAPER
    assert find_space("open") is OPEN
    assert find_space(SMALL) is SMALL
    with pytest.raises(InvalidOptionError, match=r"open.*paper.*nowhere"):
        find_space("nowhere")
