import pytest
import torch
from fakes import DIM, CosineEmbedder, picture, pictures

from modelprint.asking import verify
from modelprint.errors import InvalidOptionError
from modelprint.gallery import Gallery


@pytest.mark.parametrize(
    ("attribute", "value"),
    [("embed", None), ("dim", 0), ("dim", "16"), ("digest", "abc"), ("digest", None)],
)
def test_what_is_no_embedder_is_refused(attribute, value):
    embedder = CosineEmbedder()
    setattr(embedder, attribute, value)
    with pytest.raises(InvalidOptionError, match=f"expected an embedder.*{attribute}"):
        Gallery(embedder)
    with pytest.raises(InvalidOptionError, match="expected an embedder"):
        verify(picture(1, 0), picture(1, 1), extractor=embedder)
    with pytest.raises(InvalidOptionError, match="FingerprintExtractor"):
        Gallery("weights/")


@pytest.mark.parametrize(
    ("rows", "why"),
    [
        (lambda n: torch.eye(DIM)[: n + 1], "shape"),
        (lambda n: torch.eye(DIM + 1)[:n], "shape"),
        (lambda n: 2 * torch.eye(DIM)[:n], "unit length"),
        (lambda n: torch.eye(DIM)[:n] * torch.nan, "not finite"),
    ],
)
def test_fingerprints_that_break_the_contract_are_refused(rows, why):
    embedder = CosineEmbedder()
    embedder.embed = lambda images: rows(len(images))
    gallery = Gallery(embedder)
    with pytest.raises(InvalidOptionError, match=why):
        gallery.enroll("a", pictures(1, range(2)))
    assert len(gallery) == 0


def test_fingerprints_of_other_float_types_and_with_gradients_are_taken():
    embedder = CosineEmbedder()
    embedder.embed = lambda images: torch.eye(DIM, dtype=torch.float64)[
        : len(images)
    ].requires_grad_()
    gallery = Gallery(embedder)
    gallery.enroll("a", pictures(1, range(1)))
    gallery.enroll("b", pictures(2, range(1)))
    assert gallery.identify(picture(1, 9)).candidates[0].score == pytest.approx(1.0)
    assert gallery.digest
