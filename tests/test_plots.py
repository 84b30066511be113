"""What stands on the axes is what the metrics say."""

import subprocess
import sys

import numpy as np
import pytest
from scipy.stats import norm

from modelprint import metrics, plots
from modelprint.errors import InvalidOptionError, MissingExtraError
from modelprint.metrics import det_curve, reliability_curve

try:
    import matplotlib
    from matplotlib.figure import Figure
except ImportError:
    matplotlib = None

drawn = pytest.mark.skipif(
    matplotlib is None, reason="matplotlib is not installed: pip install 'modelprint[plots]'"
)
generator = np.random.default_rng(0)
FEW = det_curve(generator.normal(1, 1, 60), generator.normal(0, 1, 300))
MANY = det_curve(generator.normal(2, 1, 90), generator.normal(0, 1, 500))
TIED = det_curve([1, 2, 2, 3, 3, 3], [0, 1, 1, 2, 3])
P_VALUES = np.array([0.004, 0.3, 0.008, 0.04, 0.2, 0.6, 0.7, 0.8])
MODELS = [0, 1, 2, 0, 1, 2, 0, 1]


def lines(ax, marker):
    return [line for line in ax.get_lines() if line.get_marker() == marker]


def labelled(ax):
    return [line for line in ax.get_lines() if not line.get_label().startswith("_")]


def legend(ax):
    return [text.get_text() for text in ax.get_legend().get_texts()]


def png(figure, path):
    figure.savefig(path, dpi=40)
    return path.read_bytes()


@drawn
def test_det_plot_holds_the_curves_and_their_equal_error_rates(tmp_path):
    figure = plots.det_plot({"few": FEW, "many": MANY})
    (ax,) = figure.axes
    assert type(figure) is Figure
    assert legend(ax) == [
        f"{name}: EER {100 * curve.equal_error_rate:.3g} %"
        for name, curve in (("few", FEW), ("many", MANY))
    ]
    for line, mark, curve in zip(labelled(ax), lines(ax, "o"), (FEW, MANY), strict=True):
        assert line.get_xdata().tolist() == curve.false_match_rates.tolist()
        assert line.get_ydata().tolist() == curve.false_non_match_rates.tolist()
        assert mark.get_xydata().tolist() == [[curve.equal_error_rate] * 2]
        assert mark.get_color() == line.get_color()
    assert "false-match" in ax.get_xlabel()
    assert "false-non-match" in ax.get_ylabel()
    assert png(figure, tmp_path / "det.png").startswith(b"\x89PNG")


@drawn
def test_det_axes_are_normal_deviates():
    for limits in (None, (0.003, 0.7)):
        (ax,) = plots.det_plot({"few": FEW}, limits=limits).axes
        low, high = ax.get_xlim()
        assert ax.get_ylim() == (low, high)
        assert (low, high) == (limits or (0.01, 0.95))
        for rate in (0.005, 0.1, 0.5, 0.6):
            at = ax.transData.transform([rate, rate])
            share = ax.transAxes.inverted().transform(at)
            expected = (norm.ppf(rate) - norm.ppf(low)) / (norm.ppf(high) - norm.ppf(low))
            assert share == pytest.approx([expected] * 2)
            assert ax.transData.inverted().transform(at) == pytest.approx([rate] * 2)
        ticks = [tick for tick in ax.get_xticks() if low <= tick <= high]
        assert len(ticks) >= 4
        assert [t.get_text() for t in ax.get_xticklabels()] == [f"{100 * t:g}" for t in ticks]


@drawn
def test_a_narrow_frame_has_its_limits_as_ticks():
    (ax,) = plots.det_plot({"few": FEW}, limits=(0.06, 0.1)).axes
    assert [text.get_text() for text in ax.get_xticklabels()] == ["6", "10"]


@drawn
def test_ties_are_straight_in_rates_and_the_mark_is_on_the_line():
    (ax,) = plots.det_plot({"tied": TIED}).axes
    (line,) = labelled(ax)
    x, y = line.get_xdata(), line.get_ydata()
    points = set(zip(x.tolist(), y.tolist(), strict=True))
    corners = zip(TIED.false_match_rates, TIED.false_non_match_rates, strict=True)
    assert {(float(a), float(b)) for a, b in corners} < points
    expected = np.interp(-x, -TIED.false_match_rates, TIED.false_non_match_rates)
    inner = (x > 0) & (x < 1)
    np.testing.assert_allclose(y[inner], expected[inner], atol=1e-12)
    gap = np.hypot(*(line.get_xydata() - TIED.equal_error_rate).T).min()
    assert gap < 0.01


@drawn
@pytest.mark.parametrize(
    ("pos", "neg"), [([2, 3], [0, 1]), ([0, 1], [2, 3]), ([1], [1]), ([0, 2], [1])]
)
def test_det_plot_of_few_scores_is_finite(pos, neg, tmp_path):
    figure = plots.det_plot({"few": det_curve(pos, neg)})
    (ax,) = figure.axes
    low, high = ax.get_xlim()
    assert 0 < low < 0.5 < high < 1
    assert png(figure, tmp_path / "det.png").startswith(b"\x89PNG")


@drawn
def test_reliability_plot_holds_rates_and_intervals(tmp_path):
    rates = [0.005, 0.01, 0.05, 0.5]
    by_model = reliability_curve(P_VALUES, MODELS, nominal=rates)
    photographs = reliability_curve([0.02, 0.4, 0.9], nominal=[0.01, 0.03, 0.5], level=0.8)
    figure = plots.reliability_plot({"models": by_model, "photographs": photographs})
    (ax,) = figure.axes
    assert legend(ax) == ["models, 95 % interval", "photographs, 80 % interval"]
    assert (ax.get_xscale(), ax.get_yscale()) == ("log", "log")
    assert ax.get_xlim() == ax.get_ylim() == (0.0025, 1.0)
    for line, shade, curve in zip(
        labelled(ax), ax.collections, (by_model, photographs), strict=True
    ):
        assert line.get_xdata().tolist() == curve.nominal.tolist()
        some = curve.measured > 0
        assert line.get_ydata()[some].tolist() == curve.measured[some].tolist()
        assert np.isnan(line.get_ydata()[~some]).all()
        corners = set(map(tuple, shade.get_paths()[0].vertices.tolist()))
        bounds = np.r_[np.c_[curve.nominal, curve.low], np.c_[curve.nominal, curve.high]]
        assert set(map(tuple, bounds.tolist())) == corners
    (none,) = lines(ax, "v")
    assert none.get_xdata().tolist() == [0.01]
    assert none.get_color() == labelled(ax)[1].get_color()
    on_frame = ax.transAxes.inverted().transform(none.get_transform().transform([0.01, 0.0]))
    assert on_frame[1] == pytest.approx(0.0)
    assert png(figure, tmp_path / "reliability.png").startswith(b"\x89PNG")


@drawn
@pytest.mark.parametrize("rates", [[0.01], [0.02, 0.03], np.geomspace(1e-6, 0.9, 30)])
def test_reliability_ticks_are_few_and_some(rates):
    (ax,) = plots.reliability_plot({"p": reliability_curve([0.015, 0.5], nominal=rates)}).axes
    low, high = ax.get_xlim()
    assert 1 <= len(ax.get_xticks()) <= 12
    assert all(low <= tick <= high for tick in ax.get_xticks())


PLOTS = {
    "det_plot": {"few": FEW},
    "reliability_plot": {"p": reliability_curve(P_VALUES)},
}
each = pytest.mark.parametrize("name", PLOTS)


@drawn
@each
def test_a_picture_goes_onto_given_axes(name):
    figure = Figure()
    whole, part = figure.subfigures(1, 2)
    for owner in (figure, part):
        ax, other = owner.subplots(1, 2)
        assert getattr(plots, name)(PLOTS[name], ax=ax) is figure
        assert ax.get_lines()
        assert not other.get_lines()
    assert not whole.axes


@each
def test_what_cannot_be_drawn_is_refused(name):
    draw = getattr(plots, name)
    for curves, got in [({}, "got dict"), (FEW, "DetCurve"), ({"x": [1, 2]}, "list for 'x'")]:
        with pytest.raises(InvalidOptionError, match=f"curves: expected .* {got}"):
            draw(curves)
    other = next(PLOTS[key] for key in PLOTS if key != name)
    with pytest.raises(InvalidOptionError, match="curves: expected"):
        draw(other)


@pytest.mark.parametrize("limits", [(0.0, 0.5), (0.5, 0.1), (0.1, 1.0), (float("nan"), 0.5)])
def test_det_limits_out_of_range_are_refused(limits):
    with pytest.raises(InvalidOptionError, match="limits: expected 0 < smallest < largest < 1"):
        plots.det_plot({"few": FEW}, limits=limits)


@each
def test_without_matplotlib_the_error_names_the_extra(name, monkeypatch):
    for module in ("matplotlib", "matplotlib.figure"):
        monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"pip install 'modelprint\[plots\]'"):
        getattr(plots, name)(PLOTS[name])


def run(code):
    return subprocess.run(
        [sys.executable, "-W", "error", "-c", code], capture_output=True, text=True, timeout=120
    )


def test_matplotlib_is_imported_when_drawing_and_its_global_state_left_alone():
    draw = """
# Asking for the backend would choose one.
settings = [key for key in matplotlib.rcParams if key != "backend"]
before = [matplotlib.rcParams[key] for key in settings]
plots.det_plot({"a": metrics.det_curve([1, 2], [0, 1])}).savefig(io.BytesIO())
plots.reliability_plot({"a": metrics.reliability_curve([0.1, 0.9])}).savefig(io.BytesIO())
assert [matplotlib.rcParams[key] for key in settings] == before
assert "matplotlib.pyplot" not in sys.modules
"""
    code = f"""
import io, sys
from modelprint import metrics, plots
assert "matplotlib" not in sys.modules
{"import matplotlib" + draw if matplotlib else ""}
"""
    done = run(code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


def test_the_public_names():
    assert plots.__all__ == ["det_plot", "evidence_plot", "reliability_plot"]
    assert metrics.det_curve is det_curve
