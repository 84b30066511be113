import pickle
import re
from pathlib import Path

import pytest
import tiny
from fake_hub import FakeHub, Repository
from huggingface_hub import constants, file_download

from modelprint.errors import HubUnreachableError, InvalidWeightsError, WeightsNotFoundError
from modelprint.extractor import FingerprintExtractor
from modelprint.hub import CARD, MODEL, REQUIRED, find_weights

try:
    from huggingface_hub import close_session
except ImportError:  # before huggingface_hub 1.0
    from huggingface_hub.utils._http import reset_sessions as close_session

NAME = "somebody/weights"


def files_of(extractor: FingerprintExtractor, folder: Path) -> dict[str, bytes]:
    extractor.save_pretrained(folder)
    return {path.name: path.read_bytes() for path in folder.iterdir()}


@pytest.fixture
def hub(monkeypatch, tmp_path):
    """A hub with one repository, and a client that knows no other, with an empty cache."""
    server = FakeHub()
    # Read from the environment when huggingface_hub is imported, so too late for setenv.
    monkeypatch.setattr(constants, "ENDPOINT", server.url)
    template = server.url + "/{repo_id}/resolve/{revision}/{filename}"
    # Before huggingface_hub 1.0, a copy of its own.
    for module in (constants, file_download):
        monkeypatch.setattr(module, "HUGGINGFACE_CO_URL_TEMPLATE", template, raising=False)
    monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "cache"))
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", str(tmp_path / "no token"))
    monkeypatch.delenv("HF_TOKEN", raising=False)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setattr("time.sleep", lambda _: None)  # retries wait for seconds
    close_session()
    server.repositories[NAME] = repository = Repository()
    repository.commit(files_of(tiny.extractor(seed=1), tmp_path / "old"), "v1")
    files = files_of(tiny.extractor(seed=2), tmp_path / "new")
    files["pytorch_model.bin"] = pickle.dumps("run me")
    files["deeper/model.safetensors"] = b"not ours"
    files["modeling.py"] = b"raise SystemExit"
    repository.commit(files, "main")
    yield server
    close_session()
    server.stop()


@pytest.fixture
def stopped(hub, monkeypatch):
    """Stops the hub, but only once."""

    def stop():
        hub.stop()
        monkeypatch.setattr(hub, "stop", lambda: None)

    return stop


def load(**arguments):
    return FingerprintExtractor.from_pretrained(NAME, device="cpu", **arguments)


def test_a_repository_is_downloaded_by_its_name(hub):
    extractor = load()
    assert extractor.digest == tiny.extractor(seed=2).digest
    assert extractor.card == tiny.weights().card


def test_a_revision_may_be_a_tag_a_branch_or_a_commit(hub):
    old = tiny.extractor(seed=1).digest
    assert load(revision="v1").digest == old
    assert load(revision=hub.repositories[NAME].revisions["v1"]).digest == old
    assert load(revision="main").digest == tiny.extractor(seed=2).digest


def test_nothing_but_the_four_files_is_ever_downloaded(hub):
    folder = find_weights(NAME, None)
    assert hub.downloads() == {*REQUIRED, CARD}
    assert {path.name for path in folder.rglob("*") if path.is_file()} == {*REQUIRED, CARD}


def test_other_files_can_be_asked_for_and_nothing_else_comes(hub):
    find_weights(NAME, None, files=("config.json", "model*.safetensors"))
    assert hub.downloads() == {MODEL, "config.json"}


def test_a_cached_repository_is_not_downloaded_again(hub):
    load()
    hub.requests.clear()
    load()
    assert hub.downloads() == set()


def test_new_weights_are_fetched_when_the_branch_moves_on(hub, tmp_path):
    load()
    hub.repositories[NAME].commit(files_of(tiny.extractor(seed=3), tmp_path / "newer"))
    assert load().digest == tiny.extractor(seed=3).digest


def test_a_cached_repository_works_while_the_hub_is_away(hub, stopped):
    digest = load().digest
    stopped()
    assert load().digest == digest


def test_a_cached_repository_works_offline(hub, monkeypatch):
    digest = load().digest
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    close_session()  # so that older clients look at it again
    hub.requests.clear()
    assert load().digest == digest
    assert hub.requests == []


def test_offline_without_a_cache_is_a_clear_error(hub, monkeypatch):
    monkeypatch.setattr(constants, "HF_HUB_OFFLINE", True)
    with pytest.raises(HubUnreachableError, match=f"{NAME} is not cached.*bundled weights"):
        load()
    assert hub.requests == []


def test_a_hub_that_is_not_there_is_a_clear_error(hub, stopped):
    stopped()
    with pytest.raises(HubUnreachableError, match=f"{NAME} is not cached.*bundled weights"):
        load()


def test_a_hub_that_is_overloaded_is_a_clear_error(hub):
    hub.down = True
    with pytest.raises(HubUnreachableError, match="could not be reached"):
        load()


def test_a_proxy_that_is_not_there_is_a_clear_error(hub, monkeypatch):
    for name in ("NO_PROXY", "no_proxy"):
        monkeypatch.delenv(name, raising=False)
    for name in ("HTTP_PROXY", "http_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    close_session()
    with pytest.raises(HubUnreachableError, match="could not be reached"):
        load()


def test_a_download_that_breaks_halfway_is_a_clear_error_and_can_be_repeated(hub):
    hub.broken = {MODEL}
    with pytest.raises(HubUnreachableError, match="could not be reached"):
        load()
    hub.broken = set()
    assert load().digest == tiny.extractor(seed=2).digest


@pytest.mark.parametrize("name", ["somebody/else", "nobody/weights"])
def test_an_unknown_repository_is_a_clear_error(hub, name):
    with pytest.raises(WeightsNotFoundError, match=f"no hub repository {name}; check the spelling"):
        FingerprintExtractor.from_pretrained(name)


@pytest.mark.parametrize("revision", ["v2", "0" * 40])
def test_an_unknown_revision_is_a_clear_error(hub, revision):
    with pytest.raises(WeightsNotFoundError, match=f"{NAME} at {revision}"):
        load(revision=revision)


def test_a_gated_repository_is_a_clear_error(hub):
    hub.gated = {NAME}
    with pytest.raises(WeightsNotFoundError, match="restricted: accept its terms"):
        load()


@pytest.mark.parametrize(
    "name", ["some body/weights", "somebody/we..ights", "somebody/", "a/" + 99 * "b"]
)
def test_a_name_that_cannot_be_a_repository_is_a_clear_error(hub, name):
    with pytest.raises(WeightsNotFoundError, match=re.escape(repr(name))):
        FingerprintExtractor.from_pretrained(name)
    assert not hub.downloads()


def test_a_repository_that_holds_something_else_is_a_clear_error(hub):
    hub.repositories[NAME].commit(
        {"pytorch_model.bin": pickle.dumps("run me"), "config.json": b"{}"}
    )
    with pytest.raises(InvalidWeightsError, match=f"{MODEL} and calibration.json missing"):
        load()
    assert "pytorch_model.bin" not in hub.downloads()


def test_pushed_weights_come_back_the_same(hub, tmp_path):
    extractor = tiny.extractor(seed=7)
    extractor.push_to_hub("me/mine")
    pushed = hub.repositories["me/mine"]
    assert pushed.commits[pushed.revisions["main"]] == files_of(extractor, tmp_path / "mine")
    assert FingerprintExtractor.from_pretrained("me/mine").digest == extractor.digest
