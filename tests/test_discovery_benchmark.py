"""The discovery benchmark on a small made-up folder, its figures against plain counting."""

import json

import pytest
from fakes import FakeExtractor, picture
from PIL import Image
from sklearn.metrics import adjusted_rand_score

from benchmarks import discovery
from benchmarks.discovery import Remembering, figures, run
from benchmarks.folder import BenchmarkFolder

MODELS = {"a": 1, "b": 2, "c": 3, "d": 8, "e": 9, "f": 11}


@pytest.fixture(scope="module")
def path(tmp_path_factory):
    root = tmp_path_factory.mktemp("benchmark") / "made-up"
    files = {
        **{f"images/{name}/{i:02}.png": (m, i) for name, m in MODELS.items() for i in range(9)},
        **{f"real/{i:02}.png": (60 + i, 0) for i in range(4)},
    }
    for name, (model, number) in files.items():
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(picture(model, number)).save(root / name)
    return root


@pytest.fixture(scope="module")
def outcome(path):
    return run(Remembering(FakeExtractor()), BenchmarkFolder.open(path, least_images=5), 4, 0)


def test_everything_but_the_enrolled_images_is_asked_about(outcome):
    assert len(outcome.origin) == 6 * 9 - 3 * 4 + 4
    assert len(outcome.hidden) == 3 * 9
    assert len(outcome.known) == 3 * 5
    assert len(outcome.photographs) == 4
    hidden = {outcome.origin[name] for name in outcome.hidden}
    assert len(hidden) == 3
    assert hidden.isdisjoint(outcome.origin[name] for name in outcome.known)


def test_figures_are_those_of_plain_counting(outcome):
    values = figures(outcome)
    truth = [outcome.origin[name] for name in outcome.hidden]
    answer = [outcome.answer[name] for name in outcome.hidden]
    assert values["ari"] == pytest.approx(adjusted_rand_score(truth, answer))
    best = [max(map(group.count, group)) for group in _by(answer, truth)]
    assert values["purity"] == sum(best) / len(truth)
    best = [max(map(group.count, group)) for group in _by(truth, answer)]
    assert values["inverse_purity"] == sum(best) / len(truth)
    assert values["grouped"] == sum(name in outcome.grouped for name in outcome.hidden) / 27
    assert values["groups"] == len({outcome.answer[name] for name in outcome.grouped})
    assert values["hidden_models"] == 3
    assert values["known_matched"] == sum(
        outcome.matched.get(name) == outcome.origin[name] for name in outcome.known
    ) / len(outcome.known)
    assert values["hidden_matched"] == sum(n in outcome.matched for n in outcome.hidden) / 27
    assert values["ari"] > 0.7
    assert values["best_cut_ari"] > 0.9


def _by(keys, values):
    return [[v for k, v in zip(keys, values, strict=True) if k == key] for key in set(keys)]


def test_each_picture_is_embedded_once(path):
    folder = BenchmarkFolder.open(path, least_images=5)
    extractor = FakeExtractor()
    for seed in range(2):
        run(embedder := Remembering(extractor), folder, 4, seed)
        run(embedder, folder, 4, seed + 5)
    assert sum(extractor.embedded) == 2 * len(folder.files)


def test_command_prints_a_table_and_writes_json(path, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(discovery, "FingerprintExtractor", FakeExtractor)
    target = tmp_path / "discovery.json"
    options = ["--data", str(path), "--enrolled", "4", "--json", str(target)]
    assert discovery.main(options) == 0
    record = json.loads(target.read_text())
    assert len(record["draws"]) == 5
    mean = record["figures"]["ari"]["mean"]
    assert mean == pytest.approx(sum(draw["ari"] for draw in record["draws"]) / 5)
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) == 2 + len(discovery.TITLES)
    assert f"| {mean:.3f}" in lines[2]
    assert record["data"]["photographs"] == 4
    assert str(path.parent) not in target.read_text()


@pytest.mark.parametrize(
    ("extra", "says"),
    [
        (["--enrolled", "0"], "--enrolled: expected 1 or more"),
        (["--enrolled", "40"], "expected 41 images"),
        (["--json", "nowhere/discovery.json"], "no folder nowhere"),
    ],
)
def test_command_refuses_bad_options_in_one_line(path, extra, says, monkeypatch, capsys):
    monkeypatch.setattr(discovery, "FingerprintExtractor", FakeExtractor)
    with pytest.raises(SystemExit) as stopped:
        discovery.main(["--data", str(path), *extra])
    assert stopped.value.code == 2
    assert says in capsys.readouterr().err
