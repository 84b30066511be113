"""Weights folders: what is saved comes back, and nothing else is let in."""

import dataclasses
import hashlib
import json
from pathlib import Path

import pytest
import tiny
import torch
from safetensors.torch import load_file, save_file

from modelprint.errors import InvalidOptionError, InvalidWeightsError, WeightsNotFoundError
from modelprint.extractor import FingerprintExtractor
from modelprint.hub import BUNDLED, CALIBRATION, CARD, CONFIG, MODEL, WeightsFolder

# A config.json alone must not ask for more memory than the largest network that there is.
WIDER = {"depth": 50, "width": 257, "log": False}
DEEPER = {"depth": 1000, "width": 64, "log": False}


@pytest.fixture
def folder(tmp_path):
    tiny.extractor().save_pretrained(tmp_path / "weights")
    return tmp_path / "weights"


def sign(folder):
    """Put the digests right, as whoever changes a folder on purpose would."""
    names = (MODEL, CALIBRATION)
    digests = {name: hashlib.sha256((folder / name).read_bytes()).hexdigest() for name in names}
    rewrite(folder / CONFIG, sha256=digests)


def changed(weights: WeightsFolder, **tensors: torch.Tensor) -> WeightsFolder:
    return dataclasses.replace(weights, tensors={**weights.tensors, **tensors})


@pytest.mark.parametrize("make", [tiny.weights, tiny.network_weights])
def test_a_saved_extractor_comes_back_the_same(make, tmp_path):
    before = FingerprintExtractor.from_weights(make())
    before.save_pretrained(tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        [MODEL, CONFIG, CALIBRATION, CARD]
    )
    for source in (tmp_path, str(tmp_path)):
        after = FingerprintExtractor.from_pretrained(source, device="cpu")
        assert after.digest == before.digest
        assert after.config == before.config
        assert after.calibration == before.calibration
        assert after.card == before.card
        assert torch.equal(after.embed(tiny.photos(3)), before.embed(tiny.photos(3)))
        rows = tiny.unit_rows(3, seed=9)
        assert torch.equal(after.compare(rows, rows), before.compare(rows, rows))


def test_saving_again_replaces_every_file(folder):
    (folder / CONFIG).write_text("{}")
    other = tiny.extractor(seed=5)
    other.card = "# Another card\n"
    other.save_pretrained(folder)
    assert FingerprintExtractor.from_pretrained(folder).digest == other.digest
    assert (folder / CARD).read_text() == "# Another card\n"


def test_loading_leaves_everybodys_random_state_alone(tmp_path):
    weights = tiny.network_weights()
    before = torch.get_rng_state()
    FingerprintExtractor.from_weights(weights)
    assert torch.equal(torch.get_rng_state(), before)


def test_counters_of_batch_norms_survive_however_long_the_training(tmp_path):
    weights = tiny.network_weights()
    name = "resnet.stem.1.num_batches_tracked"
    count = torch.tensor(1_000_001)
    FingerprintExtractor.from_weights(changed(weights, **{name: count})).save_pretrained(tmp_path)
    FingerprintExtractor.from_pretrained(tmp_path)
    assert load_file(tmp_path / MODEL)[name] == count


def rewrite(path, **changes):
    content = json.loads(path.read_text())
    for key, value in changes.items():
        if value is None:
            del content[key]
        else:
            content[key] = value
    path.write_text(json.dumps(content))


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"dim": None}, r"missing \['dim'\]"),
        ({"trained": None}, r"missing \['trained'\]"),
        ({"schema_version": None}, r"missing \['schema_version'\]"),
        ({"colour": "red"}, r"unknown \['colour'\]"),
        ({"dim": "8"}, "dim to be int, got '8'"),
        ({"dim": 8.0}, r"dim to be int, got 8\.0"),
        ({"dim": True}, "dim to be int, got True"),
        ({"backbone": 3}, "backbone to be str, got 3"),
        ({"options": []}, r"options to be dict, got \[\]"),
        ({"dim": 9}, "dimension 9, got 8"),
        ({"schema_version": 4}, "schema version 4.*pip install -U modelprint"),
        ({"schema_version": 4, "sha256": {"all": 1}}, "expected sha256 with the digests"),
        ({"schema_version": 0}, "expected schema 1 to 3"),
        ({"schema_version": 1}, r"unknown \['sha256'\]"),
        ({"sha256": None}, "expected sha256 with the digests of .*, got None"),
        ({"sha256": {MODEL: "0" * 64}}, "expected sha256 with the digests"),
        ({"sha256": {MODEL: "0" * 64, CALIBRATION: "0" * 64}}, "expected the sha256 0000"),
        ({"schema_version": True}, "schema_version to be int"),
        ({"preprocessing_version": 999}, "preprocessing"),
        ({"backbone": "os.system"}, "backbone in"),
        ({"options": {"dim": 12}}, "does not fit config.json"),
        ({"options": {"dim": 8, "path": "/etc"}}, "options"),
        ({"options": {"dim": 10**15}}, "multiple of 4 between"),
        ({"backbone": "spectrum-resnet", "options": WIDER}, "width between 1 and 256, got 257"),
        ({"backbone": "spectrum-resnet", "options": DEEPER}, "depth in .*, got 1000"),
        ({"options": {}}, "options"),
    ],
)
def test_a_config_that_is_not_exactly_right_is_refused(folder, changes, said):
    rewrite(folder / CONFIG, **changes)
    with pytest.raises(InvalidWeightsError, match=said):
        FingerprintExtractor.from_pretrained(folder)


@pytest.mark.parametrize("name", [CONFIG, CALIBRATION])
@pytest.mark.parametrize("content", ["", "{", "[1, 2]", "null", "\x00\xff", "[" * 100_000])
def test_json_that_is_none_is_refused(folder, name, content):
    (folder / name).write_bytes(content.encode("latin-1"))
    if name != CONFIG:
        sign(folder)
    with pytest.raises(InvalidWeightsError, match=name):
        FingerprintExtractor.from_pretrained(folder)


def test_a_calibration_that_is_not_exactly_right_is_refused(folder):
    rewrite(folder / CALIBRATION, default_fpr=2.0)
    sign(folder)
    with pytest.raises(InvalidWeightsError, match="calibration"):
        FingerprintExtractor.from_pretrained(folder)


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("projection", None, "Missing key.*projection"),
        ("projection.scale", None, "projection.scale for each column, got .* None"),
        ("projection.scale", torch.zeros(3, dtype=torch.float16), r"got shapes .* \(3,\)"),
        ("projection.scale", torch.full((tiny.DIM // 4,), torch.inf), "NaN or infinity"),
        ("cohort", None, "cohort of shape"),
        ("extra", torch.zeros(2), "Unexpected key.*extra"),
        ("mean", torch.zeros(3), "size mismatch for mean"),
        ("mean", torch.full_like(tiny.weights().tensors["mean"], torch.nan), "NaN or infinity"),
        ("cohort", torch.full((4, tiny.DIM), torch.inf), "NaN or infinity"),
        ("cohort", torch.zeros(4, tiny.DIM + 1), "cohort of shape"),
        ("cohort", torch.zeros(4), "cohort of shape"),
        ("cohort", tiny.unit_rows(1), "single one"),
    ],
)
def test_tensors_that_are_not_exactly_right_are_refused(folder, name, value, said):
    tensors = load_file(folder / MODEL)
    tensors.pop(f"{name}.scale", None)
    if value is None:
        del tensors[name]
    else:
        tensors[name] = value
    save_file(tensors, folder / MODEL)
    sign(folder)
    with pytest.raises(InvalidWeightsError, match=f"(?s){said}"):
        FingerprintExtractor.from_pretrained(folder)


@pytest.mark.parametrize("share", [0, 0.001, 0.5, 0.999])
def test_a_truncated_safetensors_file_is_refused(folder, share):
    content = (folder / MODEL).read_bytes()
    (folder / MODEL).write_bytes(content[: int(share * len(content))])
    with pytest.raises(InvalidWeightsError, match=f"{MODEL}: expected the sha256"):
        FingerprintExtractor.from_pretrained(folder)
    sign(folder)
    with pytest.raises(InvalidWeightsError, match="not a whole safetensors file"):
        FingerprintExtractor.from_pretrained(folder)


def test_a_pickle_under_the_weights_name_is_refused(folder):
    torch.save({"mean": torch.zeros(1)}, folder / MODEL)
    sign(folder)
    with pytest.raises(InvalidWeightsError, match="not a whole safetensors file"):
        FingerprintExtractor.from_pretrained(folder)


@pytest.mark.parametrize("name", [MODEL, CONFIG, CALIBRATION])
def test_a_missing_file_is_named(folder, name):
    (folder / name).unlink()
    with pytest.raises(InvalidWeightsError, match=f"{name} missing"):
        FingerprintExtractor.from_pretrained(folder)


def test_a_card_is_optional_and_may_be_in_any_encoding(folder):
    (folder / CARD).write_bytes(b"caf\xe9")
    FingerprintExtractor.from_pretrained(folder)
    (folder / CARD).unlink()
    assert FingerprintExtractor.from_pretrained(folder).card == ""


def test_a_file_of_absurd_size_is_not_read(folder, monkeypatch):
    monkeypatch.setattr("modelprint.hub._MOST_MODEL_BYTES", 1000)
    with pytest.raises(InvalidWeightsError, match="at most 1000 bytes"):
        FingerprintExtractor.from_pretrained(folder)


@pytest.mark.parametrize(
    "source", ["no/such/folder", "./nowhere", "/nowhere", "~/nowhere", "nowhere"]
)
def test_a_folder_that_is_not_there_is_a_clear_error(source):
    with pytest.raises(WeightsNotFoundError, match="is not a folder; check the path"):
        FingerprintExtractor.from_pretrained(source)


def test_a_path_is_never_taken_for_a_repository(tmp_path):
    with pytest.raises(WeightsNotFoundError, match="is not a folder"):
        FingerprintExtractor.from_pretrained(tmp_path.relative_to(tmp_path.parent) / "b")


def test_weights_in_the_package_have_names():
    default, named, other = (
        FingerprintExtractor.from_pretrained(source, device="cpu") for source in (None, *BUNDLED)
    )
    assert named.digest == default.digest
    assert other.digest != default.digest
    assert default.config.trained["photos"]
    assert not other.config.trained["photos"]
    assert other.digest in other.card


def test_a_path_is_never_the_name_of_weights_in_the_package(folder, monkeypatch):
    monkeypatch.chdir(folder.parent)
    folder.rename("procedural")
    ours = FingerprintExtractor.from_pretrained(Path("procedural"), device="cpu")
    assert ours.digest == tiny.extractor().digest
    bundled = FingerprintExtractor.from_pretrained("procedural", device="cpu")
    assert bundled.digest != ours.digest


def test_a_revision_of_a_folder_is_refused_instead_of_ignored(folder):
    for source in (folder, None, *BUNDLED):
        with pytest.raises(InvalidOptionError, match="got 'v2'"):
            FingerprintExtractor.from_pretrained(source, revision="v2")
