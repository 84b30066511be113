import itertools
import threading
import time

import pytest

from modelprint import ahead
from modelprint.ahead import in_order


def run(work, items, size=lambda result: 1, *, most=6, most_size=1000):
    return in_order(work, iter(items), size, most=most, most_size=most_size)


def wait_until(holds):
    deadline = time.monotonic() + 20
    while not holds():
        assert time.monotonic() < deadline, "it never came to be"
        time.sleep(0.002)


@pytest.fixture(autouse=True)
def four_threads(monkeypatch):
    monkeypatch.setattr(ahead, "_THREADS", 4)


def test_results_come_in_order_however_long_each_takes():
    def work(i):
        time.sleep(0.002 * (i * 7 % 5))
        return i * i

    assert list(run(work, range(60))) == [i * i for i in range(60)]
    assert list(run(work, [])) == []
    assert list(run(work, [3])) == [9]


def test_work_is_done_while_the_results_are_not_asked_for():
    begun = []
    results = run(lambda i: begun.append(i) or i, range(100))
    assert begun == []
    assert next(results) == 0
    wait_until(lambda: sorted(begun) == list(range(6)))
    assert next(results) == 1
    wait_until(lambda: sorted(begun) == list(range(7)))


def test_several_things_are_done_at_once():
    together = threading.Barrier(4)  # which is passed by four threads or by none
    assert list(run(lambda i: together.wait(20) >= 0, range(8))) == [True] * 8


def test_no_more_is_begun_when_what_is_ready_is_large():
    begun = []
    results = run(lambda i: begun.append(i) or i, range(100), lambda _: 10, most=50, most_size=30)
    next(results)
    wait_until(lambda: len(begun) >= 4)
    time.sleep(0.05)
    # Three are ready, and up to four threads had begun another before that was known.
    assert len(begun) <= 1 + 3 + 3
    assert list(results) == list(range(1, 100))


def test_results_larger_than_is_allowed_still_come():
    assert list(run(lambda i: i, range(200), lambda _: 10**9, most_size=1)) == list(range(200))


def test_an_error_comes_in_its_turn():
    def work(i):
        if i in (5, 7):
            raise ZeroDivisionError(i)
        return i

    results = run(work, range(10))
    assert list(itertools.islice(results, 5)) == list(range(5))
    with pytest.raises(ZeroDivisionError, match="5"):
        next(results)
    assert list(results) == []


def test_items_are_taken_in_the_callers_thread_and_their_errors_passed_on():
    takers = set()

    def items():
        for i in range(10):
            takers.add(threading.current_thread())
            yield i
        raise KeyError("items")

    results = run(lambda i: i, items())
    with pytest.raises(KeyError, match="items"):
        list(results)
    assert takers == {threading.current_thread()}


@pytest.mark.parametrize("leave", ["finish", "close", "fail"])
def test_threads_end(leave):
    before = set(threading.enumerate())
    results = run(lambda i: 1 / (i - 20), range(50 if leave != "finish" else 15))
    next(results)
    wait_until(lambda: len(set(threading.enumerate()) - before) == 4)
    assert all(thread.daemon for thread in set(threading.enumerate()) - before)
    if leave == "close":
        results.close()
    elif leave == "finish":
        list(results)
    else:
        with pytest.raises(ZeroDivisionError):
            list(results)
    wait_until(lambda: set(threading.enumerate()) <= before)
