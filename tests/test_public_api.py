from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

import lamina

PUBLIC = (
    "read_series",
    "nn",
    "StackConfig",
    "Stack",
    "Attention",
    "TransformerConfig",
    "Transformer",
    "accelerate",
    "restore",
    "TrainingConfig",
    "Forecaster",
    "SequenceClassifier",
    "TextClassifier",
    "BertClassifier",
    "SequenceTagger",
    "LanguageModel",
    "Translator",
    "MusicModel",
    "load",
    "Session",
    "OnlineClassifier",
    "OnlineRegressor",
    "OnlineForecaster",
    "study",
    "Study",
    "open_study",
    "LaminaError",
)


def test_public_names_are_these() -> None:
    assert tuple(lamina.__all__) == PUBLIC


@pytest.mark.parametrize("name", PUBLIC)
def test_every_public_name_resolves_and_says_what_it_is(name: str) -> None:
    found = getattr(lamina, name)
    assert found.__name__.removeprefix("lamina.") == name
    assert (inspect.getdoc(found) or "").strip()


@pytest.mark.parametrize("name", [name for name in PUBLIC if name not in {"LaminaError", "nn"}])
def test_arguments_after_the_second_are_named(name: str) -> None:
    found = getattr(lamina, name)
    parameters = list(inspect.signature(found).parameters.values())
    positional = [p.name for p in parameters if p.kind in (p.POSITIONAL_ONLY, p.POSITIONAL_OR_KEYWORD)]
    assert len(positional) <= 2, f"{name} takes {', '.join(positional)} by position"


def test_a_bert_is_public_and_says_what_it_needs_where_that_is_missing() -> None:
    code = (
        "import sys, lamina; lamina.BertClassifier; assert 'transformers' not in sys.modules\n"
        "sys.modules['transformers'] = None\n"
        "lamina.BertClassifier().fit(['a b', 'b a'] * 4, [0, 1] * 4)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "MissingPackageError: this needs the package 'transformers'" in done.stderr
    assert "pip install 'lamina[bert]'" in done.stderr


def test_study_is_the_function_also_after_its_package_is_imported() -> None:
    """The package lamina.study must not take the place of the function lamina.study."""
    first = lamina.study
    importlib.import_module("lamina.study.space")
    assert lamina.study is first
    assert callable(lamina.study)
    code = "import lamina.study.space, lamina; lamina.study('x.csv', budget='never')"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert "ConfigError: a budget is a time" in done.stderr


def test_layers_are_reached_through_the_package_of_layers() -> None:
    assert {"LSTM", "GRU", "RNN", "Stack"} <= set(dir(lamina.nn))
    for name in lamina.nn.__all__:
        assert getattr(lamina.nn, name).__name__ == name
    with pytest.raises(AttributeError, match=r"module 'lamina\.nn' has no attribute 'LSTMCell'"):
        _ = lamina.nn.LSTMCell


def test_public_names_are_listed() -> None:
    assert set(PUBLIC) <= set(dir(lamina))


def test_a_name_that_is_none_is_an_attribute_error() -> None:
    with pytest.raises(AttributeError, match="module 'lamina' has no attribute 'forecaster'"):
        _ = lamina.forecaster


@pytest.mark.parametrize(
    "code",
    [
        "import lamina",
        "import lamina.streaming",
        "import lamina; lamina.Session",
        "import lamina; lamina.OnlineClassifier; lamina.OnlineForecaster(depth=0)",
    ],
)
def test_streaming_loads_nothing_heavy(code: str) -> None:
    heavy = "{'torch', 'river', 'polars', 'sklearn', 'pandas', 'scipy'}"
    done = subprocess.run(
        [sys.executable, "-c", f"{code}; import sys; print({heavy} & set(sys.modules))"],
        capture_output=True,
        text=True,
        check=True,
    )
    assert done.stdout.strip() == "set()"
