from __future__ import annotations

import contextlib
import subprocess
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil
import pytest
import torch
from torch import nn

from lamina.errors import ConfigError, DataError, SavedModelError
from lamina.nn.stack import Stack, StackConfig
from lamina.streaming.session import RowSession, Session


@pytest.fixture(scope="module")
def stack() -> Stack:
    torch.manual_seed(0)
    return Stack(StackConfig(input_size=3, hidden_sizes=(8, 5))).eval()


@pytest.fixture
def session(stack: Stack) -> RowSession:
    return Session.of(stack, max_keys=4)


def row(seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=3)


def test_each_key_has_a_state_of_its_own(session: RowSession) -> None:
    first = session.step(row(), key="a")
    second = session.step(row(), key="a")
    other = session.step(row(), key="b")
    assert np.array_equal(first, other)
    assert not np.array_equal(first, second)
    assert first.dtype == np.float32


def test_a_linear_head_maps_the_outputs(stack: Stack) -> None:
    head = nn.Linear(5, 2)
    outputs = Session.of(stack).step(row())
    with torch.no_grad():
        expected = head(torch.from_numpy(outputs)).numpy()
    np.testing.assert_allclose(Session.of(stack, head=head).step(row()), expected, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    "same", [row().astype(np.float32).tolist(), row().astype(np.float32), np.stack([row()] * 2, 1)[:, 0]]
)
def test_rows_may_come_as_lists_and_in_any_layout(stack: Stack, same: object) -> None:
    expected = Session.of(stack).step(row())
    found = Session.of(stack).step(same)  # type: ignore[arg-type]  # one is a view that is not contiguous
    np.testing.assert_allclose(found, expected, rtol=1e-6, atol=1e-6)


FAULTS = {
    "one number too few": ([1.0, 2.0], "shape \\(3,\\), but this one has \\(2,\\)"),
    "two axes": ([[1.0, 2.0, 3.0]], "step_many"),
    "missing": ([1.0, np.nan, 3.0], "input 1 of row 0 is missing"),
    "infinite": (np.array([1, 2, np.inf]), "input 2 of row 0 is infinite"),
    "beyond float32": ([1.0, 2.0, 1e39], "input 2 of row 0 is too large"),
    "beyond what products can hold": (np.array([1, -3e38, 2], np.float32), "input 1 of row 0 is too large"),
    "text": ("1 2 3", "holds numbers"),
    "numbers as text": (["1", "2", "3"], "holds numbers"),
    "nothing": (None, "holds numbers"),
    "ragged": ([[1.0], [2.0, 3.0]], "cannot be read"),
    "complex": (np.array([1j, 2, 3]), "holds numbers"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_bad_row_is_an_error_and_changes_nothing(session: RowSession, fault: str) -> None:
    session.step(row(), key="a")
    before = session.snapshot()
    x, message = FAULTS[fault]
    with pytest.raises(DataError, match=message):
        session.step(x, key="a")  # type: ignore[arg-type]  # wrong on purpose
    assert session.snapshot() == before


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("k" * 1_000_000, "at most 256 bytes, but one has 1000000"),
        ("ü" * 129, "at most 256 bytes, but one has 258"),
        (7, "a key is a string, but one is of type int"),
        (None, "of type NoneType"),
        ("\ud800", "lone surrogate"),
    ],
)
def test_a_bad_key_is_an_error_and_changes_nothing(session: RowSession, key: object, message: str) -> None:
    session.step(row(), key="a")
    before = session.snapshot()
    with pytest.raises(DataError, match=message):
        session.step(row(), key=key)  # type: ignore[arg-type]  # wrong on purpose
    with pytest.raises(DataError, match=message):
        session.step_many([row()] * 2, ["a", key])  # type: ignore[list-item]
    assert session.snapshot() == before


def test_the_longest_key_is_a_key(session: RowSession) -> None:
    session.step(row(), key="k" * 256)
    assert session.keys() == ["k" * 256]


def test_many_keys_in_one_call_are_as_one_by_one(stack: Stack) -> None:
    """More rows than go side by side, some keys twice or three times, in order."""
    generator = np.random.default_rng(1)
    x = generator.normal(size=(90, 3)).astype(np.float32)
    keys = [f"k{i}" for i in generator.integers(0, 40, size=90)]
    one, many = Session.of(stack), Session.of(stack)
    expected = np.stack([one.step(values, key=key) for values, key in zip(x, keys, strict=True)])
    np.testing.assert_allclose(many.step_many(x, keys), expected, rtol=1e-5, atol=1e-6)
    assert many.keys() == one.keys()


def test_more_keys_in_a_call_than_are_kept(stack: Stack) -> None:
    session = Session.of(stack, max_keys=3)
    out = session.step_many(np.ones((50, 3)), [str(i) for i in range(50)])
    np.testing.assert_allclose(out, np.broadcast_to(out[0], out.shape), rtol=1e-5, atol=1e-6)
    assert session.keys() == ["47", "48", "49"]
    assert session.evicted == 47


@pytest.mark.parametrize(
    ("x", "keys"),
    [(np.ones((2, 3)), ["a"]), (np.ones((1, 2)), ["a"]), (np.ones(3), ["a"]), (np.ones((1, 3)), "a")],
)
def test_rows_and_keys_that_do_not_fit_are_an_error(
    session: RowSession, x: np.ndarray, keys: list[str]
) -> None:
    with pytest.raises(DataError):
        session.step_many(x, keys)
    assert len(session) == 0


def test_no_rows_at_all_give_none(session: RowSession) -> None:
    assert session.step_many(np.ones((0, 3)), []).shape == (0, 5)


def test_keys_come_and_go_as_in_an_ordered_dictionary(stack: Stack) -> None:
    """Against a model of the least-recently-used rule, over random uses and removals."""
    generator = np.random.default_rng(2)
    session, model = Session.of(stack, max_keys=50), OrderedDict[str, int]()
    for _ in range(5000):
        key = f"key {generator.integers(0, 120)}" * int(generator.integers(1, 4))
        if generator.random() < 0.1:
            assert session.reset(key) == (model.pop(key, None) is not None)
            continue
        session.step(np.ones(3), key=key)
        model[key] = model.get(key, 0) + 1
        model.move_to_end(key)
        if len(model) > 50:
            model.popitem(last=False)
        assert key in session
        assert len(session) == len(model)
    assert session.keys() == list(model)
    # a state is that of as many steps as the model counts
    fresh = Session.of(stack)
    steps = [fresh.step(np.ones(3)) for _ in range(max(model.values()) + 1)]
    for key, count in model.items():
        assert np.array_equal(session.step(np.ones(3), key=key), steps[count])


def test_what_was_evicted_stays_counted(stack: Stack) -> None:
    session = Session.of(stack, max_keys=3)
    for i in range(5):
        session.step(row(), key=str(i))
    state, kept = session.snapshot(), session.keys()
    session.peek(row(), key="new")
    assert (session.evicted, session.keys(), session.snapshot()) == (2, kept, state)
    session.restore(state)
    session.clear()
    assert session.evicted == 2


def test_a_peek_is_what_a_step_answers(session: RowSession) -> None:
    for key in ("a", "a", "b"):
        for x in (row(), row().astype(np.float32)):
            peeked = session.peek(x, key=key)
            np.testing.assert_array_equal(session.step(x, key=key), peeked)


def test_memory_stays_below_the_stated_bound(stack: Stack) -> None:
    session = Session.of(stack, max_keys=1000)
    for i in range(3000):
        session.step(row(), key=f"{i:0256d}")
        assert session.used_bytes <= session.bound_bytes
    assert len(session) == 1000
    session.clear()
    assert len(session) == 0
    assert session.used_bytes < 10_000


def test_memory_is_flat_over_a_million_steps(stack: Stack) -> None:
    session = Session.of(stack)
    x, process = row(), psutil.Process()
    for _ in range(10_000):
        session.step(x, key="a")
    before = process.memory_info().rss
    for _ in range(1_000_000):
        session.step(x, key="a")
    assert process.memory_info().rss - before < 1 << 20


def test_a_snapshot_goes_on_where_it_was_taken(stack: Stack, tmp_path: Path) -> None:
    session = Session.of(stack)
    for i in range(20):
        session.step(row(i), key=f"pump {i % 6}")
    session.save(tmp_path / "state.bin")
    taken = session.snapshot()
    later = [session.step(row(99), key=f"pump {i}") for i in range(6)]
    for source in (taken, tmp_path / "state.bin"):
        other = Session.of(stack)
        other.step(row(), key="forgotten by restore")
        other.restore(source)
        assert other.snapshot() == taken
        assert all(
            np.array_equal(other.step(row(99), key=f"pump {i}"), expected) for i, expected in enumerate(later)
        )


def test_a_snapshot_of_another_model_or_a_cut_one_is_refused(stack: Stack) -> None:
    session = Session.of(stack)
    session.step(row(), key="a")
    before = session.snapshot()
    torch.manual_seed(1)
    other = Session.of(Stack(stack.config))
    for wrong in (other, Session.of(stack, storage="int8")):
        with pytest.raises(SavedModelError, match="of another model"):
            session.restore(wrong.snapshot())
    for cut in (before[:-1], before[: len(before) // 2], b"", b"something else"):
        with pytest.raises(SavedModelError):
            session.restore(cut)
    assert session.snapshot() == before


def test_a_snapshot_with_more_keys_than_are_kept_is_refused(stack: Stack) -> None:
    large, small = Session.of(stack), Session.of(stack, max_keys=2)
    for key in "abc":
        large.step(row(), key=key)
    with pytest.raises(DataError, match="holds 3 keys, and this session keeps at most 2"):
        small.restore(large.snapshot())


def test_a_session_keeps_at_least_one_key(stack: Stack) -> None:
    with pytest.raises(ConfigError, match="max_keys is at least 1"):
        Session.of(stack, max_keys=0)


def test_threads_take_turns_or_are_told(stack: Stack) -> None:
    """Large calls give up the GIL; whoever comes meanwhile gets an error, not a torn state."""
    session = Session.of(Stack(StackConfig(input_size=3, hidden_sizes=(64, 64))).eval())
    keys = [str(i) for i in range(3000)]
    x = np.ones((3000, 3), np.float32)
    messages: list[str] = []

    def work() -> None:
        for _ in range(10):
            try:
                session.step_many(x, keys)
            except DataError as error:
                messages.append(str(error))

    threads = [threading.Thread(target=work) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert all("in use by another thread" in message for message in messages)
    assert len({session.step(x[0], key=key).tobytes() for key in keys}) == 1


@pytest.mark.parametrize(
    "look",
    [
        len,
        lambda session: "a" in session,
        lambda session: session.used_bytes,
        lambda session: session.evicted,
        lambda session: session.peek(np.ones(3)),
    ],
    ids=["len", "in", "used_bytes", "evicted", "peek"],
)
def test_who_looks_while_another_thread_steps_is_told(look: Callable[[RowSession], object]) -> None:
    session = Session.of(Stack(StackConfig(input_size=3, hidden_sizes=(64, 64))).eval())
    keys, x, told = [str(i) for i in range(3000)], np.ones((3000, 3), np.float32), threading.Event()

    def work() -> None:
        while not told.is_set():
            with contextlib.suppress(DataError):  # the other came first
                session.step_many(x, keys)

    thread = threading.Thread(target=work)
    thread.start()

    def look_on() -> None:
        end = time.monotonic() + 60
        while time.monotonic() < end:
            look(session)

    try:
        with pytest.raises(DataError, match="in use by another thread"):
            look_on()
    finally:
        told.set()
        thread.join()


def test_serving_loads_no_torch() -> None:
    heavy = "{'torch', 'polars', 'pandas', 'sklearn', 'scipy', 'pydantic'}"
    code = f"import lamina.streaming.opening, sys; print(sorted({heavy} & set(sys.modules)))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_session_leaves_nothing_behind_at_the_end_of_a_process() -> None:
    code = (
        "from lamina.nn.stack import Stack, StackConfig; from lamina.streaming.session import Session\n"
        "session = Session.of(Stack(StackConfig(input_size=1))); session.step([0.0])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stderr == ""
