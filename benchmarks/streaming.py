"""How fast a session answers: `python benchmarks/streaming.py [--quick] [--json FILE]`.

Everything is called from Python on one thread with NumPy arrays in and out, LSTM stacks of (input, hidden,
layers). One key: the time of single steps, each timed alone, in rounds where ours, ONNX Runtime's, torch's
and (where it is installed) deep-river's take turns, so that what else the machine does hits all alike. 1,000
keys: one call for a row of each. The limit is the time that reading the packed weights once takes, measured
in a loop that does nothing else.

Then the promises: streamed and offline outputs over 100,000 steps, memory over 1,000,000 steps, and the
accuracy of int8 weights on JapaneseVowels. Exits with 1 where a bar is missed or could not be measured.
Nothing is timed that does not compute what the stack does.
"""

from __future__ import annotations

import argparse
import importlib.util
import json
import platform
import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import psutil
import torch
from rich.console import Console
from rich.table import Table

from lamina.data.sources import load_labelled
from lamina.estimators.classifier import SequenceClassifier
from lamina.nn.stack import Stack, StackConfig
from lamina.streaming import packed
from lamina.streaming.session import RowSession, Session
from lamina.training.optim import TrainingConfig

SIZES = ((8, 32, 1), (16, 64, 2), (64, 128, 2))
# Of ONNX Runtime's time and of torch's, at most; the third has no bar against torch.
BARS = {(8, 32, 1): (1 / 5, 1 / 20), (16, 64, 2): (1 / 5, 1 / 20), (64, 128, 2): (1 / 3, None)}
KEYS, LEAST_RATE, MOST_SPREAD, TOLERANCE, MOST_INT8 = 1000, 300_000, 3.0, 1e-5, 0.01
# Largest difference from the stack's outputs, which lie in -1 to 1; as in tests/streaming/test_packed.py.
MOST_GAP = {"float32": TOLERANCE, "bfloat16": 0.025, "int8": 0.05}
Row = dict[str, Any]


def stack_of(size: tuple[int, int, int]) -> Stack:
    torch.manual_seed(0)
    features, hidden, layers = size
    return Stack(StackConfig(input_size=features, hidden_sizes=(hidden,) * layers)).eval()


def torch_step(stack: Stack, batch: int) -> Callable[[], None]:
    """torch.nn.LSTM with carried state, NumPy in and out."""
    config = stack.config
    features, hidden, layers = config.input_size or 0, config.hidden_sizes[0], len(config.hidden_sizes)
    module = torch.nn.LSTM(features, hidden, layers).eval()
    x = np.random.default_rng(0).normal(size=(1, batch, features)).astype(np.float32)
    state = None

    def step() -> None:
        nonlocal state
        with torch.inference_mode():
            y, state = module(torch.from_numpy(x), state)
            y.numpy()

    return step


def onnx_step(stack: Stack, batch: int) -> Callable[[], None] | None:
    """The same stack as ONNX LSTM nodes with carried states; None where ONNX Runtime is not installed."""
    try:
        import onnxruntime
        from onnx import TensorProto, helper, numpy_helper
    except ImportError:
        return None
    config = stack.config
    weights = {name: value.numpy() for name, value in stack.state_dict().items()}
    order = [0, 3, 1, 2]  # ONNX has i, o, f, c where torch has i, f, g, o
    nodes, constants = [], [numpy_helper.from_array(np.array([1]), "axis")]
    inputs = [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, batch, config.input_size])]
    outputs, below = [], "x"
    for layer, hidden in enumerate(config.hidden_sizes):

        def arranged(name: str, layer: int = layer, hidden: int = hidden) -> Any:
            whole = weights[f"layers.{layer}.{name}_l0"]
            blocks = whole.reshape(4, hidden, -1)[order].reshape(whole.shape)
            return np.ascontiguousarray(blocks, np.float32)

        bias = np.concatenate([arranged("bias_ih"), arranged("bias_hh")])
        for name, value in (("W", arranged("weight_ih")), ("R", arranged("weight_hh")), ("B", bias)):
            constants.append(numpy_helper.from_array(value[None], f"{name}{layer}"))
        states = [f"h{layer}", f"c{layer}"]
        shape = [1, batch, hidden]
        inputs += [helper.make_tensor_value_info(s, TensorProto.FLOAT, shape) for s in states]
        outputs += [helper.make_tensor_value_info(f"new_{s}", TensorProto.FLOAT, shape) for s in states]
        given = [below, f"W{layer}", f"R{layer}", f"B{layer}", "", *states]
        made = [f"y{layer}", *(f"new_{s}" for s in states)]
        nodes.append(helper.make_node("LSTM", given, made, hidden_size=hidden))
        below = f"squeezed{layer}"
        nodes.append(helper.make_node("Squeeze", [f"y{layer}", "axis"], [below]))
    graph = helper.make_graph(nodes, "stack", inputs, outputs, constants)
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=9)
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(model.SerializeToString(), options, ["CPUExecutionProvider"])
    names = [output.name for output in session.get_outputs()]
    feed = {i.name: np.zeros(i.shape, np.float32) for i in session.get_inputs()}
    feed["x"] = np.random.default_rng(0).normal(size=feed["x"].shape).astype(np.float32)
    check_onnx(stack, session, names, {**feed})

    def step() -> None:
        for name, value in zip(names, session.run(names, feed), strict=True):
            feed[name.removeprefix("new_")] = value

    return step


def check_onnx(stack: Stack, session: Any, names: list[str], feed: dict[str, Any]) -> None:
    """Refuse to time a graph that computes something else."""
    for _ in range(3):
        found = dict(zip(names, session.run(names, feed), strict=True))
        feed |= {name.removeprefix("new_"): value for name, value in found.items()}
    with torch.no_grad():
        y, _ = stack(torch.from_numpy(feed["x"]).transpose(0, 1).repeat(1, 3, 1))
    last = found[f"new_h{len(stack.config.hidden_sizes) - 1}"][0]
    if np.abs(last - y[:, -1].numpy()).max() > TOLERANCE:
        raise SystemExit("the ONNX graph does not compute what the stack does; nothing is timed")


def checked(stack: Stack, storage: packed.Storage) -> RowSession:
    """A session of the stack; refuses one that computes something else, by row or by many."""
    session = Session.of(stack, storage=storage)
    x = np.random.default_rng(1).normal(size=(30, 50, stack.config.input_size or 0)).astype(np.float32)
    keys = [str(i) for i in range(len(x))]
    with torch.no_grad():
        y = stack(torch.from_numpy(x))[0].numpy()
    many = np.stack([session.step_many(np.ascontiguousarray(rows), keys) for rows in x.swapaxes(0, 1)], 1)
    one = np.stack([session.step(row, key="one") for row in x[0]])
    gap = max(np.abs(many - y).max(), np.abs(one - y[0]).max())
    if gap > MOST_GAP[storage]:
        raise SystemExit(f"steps in {storage} differ from the stack's by {gap:.1e}; nothing is timed")
    session.clear()
    return session


def deep_river_step(size: tuple[int, int, int]) -> Callable[[], None] | None:
    """predict_one of deep-river's LSTM, which carries no state and answers with a class.

    It has one layer; None where there are more, or where it is not installed.
    """
    features, hidden, layers = size
    if layers > 1 or importlib.util.find_spec("deep_river") is None:
        return None
    classification = importlib.import_module("deep_river.classification")
    model = classification.LSTMClassifier(n_features=features, hidden_size=hidden)
    x = {f"x{i}": float(i) for i in range(features)}
    model.learn_one(x, 0)
    return lambda: (model.predict_one(x), None)[1]


def our_step(session: RowSession, features: int) -> Callable[[], None]:
    x = np.random.default_rng(0).normal(size=features).astype(np.float32)
    step = session.step
    return lambda: (step(x, key="pump-7"), None)[1]


def our_step_of_many(session: RowSession, x: np.ndarray, keys: list[str]) -> Callable[[], None]:
    return lambda: (session.step_many(x, keys), None)[1]


def take_turns(steps: dict[str, Callable[[], None]], rounds: int, calls: int) -> dict[str, list[float]]:
    """Seconds of single calls, each kind in its turn."""
    times: dict[str, list[float]] = {name: [] for name in steps}
    clock = time.perf_counter_ns
    for number in range(rounds + 1):
        for name, step in steps.items():
            for _ in range(calls):
                begin = clock()
                step()
                end = clock()
                if number:  # the first round warms up
                    times[name].append((end - begin) / 1e9)
    return times


def reading_limit(stack: Stack, storage: str) -> float:
    """Seconds that reading the packed weights once takes at best."""
    model = packed.new_model(storage)
    weights = {name: value.numpy() for name, value in stack.state_dict().items()}
    model.finish(packed.pack_stack(model, stack.config.model_dump(mode="json"), weights))
    found = []
    for _ in range(30):
        begin = time.perf_counter()
        model.read_weights(100)
        found.append((time.perf_counter() - begin) / 100)
    return min(found)


def one_key(rounds: int) -> list[Row]:
    rows = []
    for size in SIZES:
        stack = stack_of(size)
        steps: dict[str, Callable[[], None]] = {
            s: our_step(checked(stack, s), size[0]) for s in packed.STORAGES
        }
        onnx = onnx_step(stack, 1)
        steps |= {"onnxruntime": onnx} if onnx else {}
        steps["torch"] = torch_step(stack, 1)
        deep_river = deep_river_step(size)
        steps |= {"deep-river": deep_river} if deep_river else {}
        times = take_turns(steps, rounds, 500)
        middle = {name: statistics.median(each) for name, each in times.items()}
        for name, each in times.items():
            cuts = statistics.quantiles(each, n=100)
            ours = name in packed.STORAGES
            rows.append(
                {
                    "size": size,
                    "what": name,
                    "p50_us": middle[name] * 1e6,
                    "p99_us": cuts[98] * 1e6,
                    "of_onnxruntime": middle[name] / middle["onnxruntime"] if onnx else None,
                    "of_torch": middle[name] / middle["torch"],
                    "share_of_limit": reading_limit(stack, name) / middle[name] if ours else None,
                }
            )
    return rows


def many_keys(rounds: int) -> list[Row]:
    rows = []
    for size in SIZES:
        stack = stack_of(size)
        x = np.random.default_rng(0).normal(size=(KEYS, size[0])).astype(np.float32)
        keys = [f"pump-{i}" for i in range(KEYS)]
        steps: dict[str, Callable[[], None]] = {}
        for storage in packed.STORAGES:
            steps[storage] = our_step_of_many(checked(stack, storage), x, keys)
        onnx = onnx_step(stack, KEYS)
        steps |= {"onnxruntime": onnx} if onnx else {}
        steps["torch"] = torch_step(stack, KEYS)
        for name, each in take_turns(steps, rounds, 3).items():
            rows.append({"size": size, "what": name, "steps_per_s": KEYS / statistics.median(each)})
    return rows


def parity(steps: int) -> Row:
    stack, session = stack_of((16, 64, 2)), Session.of(stack_of((16, 64, 2)))
    x = torch.randn(1, steps, 16, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        y, _ = stack(x)
    worst = 0.0
    for row, expected in zip(x[0].numpy(), y[0].numpy(), strict=True):
        worst = max(worst, float((np.abs(session.step(row) - expected) / (1 + np.abs(expected))).max()))
    return {"steps": steps, "largest_difference": worst}


def memory(steps: int) -> Row:
    session, process = Session.of(stack_of((8, 32, 1))), psutil.Process()
    x = np.ones(8, np.float32)
    for _ in range(10_000):
        session.step(x, key="a")
    before = process.memory_info().rss
    for _ in range(steps):
        session.step(x, key="a")
    return {"steps": steps, "growth_bytes": process.memory_info().rss - before}


def int8_accuracy(max_steps: int) -> Row:
    training, test = load_labelled("JapaneseVowels", None)
    stack = StackConfig(cell="lstm", hidden_sizes=(64,))
    settings = TrainingConfig(max_steps=max_steps, learning_rate=4e-3)
    model = SequenceClassifier(stack=stack, training=settings)
    model.fit([training[i] for i in range(len(training))], [training.classes[c] for c in training.labels])
    row: Row = {"data": "JapaneseVowels", "training_steps": max_steps}
    truth = [test.classes[code] for code in test.labels]
    for storage in packed.STORAGES:
        session = model.stream(storage=storage)
        assert isinstance(session, RowSession)
        named = []
        for i in range(len(test)):
            session.clear()
            chances = [session.step(step) for step in test[i]][-1]
            named.append(str(model.classes_[chances.argmax()]))
        row[storage] = float(np.mean([name == right for name, right in zip(named, truth, strict=True)]))
    return row


def bars(found: dict[str, Any]) -> list[tuple[str, bool]]:
    """Each bar in words, with what was measured, and whether it is met."""
    said = []
    for row in found["one_key"]:
        if row["what"] not in ("float32", "bfloat16"):
            continue
        size, of_onnx = row["size"], row["of_onnxruntime"]
        most, most_torch = BARS[size]
        if row["what"] == "bfloat16":
            if size != SIZES[-1]:
                continue
            most = 1 / 5
        if of_onnx is None:
            said.append((f"{size} {row['what']}: not measured, for onnxruntime is not installed", False))
        else:
            text = f"{size} {row['what']}: 1/{1 / of_onnx:.1f} of ONNX Runtime's time (bar 1/{1 / most:.0f})"
            said.append((text, of_onnx <= most))
        if most_torch is not None:
            text = f"{size}: 1/{1 / row['of_torch']:.0f} of torch's time (bar 1/{1 / most_torch:.0f})"
            said.append((text, row["of_torch"] <= most_torch))
        if row["what"] == "float32":
            spread = row["p99_us"] / row["p50_us"]
            said.append(
                (f"{size}: p99 is {spread:.2f} times p50 (bar {MOST_SPREAD:g})", spread <= MOST_SPREAD)
            )
    rate = next(
        r["steps_per_s"] for r in found["many_keys"] if r["size"] == SIZES[1] and r["what"] == "float32"
    )
    said.append((f"1,000 keys at {SIZES[1]}: {rate:,.0f} steps/s (bar {LEAST_RATE:,})", rate >= LEAST_RATE))
    gap, steps = found["parity"]["largest_difference"], found["parity"]["steps"]
    said.append(
        (f"offline and streamed differ by {gap:.1e} over {steps:,} steps (bar 1e-5)", gap <= TOLERANCE)
    )
    growth, steps = found["memory"]["growth_bytes"], found["memory"]["steps"]
    said.append((f"memory grows by {growth:,} bytes over {steps:,} steps (bar 1 MiB)", growth < 1 << 20))
    accuracy = found["int8"]
    text = f"int8 accuracy {accuracy['int8']:.4f}, float32 {accuracy['float32']:.4f} (bar 1 %)"
    said.append((text, abs(accuracy["int8"] / accuracy["float32"] - 1) <= MOST_INT8))
    return said


def show(console: Console, title: str, rows: Sequence[Row]) -> None:
    table = Table(title=title, title_justify="left", box=None, padding=(0, 2, 0, 0))
    for name in rows[0]:
        table.add_column(name, justify="left" if name in ("size", "what") else "right")
    for row in rows:
        cells = (
            f"{v:,.3g}" if isinstance(v, float) and v < 1e4 else f"{v:,.0f}" if isinstance(v, float) else v
            for v in row.values()
        )
        table.add_row(*("–" if cell is None else str(cell) for cell in cells))
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="fewer rounds and steps, under a minute")
    parser.add_argument("--json", type=Path, help="file for everything behind the tables")
    options = parser.parse_args()
    torch.set_num_threads(1)
    quick = options.quick
    found: dict[str, Any] = {
        "machine": {"processor": platform.processor() or platform.machine(), "torch": torch.__version__},
        "unit": packed.new_model("float32").unit,
        "one_key": one_key(5 if quick else 30),
        "many_keys": many_keys(3 if quick else 20),
        "parity": parity(10_000 if quick else 100_000),
        "memory": memory(100_000 if quick else 1_000_000),
        "int8": int8_accuracy(60 if quick else 300),
    }
    said = bars(found)
    found["bars"] = [{"text": text, "met": met} for text, met in said]
    console = Console(width=110)
    show(console, f"one key, unit {found['unit']}", found["one_key"])
    show(console, "1,000 keys in a call", found["many_keys"])
    for text, met in said:
        console.print(f" {'met    ' if met else 'NOT met'}  {text}", highlight=False)
    if options.json:
        options.json.write_text(json.dumps(found, indent=1) + "\n", encoding="utf-8")
    sys.exit(0 if all(met for _, met in said) else 1)


if __name__ == "__main__":
    main()
