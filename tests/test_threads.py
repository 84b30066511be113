"""Threads that share one extractor and one gallery."""

import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
import tiny
import torch
from fakes import LikelyEmbedder, picture, pictures

from modelprint.gallery import Gallery
from modelprint.images import load_image

THREADS = 16


def test_readers_see_a_gallery_before_or_after_a_change_and_never_between():
    gallery = Gallery(LikelyEmbedder())
    for model in range(3):
        gallery.enroll(f"model {model}", pictures(model, range(4)))
    images = [load_image(picture(i % 3, 100 + i)) for i in range(6)]
    changes = [(f"new {i}", pictures(9 + i, range(3))) for i in range(3)]
    # What each state answers, by its digest, when nobody else is there.
    expected = {}

    def remember():
        expected[gallery.digest] = [shown(gallery.identify(image)) for image in images]

    def shown(answer):
        return answer.label, [(c.label, c.score, c.p_value, c.share) for c in answer.candidates]

    remember()
    for label, samples in changes:
        gallery.enroll(label, samples)
        remember()
    for label, _ in reversed(changes):
        gallery.remove(label)
    assert len(expected) == 4
    start, stop = threading.Barrier(THREADS), threading.Event()
    seen = set()

    def read():
        start.wait(30)
        while not stop.is_set():
            for i, image in enumerate(images):
                answer = gallery.identify(image)
                digest = answer.provenance.gallery_digest
                assert shown(answer) == expected[digest][i]
                seen.add(digest)

    def change():
        start.wait(30)
        give_up = time.monotonic() + 30
        rounds = 0
        try:
            # Six times, and more if the other threads did not get their turn meanwhile.
            while rounds < 6 or (len(seen) < 2 and time.monotonic() < give_up):
                rounds += 1
                for label, samples in changes:
                    gallery.enroll(label, samples)
                for label, _ in reversed(changes):
                    gallery.remove(label)
        finally:
            stop.set()

    with ThreadPoolExecutor(THREADS) as pool:
        running = [pool.submit(read) for _ in range(THREADS - 1)]
        running.append(pool.submit(change))
        for future in running:
            future.result(60)
    assert len(seen) > 1, "nobody read while it was changed"


@pytest.mark.parametrize("weights", [tiny.weights, tiny.network_weights])
def test_an_extractor_shared_by_threads_gives_each_its_own_fingerprints(weights):
    extractor = tiny.FingerprintExtractor.from_weights(weights(), device="cpu")
    batches = [tiny.photos(3, 40 + 8 * (i % 4), 48, seed=i) for i in range(THREADS)]
    alone = [extractor.embed(batch) for batch in batches]
    start = threading.Barrier(THREADS)

    def embed(batch):
        start.wait(30)
        return [extractor.embed(batch) for _ in range(3)]

    with ThreadPoolExecutor(THREADS) as pool:
        for expected, found in zip(alone, pool.map(embed, batches), strict=True):
            for fingerprints in found:
                assert torch.allclose(fingerprints, expected, atol=1e-5)
