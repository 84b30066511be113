"""The fidelity benchmark: which models it compares, how it measures, what the command gives."""

import json

import numpy as np
import pytest
from PIL import Image

from benchmarks import fidelity
from benchmarks.fidelity_figures import of_real, of_sets
from benchmarks.fidelity_report import REAL
from benchmarks.fidelity_sets import AXES, SETS, WHOLE, WITHOUT_SEEDS, lines
from modelprint.errors import InvalidOptionError
from modelprint.metrics import diversity, frechet_frequency_distance
from modelprint.synthesis.pictures import draw_pictures
from modelprint.synthesis.space import OPEN, PAPER, DesignSpace

SMALL = DesignSpace(
    "small paper",
    (1, 2),
    {"channels": (4,), "upsampler": ("nearest", "transposed2"), "norm": ("none", "batch")},
    {},
    shared=True,
)
WIDE = DesignSpace("small open", (1,), {"channels": (4,), "kernel": (1, 3), "noise": (0, 0.2)}, {})


def spectra(n: int, seed: int, *, spread: float = 3.0, shift: float = 0.0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    smooth = np.cos(np.outer(np.arange(4), np.linspace(0, np.pi, 12)))
    return generator.normal(size=(n, 4)) * spread @ smooth + shift


@pytest.fixture(scope="module")
def table():
    return {line.name: line.sets for line in lines(PAPER, [OPEN], 72, seed=0)}


def test_there_is_a_line_for_every_axis_of_the_paper(table):
    without = [f"without {letter} ({name})" for letter, (name, _) in AXES.items()]
    assert list(table) == [WHOLE, *without, WITHOUT_SEEDS, "open"]
    assert "".join(AXES) == "KLUANS"


def test_every_set_has_as_many_models_and_none_twice(table):
    for sets in table.values():
        for models in sets.values():
            assert len(models) == len(set(models)) == 72
    assert len(set().union(*table[WHOLE].values())) == 72 * SETS == PAPER.size


def test_without_an_axis_the_axis_alone_is_fixed(table):
    for letter, (name, choice) in AXES.items():
        sets = table[f"without {letter} ({name})"]
        values = [{str(choice(m.architecture)) for m in models} for models in sets.values()]
        assert values == [{label} for label in sets]
        assert len(sets) >= 2
        for other, (_, others_choice) in AXES.items():
            if other != letter:
                for models in sets.values():
                    assert len({others_choice(m.architecture) for m in models}) > 1


def test_without_seeds_the_same_architectures_share_a_stream(table):
    for label, models in table[WITHOUT_SEEDS].items():
        assert [m.architecture for m in models] == [m.architecture for m in table[WHOLE][label]]
        assert len({(m.space, m.seed, m.index) for m in models}) == 1
    assert len({models[0].index for models in table[WITHOUT_SEEDS].values()}) == SETS


def test_a_space_smaller_than_the_sets_is_gone_through_again():
    table = {line.name: line.sets for line in lines(SMALL, [], 5, seed=1)}
    assert list(table) == [
        *(WHOLE, "without K (blocks)", "without U (upsampling)"),
        *("without N (normalisation)", WITHOUT_SEEDS),
    ]
    for name, sets in table.items():
        if (
            name != WITHOUT_SEEDS
        ):  # without which an architecture that comes again is the same model
            assert all(len(models) == len(set(models)) == 5 for models in sets.values())
    again = {line.name: line.sets for line in lines(SMALL, [], 5, seed=1)}
    assert again == table


def test_sets_that_cannot_be_made_are_refused():
    with pytest.raises(InvalidOptionError, match="2 or more models in a set, got 1"):
        lines(SMALL, [], 1, seed=0)
    five = DesignSpace("five", (1, 2, 3, 4, 5), {"layers": (1, 2)}, {}, shared=True)
    with pytest.raises(InvalidOptionError, match="at most 4 equally frequent options of blocks"):
        lines(five, [], 5, seed=0)


def test_figures_are_means_over_sets_of_what_the_metrics_say():
    real, sets = spectra(12, 0), [spectra(9, 1), spectra(9, 2, shift=1.0)]
    figures = of_sets(real, sets, reference=None, resamples=20)
    distances = [frechet_frequency_distance(real, rows) for rows in sets]
    assert figures.ffd.value == pytest.approx(np.mean(distances))
    assert figures.diversity.value == pytest.approx(np.mean([diversity(rows) for rows in sets]))
    assert figures.change is None
    assert of_real(real, resamples=20).diversity.value == pytest.approx(diversity(real))


def test_intervals_lie_around_their_figures():
    real, sets = spectra(12, 0), [spectra(12, 1)]
    figures = of_sets(real, sets, reference=[spectra(12, 3, shift=3.0)], resamples=100)
    for figure in (figures.ffd, figures.change, figures.diversity):
        assert figure.low < figure.value < figure.high
    assert figures.ffd.low > 0
    # Four times as many models, intervals half as wide.
    many = of_sets(spectra(48, 0), [spectra(48, 1)], reference=None, resamples=100).diversity
    few = figures.diversity
    assert (many.high - many.low) / many.value < 0.75 * (few.high - few.low) / few.value


def test_a_change_is_measured_against_the_same_real_models():
    """A shift shared by both sides moves each distance a lot and their difference little."""
    real, ours = spectra(12, 0), [spectra(200, 1, shift=4.0)]
    figures = of_sets(real, ours, reference=[spectra(200, 1, shift=4.1)], resamples=100)
    expected = figures.ffd.value - frechet_frequency_distance(real, spectra(200, 1, shift=4.1))
    assert figures.change.value == pytest.approx(expected)
    unpaired = figures.ffd.high - figures.ffd.low
    assert figures.change.high - figures.change.low < 0.7 * unpaired
    same = of_sets(real, ours, reference=ours, resamples=50).change
    assert same.value == pytest.approx(0)


def test_the_floor_is_what_models_of_the_same_kind_reach():
    pool = spectra(60, 5)
    real = pool[:20]
    floor = of_real(real, resamples=10).ffd_of_halves
    alike = of_sets(real, [pool[20:40], pool[40:]], reference=None, resamples=2).ffd_of_halves
    other = of_sets(real, [spectra(20, 6, spread=9.0)], reference=None, resamples=2).ffd_of_halves
    assert floor > frechet_frequency_distance(pool[:30], pool[30:])
    assert alike == pytest.approx(floor, rel=0.5)
    assert other > 2 * floor


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Four "real" models: pictures, and what simple processing makes of them."""
    root = tmp_path_factory.mktemp("fidelity") / "made-up"
    pictures = draw_pictures(2, seed=8, size_px=72)
    for name, step in {"plain": 1, "half": 2, "third": 3, "quarter": 4}.items():
        (root / "images" / name).mkdir(parents=True)
        for number, picture in enumerate(pictures):
            coarse = picture[:, ::step, ::step].numpy().transpose(1, 2, 0)
            large = Image.fromarray(np.ascontiguousarray(coarse)).resize((72, 72))
            large.save(root / "images" / name / f"{number}.png")
    return root


@pytest.fixture
def small(monkeypatch):
    monkeypatch.setattr(fidelity, "PAPER", SMALL)
    monkeypatch.setattr(fidelity, "OPEN", WIDE)
    return ["--models", "2", "--images", "1", "--size", "64", "--resamples", "10"]


def test_command_prints_tables_and_writes_json(folder, small, tmp_path, capsys):
    target = tmp_path / "fidelity.json"
    photos = str(folder / "images" / "plain")
    options = ["--data", str(folder), "--photos", photos, "--json", str(target)]
    assert fidelity.main([*options, *small]) == 0
    printed = capsys.readouterr()
    record = json.loads(target.read_text())
    names = [REAL, WHOLE, "without K (blocks)", "without U (upsampling)"]
    names += ["without N (normalisation)", WITHOUT_SEEDS, "small open"]
    assert list(record["figures"]) == names
    first = printed.out.split("\n\n")[0].splitlines()
    assert first[0].split("|")[4].strip() == "FFD, 2 against 2"
    assert [line.split("|")[1].strip() for line in first[2:]] == names
    figure = record["figures"][WHOLE]["ffd_db2"]
    cell = f"{figure['value']:.0f} [{figure['low']:.0f}, {figure['high']:.0f}]"
    assert first[3].split("|")[2].strip() == cell
    assert set(record["sets"]["without U (upsampling)"]) == {"nearest", "transposed2"}
    assert len(record["mean_spectra_db"][REAL]) == len(record["frequencies_cycles_per_px"]) == 45
    assert record["data"]["models"] == ["half", "plain", "quarter", "third"]
    assert record["protocol"]["models_per_set"] == 2
    assert {"machine", "versions", "git_commit"} < set(record["environment"])
    assert str(folder.parent) not in target.read_text()
    assert "24 synthetic models rendered, 1 images each" in printed.err


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--size", "63"], "--size of 64 or more"),
        (["--images", "0"], "--images and --resamples of 1 or more"),
        (["--models", "1"], "2 or more models in a set"),
        (["--json", "nowhere/fidelity.json"], "no folder nowhere"),
        (["--images", "3", "--photos", "plain"], "expected 3 images or more, got 2"),
        (["--size", "80", "--photos", "plain"], "72 x 72 px, expected 80 or more"),
    ],
)
def test_command_refuses_bad_options_in_one_line(folder, small, extra, says, monkeypatch, capsys):
    monkeypatch.chdir(folder / "images")
    with pytest.raises(SystemExit) as stopped:
        fidelity.main(["--data", str(folder), *small, *extra])
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err


def test_too_few_real_models_are_refused(folder, small, tmp_path, capsys):
    (tmp_path / "images").mkdir()
    for name in ("half", "plain"):
        (tmp_path / "images" / name).symlink_to(folder / "images" / name)
    with pytest.raises(SystemExit):
        fidelity.main(["--data", str(tmp_path), *small])
    assert "expected 4 models or more, got 2" in capsys.readouterr().err
