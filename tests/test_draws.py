import hashlib

import numpy as np
import pytest
import torch

from modelprint.draws import Draws

MASK = 2**64 - 1


def philox(key: int, blocks: int) -> list[int]:
    """Philox-4x64-10 (Salmon et al. 2011, section 3.3) in plain integers, counters from 1 on."""
    words = []
    for counter in range(1, blocks + 1):
        c = [counter, 0, 0, 0]
        k = [key & MASK, key >> 64]
        for _ in range(10):
            a, b = 0xD2E7470EE14C6C93 * c[0], 0xCA5A826395121157 * c[2]
            c = [(b >> 64) ^ c[1] ^ k[0], b & MASK, (a >> 64) ^ c[3] ^ k[1], a & MASK]
            k = [(k[0] + 0x9E3779B97F4A7C15) & MASK, (k[1] + 0xBB67AE8584CAA73B) & MASK]
        words += c
    return words


def words_of(path: str, blocks: int) -> list[int]:
    return philox(int.from_bytes(hashlib.sha256(path.encode()).digest()[:16], "little"), blocks)


def test_the_stream_is_philox_keyed_by_the_hash_of_the_name():
    words = words_of("str:open\x1fint:0\x1fint:17\x1fstr:weight", 3)
    uniform = Draws("open", 0, 17, "weight").uniform(3, 4)
    assert uniform.dtype == np.float32
    assert uniform.ravel().tolist() == [(word >> 40) / 2**24 for word in words]


def test_numbers_integers_choices_and_orders_come_from_the_same_words():
    words = words_of("str:a\x1fint:1", 3)
    draws = Draws("a", 1)
    assert draws.number() == (words[0] >> 11) / 2**53
    assert draws.number(-2, 6) == -2 + 8 * ((words[1] >> 11) / 2**53)
    assert draws.integer(10) == words[2] % 10
    assert draws.choice("abcdefg") == "abcdefg"[words[3] % 7]
    assert draws.permutation(5).tolist() == sorted(range(5), key=lambda i: words[4 + i])


def test_a_name_always_gives_the_same_stream():
    first, second = Draws("space", 3, "conv"), Draws("space", 3, "conv")
    Draws("something", "else").uniform(100)
    assert (first.uniform(50) == second.uniform(50)).all()
    assert first.number() == second.number()


@pytest.mark.parametrize(
    "name",
    [
        ("space", 4, "conv"),
        ("space", 3, "conv0"),
        ("space", "3", "conv"),
        ("space", 3),
        ("space3",),
    ],
)
def test_another_name_gives_another_stream(name):
    assert (Draws(*name).uniform(20) != Draws("space", 3, "conv").uniform(20)).any()


def test_drawing_in_pieces_gives_what_drawing_at_once_gives():
    whole, pieces = Draws("x"), Draws("x")
    assert whole.uniform(9).tolist() == [
        *pieces.uniform(4),
        *pieces.uniform(2, 2).ravel(),
        *pieces.uniform(1),
    ]


def test_uniform_values_fill_their_range_evenly():
    values = Draws("even").uniform(20_000, low=-3, high=1)
    assert values.min() >= -3
    assert values.max() < 1
    counts = np.histogram(values, bins=10, range=(-3, 1))[0]
    assert counts.min() > 1800
    assert counts.max() < 2200


def test_an_option_that_stands_twice_is_drawn_twice_as_often():
    draws = Draws("choices")
    chosen = [draws.choice(("rare", "common", "common")) for _ in range(6000)]
    assert 1800 < chosen.count("rare") < 2200


def test_a_permutation_holds_every_number_once_and_is_mixed():
    order = Draws("order").permutation(100)
    assert sorted(order) == list(range(100))
    assert abs(np.corrcoef(order, np.arange(100))[0, 1]) < 0.4


def test_a_scalar_and_an_empty_array_can_be_drawn():
    assert Draws("x").uniform().shape == ()
    assert Draws("x").uniform(0, 3).shape == (0, 3)


def test_nobody_elses_random_state_is_touched():
    numpy_state, torch_state = np.random.get_state()[1].copy(), torch.get_rng_state()
    Draws("x").uniform(100)
    Draws("x").permutation(100)
    assert (np.random.get_state()[1] == numpy_state).all()
    assert torch.equal(torch.get_rng_state(), torch_state)
