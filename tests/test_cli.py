"""What a person types and sees. Most commands run in this process; a few in one of their own."""

from __future__ import annotations

import inspect
import json
import re
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import polars as pl
import pytest

from lamina import cli
from lamina.data.sources import SOURCES

HOURS = 240


def hourly(path: Path, **columns: Sequence[object]) -> Path:
    """A CSV of ten days with a daily season, and these columns beside or instead of its own."""
    generator = np.random.default_rng(0)
    frame = pl.DataFrame(
        {
            "when": pl.datetime_range(
                pl.datetime(2024, 1, 1), pl.datetime(2024, 1, 10, 23), "1h", eager=True
            ),
            "cars": 10 + 3 * np.sin(np.arange(HOURS) * np.pi / 12) + generator.normal(0, 0.5, HOURS),
            "rain": generator.normal(size=HOURS),
        }
    )
    for name, values in columns.items():
        frame = frame.with_columns(pl.Series(name, values))
    frame.write_csv(path)
    return path


class Shell:
    """Types ``lamina ...`` and keeps what was printed."""

    def __init__(self, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self._capture, self._patch = capture, patch
        self.out = self.err = ""

    def __call__(self, *words: object) -> int:
        self._patch.setattr(sys, "argv", ["lamina", *map(str, words)])
        code: object = 0
        try:
            cli.main()
        except SystemExit as end:
            code = end.code
        self.out, self.err = self._capture.readouterr()
        assert "Traceback" not in self.err
        return code if isinstance(code, int) else 0

    def refuses(self, *words: object) -> str:
        """What the command says when it ends with exit code 2."""
        assert self(*words) == 2, self.out + self.err
        assert self.out.strip() == ""
        return " ".join(self.err.replace("│", " ").split())


@pytest.fixture
def lamina(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Shell:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("COLUMNS", "120")
    monkeypatch.setenv("TERM", "dumb")
    monkeypatch.delenv("LAMINA_DATA", raising=False)
    return Shell(capsys, monkeypatch)


@pytest.fixture
def traffic(tmp_path: Path) -> Path:
    return hourly(tmp_path / "traffic.csv")


COMMANDS = ("study", "train", "predict", "describe", "report", "data", "data list", "data path")
STUDY = ("--time", "when", "--target", "cars", "--horizon", "6", "--budget", "9s", "--out", "out")


@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_explains_itself(lamina: Shell, command: str) -> None:
    assert lamina(*command.split(), "--help") == 0
    assert f"lamina {command}" in lamina.out


def test_help_lists_the_commands(lamina: Shell) -> None:
    assert lamina("--help") == 0
    for command in ("study", "train", "predict", "describe", "report", "data"):
        assert command in lamina.out


@pytest.mark.parametrize("command", ["study", "train"])
def test_every_option_says_what_it_is_for(lamina: Shell, command: str) -> None:
    import typer

    found = typer.main.get_command(cli.app)
    for parameter in found.commands[command].params:  # type: ignore[attr-defined]  # a group has commands
        assert getattr(parameter, "help", ""), f"{command} {parameter.name}"


def test_a_misspelt_option_or_command_is_an_error(lamina: Shell, traffic: Path) -> None:
    assert "No such option: --horizn" in lamina.refuses("study", traffic, "--horizn", 6)
    assert "No such command 'studdy'" in lamina.refuses("studdy", traffic)


@pytest.mark.parametrize(
    ("command", "options"),
    [
        ("study", STUDY),
        ("train", ("--time", "when", "--target", "cars", "--horizon", "6", "--out", "out")),
        ("describe", ("--time", "when", "--target", "cars")),
    ],
)
class TestBadData:
    """Each mistake is told with the column or the row, ends with exit code 2, and leaves nothing behind."""

    @pytest.fixture(autouse=True)
    def _nothing_is_left(self, tmp_path: Path) -> object:
        yield
        assert not (tmp_path / "out").exists()

    def test_missing_file(self, lamina: Shell, command: str, options: Sequence[str]) -> None:
        said = lamina.refuses(command, "trafic.csv", *options)
        assert "there is no file 'trafic.csv'" in said

    def test_wrong_column(self, lamina: Shell, traffic: Path, command: str, options: Sequence[str]) -> None:
        said = lamina.refuses(command, traffic, *[o.replace("cars", "crs") for o in options])
        assert "'crs'" in said
        assert "did you mean 'cars'?" in said

    def test_text_in_a_numeric_column(
        self, lamina: Shell, tmp_path: Path, command: str, options: Sequence[str]
    ) -> None:
        values = [str(n) for n in range(HOURS)]
        values[99] = "many"
        said = lamina.refuses(command, hourly(tmp_path / "text.csv", cars=values), *options)
        assert "'cars'" in said
        assert "'many'" in said
        assert "101" in said  # the line in the file

    def test_target_without_values(
        self, lamina: Shell, tmp_path: Path, command: str, options: Sequence[str]
    ) -> None:
        said = lamina.refuses(command, hourly(tmp_path / "nan.csv", cars=["NaN"] * HOURS), *options)
        assert "target 'cars' must have a value somewhere" in said

    def test_duplicate_times(
        self, lamina: Shell, tmp_path: Path, command: str, options: Sequence[str]
    ) -> None:
        lines = hourly(tmp_path / "twice.csv").read_text().splitlines()
        (tmp_path / "twice.csv").write_text("\n".join([*lines[:40], lines[39], *lines[40:]]))
        said = lamina.refuses(command, tmp_path / "twice.csv", *options)
        assert "each time stands once in a series" in said
        assert "40" in said
        assert "--duplicates first, last or mean" in said

    def test_gaps(self, lamina: Shell, tmp_path: Path, command: str, options: Sequence[str]) -> None:
        lines = hourly(tmp_path / "gaps.csv").read_text().splitlines()
        (tmp_path / "gaps.csv").write_text("\n".join([*lines[:40], *lines[43:]]))
        said = lamina.refuses(command, tmp_path / "gaps.csv", *options)
        assert "--gaps missing" in said

    @pytest.mark.parametrize("content", ["", "\n", "when,cars,rain\n"])
    def test_empty_file(
        self, lamina: Shell, tmp_path: Path, command: str, options: Sequence[str], content: str
    ) -> None:
        (tmp_path / "empty.csv").write_text(content)
        said = lamina.refuses(command, tmp_path / "empty.csv", *options)
        assert "empty.csv" in said
        assert "empty" in said or "no rows" in said or "row" in said

    def test_one_row(self, lamina: Shell, tmp_path: Path, command: str, options: Sequence[str]) -> None:
        (tmp_path / "one.csv").write_text("when,cars\n2024-01-01,1\n")
        said = lamina.refuses(command, tmp_path / "one.csv", *options)
        assert "one row" in said

    def test_unknown_choice(self, lamina: Shell, traffic: Path, command: str, options: Sequence[str]) -> None:
        said = lamina.refuses(command, traffic, *options, "--gaps", "mising")
        assert "did you mean 'missing'?" in said


@pytest.mark.parametrize("command", ["study", "train"])
def test_a_constant_series_is_refused(lamina: Shell, tmp_path: Path, command: str) -> None:
    path = hourly(tmp_path / "flat.csv", cars=[7.0] * HOURS)
    few = ("--max-steps", 2) if command == "train" else ()
    said = lamina.refuses(
        command, path, "--time", "when", "--target", "cars", "--horizon", 6, "--out", "out", *few
    )
    assert "cars is constant" in said
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("command", ["study", "train"])
def test_a_horizon_longer_than_the_series_is_refused(lamina: Shell, traffic: Path, command: str) -> None:
    said = lamina.refuses(
        command, traffic, "--time", "when", "--target", "cars", "--horizon", 500, "--out", "out"
    )
    assert "240 rows" in said
    assert "use a horizon of at most 79" in said or "use a smaller horizon" in said


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (("--metric", "mse2"), "metric is one of mase, mae, mse, rmse, smape, but is 'mse2'; did you mean"),
        (("--ask", "dept"), "but 'dept' was asked; did you mean 'depth'?"),
        (("--depths", "1,two"), "whole numbers divided by commas"),
        (("--depths", "0,1"), "depths are at least two numbers of layers, each at least 1"),
        (("--depths", "3"), "depths are at least two numbers of layers"),
        (("--budget", "soon"), "a budget is a time such as 90s, 5m or 1.5h, but is 'soon'"),
        (("--horizon", "0"), "'--horizon'"),
        (("--frequency", "often"), "a step is a count and a unit"),
        (("--future", "snow"), "'snow'"),
        (("--resume",), "--resume goes on with a study, and out holds none"),
        (("--test", "held.ts"), "so that test would have no effect"),
    ],
)
def test_a_bad_option_is_refused_before_any_work(
    lamina: Shell, traffic: Path, tmp_path: Path, options: Sequence[str], message: str
) -> None:
    assert message in lamina.refuses("study", traffic, *STUDY, *options)
    assert not (tmp_path / "out").exists()


def test_a_table_needs_a_horizon(lamina: Shell, traffic: Path) -> None:
    said = lamina.refuses("study", traffic, "--time", "when", "--target", "cars")
    assert "Give horizon= (--horizon)" in said


def test_options_of_series_are_refused_for_sequences(lamina: Shell) -> None:
    said = lamina.refuses("study", "JapaneseVowels", "--target", "y", "--horizon", 3)
    assert "holds labelled sequences, so that target, horizon would have no effect" in said


def test_a_known_name_that_is_misspelt_is_guessed(lamina: Shell) -> None:
    assert "did you mean 'wikipedia_views'?" in lamina.refuses("study", "wikipedia_view", "--horizon", 30)


def test_results_never_replace_something_else(lamina: Shell, traffic: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "thesis.tex").write_text("years of work")
    assert "holds something else" in lamina.refuses("study", traffic, *STUDY)
    said = lamina.refuses("train", traffic, "--target", "cars", "--time", "when", "--out", "out")
    assert "holds something else" in said
    said = lamina.refuses("train", traffic, "--target", "cars", "--time", "when", "--out", "/proc/x")
    assert "/proc/x cannot be made" in said
    assert (tmp_path / "out" / "thesis.tex").read_text() == "years of work"


@pytest.mark.parametrize(
    ("toml", "message"),
    [
        ("[stack]\nhiden_sizes = [8]", "unknown key 'hiden_sizes'; did you mean 'hidden_sizes'?"),
        ("[stck]\ncell = 'gru'", "but has 'stck'; did you mean 'stack'?"),
        ("[training]\nmax_steps = 'many'", "max_steps"),
        ("[stack\n", "cannot be read as TOML"),
        ("# naïve\n", "cannot be read as TOML"),
        ("stack = 3", "holds the table [stack], but has stack = 3"),
        ("[form]\nword_size = 3", "for a Forecaster, config.toml holds the tables [stack], [training], "),
        ("input_sise = 48", "but has 'input_sise'; did you mean 'input_size'?"),
        ("input_size = 0", "input_size: input should be greater than or equal to 1, but is 0"),
        ("[pretraining]\nmax_steps = 3", "holds [pretraining], which needs --unlabelled FILE"),
    ],
)
def test_a_bad_config_is_refused(
    lamina: Shell, traffic: Path, tmp_path: Path, toml: str, message: str
) -> None:
    (tmp_path / "config.toml").write_text(toml, encoding="latin-1")
    said = lamina.refuses("train", traffic, "--target", "cars", "--config", "config.toml", "--out", "out")
    assert message in said
    assert not (tmp_path / "out").exists()


def test_a_config_that_is_not_there_is_refused(lamina: Shell, traffic: Path) -> None:
    said = lamina.refuses("train", traffic, "--target", "cars", "--config", "no.toml", "--out", "out")
    assert "no.toml cannot be read" in said


@pytest.mark.parametrize(
    ("words", "message"),
    [
        (("book.txt", "--horizon", 24), "book.txt trains a LanguageModel, so that --horizon 24 would have"),
        (("book.txt", "--attention"), "so that --attention would have no effect"),
        (("ud.conllu", "--past", ""), "ud.conllu trains a SequenceTagger, so that --past '' would have no"),
        (("a.mid", "--unit", "word"), "a.mid trains a MusicModel, so that --unit word would have no effect"),
        (
            ("book.txt", "--text", "a"),
            "each line of book.txt is a text, so that --text a would have no effect",
        ),
        (("r.csv", "--text", "a", "--bert", "small"), "trains a LanguageModel, so that --bert small would"),
        (
            ("r.csv", "--text", "a", "--label", "b", "--bert", "small", "--hidden", 8),
            "trains a BertClassifier, so that --hidden 8 would have no effect",
        ),
        (
            ("r.csv", "--text", "a", "--label", "b", "--bert", "small", "--config", "c.toml"),
            "c.toml holds [stack], but a BERT has a form of its own",
        ),
        (
            ("x.ts", "--id", "key", "--gaps", "error"),
            "so that --id key and --gaps error would have no effect",
        ),
        (
            ("r.csv", "--text", "a", "--label", "b", "--time", "c"),
            "trains a TextClassifier, so that --time c",
        ),
        (("book.txt", "--unlabelled", "m.txt"), "so that --unlabelled m.txt would have no effect"),
        (("ud.conllu", "--teacher", "bert"), "so that --teacher bert would have no effect"),
        (("t.csv", "--config", "c.toml", "--hidden", 64), "c.toml holds [stack], so that --hidden 64 would"),
        (("t.csv", "--config", "c.toml", "--max-steps", 9), "c.toml holds [training], so that --max-steps 9"),
        (
            ("r.csv", "--text", "a", "--label", "b", "--config", "f.toml", "--attention"),
            "f.toml holds the attention of its [form], so that --attention would have no effect",
        ),
        (
            ("r.csv", "--text", "a", "--label", "b", "--bert", "here", "--config", "b.toml"),
            "b.toml holds [form], but the BERT in here has its own",
        ),
    ],
)
def test_train_refuses_what_would_do_nothing(
    lamina: Shell, tmp_path: Path, words: Sequence[object], message: str
) -> None:
    (tmp_path / "c.toml").write_text("[stack]\ncell = 'gru'\n[training]\nmax_steps = 3\n")
    (tmp_path / "f.toml").write_text("[form]\nattention = false\n")
    (tmp_path / "b.toml").write_text("[form]\nlayers = 1\n")
    said = lamina.refuses("train", *words, "--out", "out")
    assert message in said
    assert "Leave it out" in said
    assert not (tmp_path / "out").exists()


def test_a_config_leaves_the_other_options_their_effect(lamina: Shell, traffic: Path, tmp_path: Path) -> None:
    (tmp_path / "c.toml").write_text("[training]\nmax_steps = 3\n")
    options = ("--target", "cars", "--time", "when", "--horizon", 6, "--config", "c.toml")
    assert lamina("train", traffic, *options, "--hidden", 4, "--layers", 2, "--out", "model") == 0
    config = json.loads((tmp_path / "model" / "config.json").read_text())
    assert config["parameters"]["stack"]["hidden_sizes"] == [4, 4]
    assert config["parameters"]["training"]["max_steps"] == 3


ROWS = "good soup,5,gute Suppe\npoor soup,1,schlechte Suppe\n" * 20
LABELS = ("--text", "en", "--label", "stars")


@pytest.mark.parametrize(
    ("data", "toml", "parameters"),
    [
        (
            ("t.csv", *LABELS, "--attention"),
            "lowercase = false\nmetric = 'log_loss'\n[form]\nembedding_size = 6\n",
            {"lowercase": False, "metric": "log_loss", "form": {"embedding_size": 6, "attention": True}},
        ),
        (
            ("t.csv", *LABELS, "--bert", "small"),
            "most_pieces = 9\n[form]\nlayers = 1\nhidden_size = 8\nfeedforward_size = 8\n",
            {"most_pieces": 9, "bert": {"layers": 1, "hidden_size": 8, "feedforward_size": 8}},
        ),
        (
            ("t.csv", "--text", "en", "--translation", "de"),
            "vocabulary_size = 280\n[form]\nembedding_size = 6\n[decoder]\nattention = 'none'\n",
            {"vocabulary_size": 280, "form": {"embedding_size": 6}, "decoder": {"attention": None}},
        ),
        (
            ("t.csv", "--text", "en"),
            "window_steps = 8\n[form]\ntied = false\n",
            {"window_steps": 8, "form": {"tied": False}},
        ),
        (
            ("w.conllu",),
            "tag = 'XPOS'\nmetric = 'f1'\n[form]\ndecoder = 'crf'\n",
            {"metric": "f1", "form": {"decoder": "crf"}},
        ),
        (("tunes",), "transpose = 3\n", {"transpose": 3}),
    ],
)
def test_a_config_says_what_each_kind_of_model_is(
    lamina: Shell, tmp_path: Path, data: Sequence[object], toml: str, parameters: dict[str, object]
) -> None:
    from lamina.data.music import write_midi

    (tmp_path / "t.csv").write_text(f"en,stars,de\n{ROWS}", encoding="utf-8")
    rest = "\t_" * 5
    (tmp_path / "w.conllu").write_text(
        f"1\tMr\t_\tX\tB-A{rest}\n2\tGrey\t_\tY\tI-A{rest}\n3\twent\t_\tZ\tO{rest}\n\n" * 12, encoding="utf-8"
    )
    (tmp_path / "tunes").mkdir()
    write_midi(np.repeat(np.eye(88, dtype=bool)[40:46], 4, axis=0), tmp_path / "tunes" / "a.mid")
    (tmp_path / "c.toml").write_text(
        f"{toml}[training]\nmax_steps = 20\nbatch_size = 4\nlearning_rate = 0.02\n"
    )
    shape = () if "small" in data else ("--hidden", 4)
    assert lamina("train", *data, "--config", "c.toml", *shape, "--threads", 1, "--out", "model") == 0
    saved = json.loads((tmp_path / "model" / "config.json").read_text())["parameters"]
    for name, value in parameters.items():
        if isinstance(value, dict):
            assert saved[name].items() >= value.items()
        else:
            assert saved[name] == value
    if "w.conllu" in data:
        inputs = json.loads((tmp_path / "model" / "preprocessing.json").read_text())["inputs"]
        assert inputs["tags"] == ["B-A", "I-A", "O"]
        (tmp_path / "w.conll").write_text("Mr X\nwent Y\n\n" * 9)
        said = lamina.refuses("train", "w.conll", "--config", "c.toml", "--out", "other")
        assert "the columns of w.conll have no names but numbers from 0, and tag is 'XPOS'" in said
        (tmp_path / "c.toml").write_text("[form]\ndecodr = 'crf'\n")
        said = lamina.refuses("train", "w.conllu", "--config", "c.toml", "--out", "other")
        assert "unknown key 'form.decodr'; did you mean 'decoder'?" in said


def test_every_kind_of_model_has_its_options(lamina: Shell) -> None:
    import typer

    from lamina.estimators.kind_settings import KIND_SETTINGS
    from lamina.estimators.load import ESTIMATORS
    from lamina.options import PREDICT_OPTIONS, TRAIN_OPTIONS

    assert PREDICT_OPTIONS.keys() == KIND_SETTINGS.keys() == ESTIMATORS.keys()
    for kind, settings in KIND_SETTINGS.items():
        known = set(inspect.signature(ESTIMATORS[kind]).parameters) | {"tag", "form"}
        assert settings.model_fields.keys() <= known
    commands = typer.main.get_command(cli.app).commands  # type: ignore[attr-defined]  # a group has commands
    for command, kinds in (("train", TRAIN_OPTIONS), ("predict", PREDICT_OPTIONS)):
        names = {parameter.name for parameter in commands[command].params}
        assert {name for own in kinds.values() for name in own} <= names


class TestModel:
    @pytest.fixture
    def model(self, lamina: Shell, traffic: Path, tmp_path: Path) -> Path:
        assert (
            lamina(
                *("train", traffic, "--time", "when", "--target", "cars", "--horizon", 6),
                *("--max-steps", 5, "--hidden", 4, "--threads", 1, "--out", "model"),
            )
            == 0
        )
        assert "saved in model" in lamina.out
        return tmp_path / "model"

    def test_train_then_predict(self, lamina: Shell, model: Path, traffic: Path, tmp_path: Path) -> None:
        assert lamina("predict", model) == 0
        stored = pl.read_csv(lamina.out.encode())
        assert stored.height == 6
        assert lamina("predict", model, traffic, "--out", "next.csv", "--level", "80") == 0
        written = pl.read_csv(tmp_path / "next.csv")
        assert written["Forecaster"].to_list() == pytest.approx(stored["Forecaster"].to_list())
        assert lamina("predict", model, "--json", "--horizon", 2) == 0
        rows = json.loads(lamina.out)
        assert [row["Forecaster"] for row in rows] == pytest.approx(stored["Forecaster"].to_list()[:2])
        assert "horizon" in lamina.refuses("predict", model, "--horizon", 7)
        for place in ("nowhere/x.csv", "/proc/x.csv", tmp_path):
            assert f"but {place} cannot be written: " in lamina.refuses("predict", model, "--out", place)
        assert "numbers divided by commas" in lamina.refuses("predict", model, "--level", "eighty")

    def test_a_damaged_model_is_refused(self, lamina: Shell, model: Path) -> None:
        weights = model / "weights.safetensors"
        content = weights.read_bytes()
        weights.write_bytes(content[:-4])
        assert "model is damaged: weights.safetensors" in lamina.refuses("predict", model)
        weights.unlink()
        assert "weights.safetensors is missing" in lamina.refuses("predict", model)
        weights.write_bytes(content)
        (model / "config.json").write_text("{")
        assert "config.json" in lamina.refuses("predict", model)

    def test_a_newer_schema_is_refused(self, lamina: Shell, model: Path) -> None:
        config = json.loads((model / "config.json").read_text())
        (model / "config.json").write_text(json.dumps({**config, "schema": 99}))
        said = lamina.refuses("predict", model)
        assert "schema 99" in said
        assert "Install a newer Lamina" in said

    def test_no_model_is_refused(self, lamina: Shell, tmp_path: Path) -> None:
        assert "is no directory" in lamina.refuses("predict", "nowhere")
        assert "has none" in lamina.refuses("predict", tmp_path)


def test_train_says_json(lamina: Shell, traffic: Path) -> None:
    code = lamina(
        *("train", traffic, "--time", "when", "--target", "cars", "--horizon", 6, "--json"),
        *("--max-steps", 5, "--hidden", 4, "--threads", 1, "--out", "model"),
    )
    assert code == 0
    told = json.loads(lamina.out)
    assert told["model"] == "model"
    assert told["outcome"] == "complete"


@pytest.mark.parametrize("printed", [(), ("--json",)])
def test_a_collapsed_training_ends_with_1(
    lamina: Shell, traffic: Path, tmp_path: Path, printed: tuple[str, ...]
) -> None:
    (tmp_path / "c.toml").write_text("[training]\nmax_steps = 4\nlearning_rate = 1e30\n")
    options = ("--time", "when", "--target", "cars", "--horizon", 6, "--config", "c.toml", "--hidden", 4)
    assert lamina("train", traffic, *options, "--out", "model", *printed) == 1
    assert "the run collapsed: the validation metric became nan" in lamina.err
    if printed:
        assert json.loads(lamina.out)["outcome"] == "collapsed"
    else:
        assert "Forecaster: collapsed after 1 steps" in lamina.out


def test_describe(lamina: Shell, tmp_path: Path) -> None:
    values = [1.0] * 10 + [None] * 3 + [3.0] * (HOURS - 13)
    path = hourly(tmp_path / "holes.csv", cars=values)
    options = ("--time", "when", "--target", "cars")
    assert lamina("describe", path, *options) == 0
    assert "240 rows · 1 series · step 1h · seasons 24, 168 · 3 missing" in " ".join(lamina.out.split())
    assert lamina("describe", path, *options, "--json") == 0
    facts = json.loads(lamina.out)
    assert (facts["rows"], facts["missing"], facts["columns"]["cars"]["max"]) == (240, 3, 3.0)


def test_data_list_names_every_known_set(lamina: Shell) -> None:
    assert lamina("data", "list", "--json") == 0
    assert [row["name"] for row in json.loads(lamina.out)] == list(SOURCES)
    assert lamina("data", "list") == 0
    for name in SOURCES:
        assert name in lamina.out


def test_data_path_prints_files_that_are_there(lamina: Shell) -> None:
    assert lamina("data", "path", "JapaneseVowels") == 0
    files = [Path(line) for line in lamina.out.splitlines()]
    assert len(files) == 2
    assert all(file.is_file() for file in files)


def test_data_path_of_what_is_not_here(lamina: Shell, tmp_path: Path) -> None:
    assert "did you mean 'ETTh1'?" in lamina.refuses("data", "path", "ETTh")
    assert "--data-folder" in lamina.refuses("data", "path", "ETTh1")
    assert "does not hold it" in lamina.refuses("data", "path", "ETTh1", "--data-folder", tmp_path)


def test_report_needs_a_study(lamina: Shell, tmp_path: Path) -> None:
    assert "study.json cannot be read" in lamina.refuses("report", tmp_path)
    (tmp_path / "study.json").write_text('{"schema": 99}')
    assert "Install a newer Lamina" in lamina.refuses("report", tmp_path)


def test_report_replay_tells_what_follows_from_the_scores(lamina: Shell, tmp_path: Path) -> None:
    sheet, folder = hourly(tmp_path / "traffic.csv"), tmp_path / "out"
    asked = ("--time", "when", "--target", "cars", "--horizon", "2", "--ask", "cell", "--budget", "5s")
    assert lamina("study", sheet, *asked, "--out", folder) == 0
    assert lamina("report", folder, "--replay") == 0
    assert re.search(r"(\d+) of \1 sentences follow from the recorded scores", lamina.out)
    assert "leave one out" in lamina.refuses("report", folder, "--replay", "--out", tmp_path / "r.html")
    record = json.loads((folder / "study.json").read_text())
    told = next(entry for entry in record["questions"] if entry["id"] == "trivial")
    told["sentence"] = "yes: 90 % better than naive."
    (folder / "study.json").write_text(json.dumps(record))
    assert lamina("report", folder, "--replay") == 1
    assert "trivial, sentence" in lamina.out
    assert "recorded: yes: 90 % better than naive." in lamina.out


def test_ctrl_c_ends_with_130(lamina: Shell, monkeypatch: pytest.MonkeyPatch) -> None:
    def pressed(*words: object, **options: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("lamina.data.series.read_series", pressed)
    assert lamina("describe", "traffic.csv") == 130


def test_help_answers_at_once() -> None:
    """The bar is 0.4 s on an idle machine; a busy one gets some more."""
    import time

    began = time.perf_counter()
    subprocess.run([sys.executable, "-m", "lamina.cli", "--help"], capture_output=True, check=True)
    assert time.perf_counter() - began < 2.0


@pytest.fixture
def ups(tmp_path: Path) -> Path:
    """A number, and whether it is large."""
    path = tmp_path / "rows.csv"
    lines = "".join(f"{n % 7},{'ab'[n % 7 > 3]}\n" for n in range(300))
    path.write_text("load,up\n" + lines, encoding="utf-8")
    return path


def test_stream_evaluates_learning_online(lamina: Shell, ups: Path) -> None:
    assert lamina("stream", ups, "--evaluate", "--target", "up", "--depth", "0", "--json") == 0
    found = json.loads(lamina.out)
    assert found["score"] > 0.9 > found["no_change"]
    assert (found["window"], found["delay"], found["drift"]) == (15, 0, None)
    options = ("--depth", "0", "--window", "100", "--delay", "3", "--drift", "adwin")
    assert lamina("stream", ups, "--evaluate", "--target", "up", *options) == 0
    said = " ".join(lamina.out.split())
    assert "kappa against no change" in said
    assert "changes noticed by adwin at row none" in said
    assert "--report FILE.html writes a page" in said


def test_stream_writes_a_page_of_its_evaluation(lamina: Shell, ups: Path, tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    assert lamina("stream", ups, "--evaluate", "--target", "up", "--depth", "0", "--report", page) == 0
    assert "rows.csv: up" in page.read_text(encoding="utf-8")
    assert "page.html" in lamina.out
    nowhere = tmp_path / "none" / "page.html"
    refused = lamina.refuses("stream", ups, "--evaluate", "--target", "up", "--report", nowhere)
    assert "a file is written into a folder that exists" in refused


def test_stream_refuses_options_that_would_do_nothing(lamina: Shell, ups: Path) -> None:
    assert "--target COLUMN" in lamina.refuses("stream", ups, "--evaluate")
    refused = lamina.refuses(
        "stream", ups, "--evaluate", "--target", "up", "--snapshot", "s.bin", "--adaptive"
    )
    assert "--evaluate reads a file and no saved model, so that --adaptive and --snapshot s.bin" in refused
    refused = lamina.refuses("stream", "model", "--target", "up", "--drift", "adwin", "--json")
    assert "so that --target up and --drift adwin and --json would have no effect" in refused
    refused = lamina.refuses("stream", ups, "--evaluate", "--target", "up", "--drift", "adwn")
    assert "drift must be None, 'adwin' or 'page-hinkley' but is 'adwn'; did you mean 'adwin'" in refused


class TestTexts:
    """Which of two words comes first, which no count of words tells."""

    @pytest.fixture
    def reviews(self, tmp_path: Path) -> Path:
        generator = np.random.default_rng(0)
        rows = []
        for number in range(150):
            words = generator.choice(["and", "so", "it", "was"], size=6).tolist()
            words[1], words[4] = ("day", "night") if number % 2 else ("night", "day")
            rows.append((" ".join(words), "ab"[number % 2]))
        file = tmp_path / "reviews.csv"
        pl.DataFrame(rows, schema=["review", "stars"], orient="row").write_csv(file)
        return file

    def test_a_study_of_texts_asks_about_bert_too(self, lamina: Shell, reviews: Path, tmp_path: Path) -> None:
        study = ("study", reviews, "--text", "review", "--label", "stars", "--bert", "small")
        words = (*study, "--budget", "20s", "--ask", "depth,bert", "--depths", "1,2", "--threads", 1)
        assert lamina(*words, "--json", "--out", "found") == 0
        record = json.loads(lamina.out)
        assert record["task"] == "classify-text"
        assert [question["id"] for question in record["questions"]] == ["depth", "bert", "trivial"]
        assert {entry["id"] for entry in record["baselines"]} == {
            "majority",
            "naive Bayes",
            "TF-IDF regression",
        }
        page = (tmp_path / "found" / "report.html").read_text(encoding="utf-8")
        assert "Would BERT be better, where, and at what cost?" in page
        assert lamina("report", "found", "--replay") == 0
        assert lamina("predict", "found/best", reviews, "--text", "review", "--json") == 0
        rows = json.loads(lamina.out)
        assert len(rows) == 150
        assert rows[0].keys() == {"label", "p(a)", "p(b)"}

    def test_a_study_that_asks_about_bert_alone_trains_one(self, lamina: Shell, reviews: Path) -> None:
        study = ("study", reviews, "--text", "review", "--label", "stars", "--bert", "small")
        assert lamina(*study, "--budget", "20s", "--ask", "bert", "--threads", 1, "--json", "--out", "x") == 0
        trained = {entry["id"]: entry for entry in json.loads(lamina.out)["candidates"]}
        assert trained["bert-small"]["config"]["bert"] == "small"

    def test_train_then_predict(self, lamina: Shell, reviews: Path, tmp_path: Path) -> None:
        (tmp_path / "book.txt").write_text("abcd" * 2000, encoding="utf-8")
        small = ("--max-steps", 3, "--hidden", 4, "--threads", 1)
        assert lamina("train", reviews, "--text", "review", "--label", "stars", *small, "--out", "model") == 0
        assert "validation accuracy" in lamina.out
        assert lamina("predict", "model", reviews, "--text", "review") == 0
        assert pl.read_csv(lamina.out.encode()).height == 150
        assert "no 'text'" in lamina.refuses("predict", "model", reviews)
        assert lamina("train", "book.txt", *small, "--out", "speaker") == 0
        assert "validation nats a token" in lamina.out
        assert lamina("predict", "speaker", "--tokens", 12, "--out", "said.txt") == 0
        assert len((tmp_path / "said.txt").read_text(encoding="utf-8")) == 12
        said = {}
        for options in ((), ("--temperature", 1e-6), ("--top-k", 1), ("--top-p", 0.001), ("--seed", 1)):
            assert lamina("predict", "speaker", "--tokens", 40, *options) == 0
            said[options] = lamina.out
        likeliest = said.pop(("--top-k", 1))
        assert said.pop(("--temperature", 1e-6)) == said.pop(("--top-p", 0.001)) == likeliest
        assert len({likeliest, *said.values()}) == 3
        assert "Sampling: temperature: " in lamina.refuses("predict", "speaker", "--temperature", 0)
        assert "Sampling: top_p: " in lamina.refuses("predict", "speaker", "--top-p", 2)

    @pytest.mark.parametrize("suffix", ["conllu", "conll"])
    def test_a_tagger_is_trained_and_tags(self, lamina: Shell, tmp_path: Path, suffix: str) -> None:
        words, file = {"the": "DET", "cat": "NOUN", "sleeps": "VERB"}, f"words.{suffix}"
        lines = [
            f"{number}\t{word}\t_\t{tag}" + "\t_" * 6 if suffix == "conllu" else f"{word} x {tag}"
            for number, (word, tag) in enumerate(words.items(), start=1)
        ]
        (tmp_path / file).write_text(("\n".join(lines) + "\n\n") * 20, encoding="utf-8")
        (tmp_path / "c.toml").write_text("[training]\nmax_steps = 40\nlearning_rate = 0.03\nbatch_size = 4\n")
        options = ("--config", "c.toml", "--hidden", 8, "--threads", 1)
        assert lamina("train", file, *options, "--out", "model") == 0
        assert lamina.out.startswith("SequenceTagger: ")
        assert "validation accuracy 1; saved in model" in lamina.out
        assert lamina("predict", "model", file, "--out", "tags.csv") == 0
        rows = pl.read_csv(tmp_path / "tags.csv").rows()
        assert rows == [(number, *pair) for number in range(20) for pair in words.items()]
        assert "so that --beam 2 would have no effect" in lamina.refuses(
            "predict", "model", file, "--beam", 2
        )

    @pytest.mark.parametrize("kind", ["txt", "csv", "jsonl"])
    def test_texts_without_labels_pretrain(
        self, lamina: Shell, reviews: Path, tmp_path: Path, kind: str
    ) -> None:
        more, file = ["day and night", "it was day"] * 10, tmp_path / f"more.{kind}"
        if kind == "txt":
            file.write_text("\n".join(more), encoding="utf-8")
        elif kind == "csv":
            pl.DataFrame({"review": more}).write_csv(file)
        else:
            pl.DataFrame({"review": more}).write_ndjson(file)
        (tmp_path / "c.toml").write_text("[pretraining]\nmax_steps = 4\nbatch_size = 8\n")
        texts = ("train", reviews, "--text", "review", "--label", "stars", "--direction", "both")
        options = (
            "--unlabelled",
            file,
            "--config",
            "c.toml",
            "--max-steps",
            3,
            "--hidden",
            4,
            "--threads",
            1,
        )
        assert lamina(*texts, *options, "--out", "model") == 0
        assert "pre-training complete after 4 steps" in lamina.out
        assert "validation nats a token" in lamina.out
        assert lamina(*texts, *options, "--out", "model", "--json") == 0
        assert json.loads(lamina.out)["pretraining"]["steps"][-1] == 4
        assert lamina("predict", "model", reviews, "--text", "review") == 0

    def test_a_collapsed_pretraining_is_told(self, lamina: Shell, reviews: Path, tmp_path: Path) -> None:
        (tmp_path / "more.txt").write_text("day and night\nit was day\n" * 10, encoding="utf-8")
        wild = "max_steps = 4\nbatch_size = 8\nvalidations = 1\nlearning_rate = 1e30\n"
        (tmp_path / "c.toml").write_text(f"[pretraining]\n{wild}")
        texts = ("train", reviews, "--text", "review", "--label", "stars", "--unlabelled", "more.txt")
        options = ("--config", "c.toml", "--hidden", 4, "--threads", 1, "--out", "model")
        assert lamina(*texts, *options) == 1
        assert "pre-training collapsed after 0 steps" in lamina.out
        assert "TextClassifier: collapsed after 0 steps" in lamina.out
        assert "the run collapsed: in pre-training the loss became" in lamina.err
        assert lamina(*texts, *options, "--json") == 1
        assert json.loads(lamina.out)["reason"].startswith("in pre-training the loss became")

    def test_a_teacher_teaches(self, lamina: Shell, reviews: Path, tuned_folder: Path) -> None:
        texts = ("train", reviews, "--text", "review", "--label", "stars", "--teacher", tuned_folder)
        said = lamina.refuses(*texts, "--out", "model")
        assert "the teacher's are GOOD, BAD and the labels a, b. Rename" in said
        table = pl.read_csv(reviews).with_columns(pl.col("stars").replace({"a": "good", "b": "bad"}))
        table.write_csv(reviews)
        assert lamina(*texts, "--max-steps", 3, "--hidden", 4, "--threads", 1, "--out", "model") == 0
        assert lamina("predict", "model", reviews, "--text", "review", "--json") == 0
        assert json.loads(lamina.out)[0].keys() == {"label", "p(bad)", "p(good)"}
        assert "'nowhere' has no config.json" in lamina.refuses(*texts[:-1], "nowhere", "--out", "other")

    def test_a_bert_is_trained_and_teaches(self, lamina: Shell, reviews: Path) -> None:
        texts = ("train", reviews, "--text", "review", "--label", "stars", "--max-steps", 2, "--threads", 1)
        assert lamina(*texts, "--bert", "small", "--out", "bert") == 0
        assert "BertClassifier: complete after 2 steps" in lamina.out
        assert lamina(*texts, "--teacher", "bert", "--hidden", 4, "--out", "student") == 0
        assert "TextClassifier: complete after 2 steps" in lamina.out
        assert lamina("predict", "bert", reviews, "--text", "review") == 0
        assert "there is no folder 'bert-base'" in lamina.refuses(*texts, "--bert", "bert-base", "--out", "x")

    def test_word_vectors_set_the_size_of_the_embedding(
        self, lamina: Shell, reviews: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "v.txt").write_text("day 1 0 0\nnight 0 1 0\n", encoding="utf-8")
        texts = ("train", reviews, "--text", "review", "--label", "stars", "--max-steps", 2, "--threads", 1)
        assert lamina(*texts, "--vectors", "v.txt", "--out", "model") == 0
        config = json.loads((tmp_path / "model" / "config.json").read_text())
        assert config["form"]["embedding_size"] == 3
        assert "no file 'w.txt'" in lamina.refuses(*texts, "--vectors", "w.txt", "--out", "other")

    def test_translations_and_music_are_trained_too(self, lamina: Shell, tmp_path: Path) -> None:
        from lamina.data.music import write_midi

        short = ("--max-steps", 2, "--hidden", 4, "--threads", 1)
        pairs = [("one cat", "eine Katze"), ("two dogs", "zwei Hunde")] * 30
        pl.DataFrame(pairs, schema=["en", "de"], orient="row").write_csv(
            tmp_path / "pairs.tsv", separator="\t"
        )
        columns = ("--text", "en", "--translation", "de")
        assert lamina("train", "pairs.tsv", *columns, *short, "--out", "translator") == 0
        assert "Translator: complete after 2 steps" in lamina.out
        assert "validation nats " in lamina.out
        assert lamina("predict", "translator", "pairs.tsv", "--text", "en") == 0
        assert "no 'fr'; name it with target= (--translation)" in lamina.refuses(
            "train", "pairs.tsv", *columns[:3], "fr", "--out", "x"
        )
        (tmp_path / "tunes").mkdir()
        scale = np.repeat(np.eye(88, dtype=bool)[40:46], 2, axis=0)
        for name in "ab":
            write_midi(scale, tmp_path / "tunes" / f"{name}.mid", frames_per_quarter=4)
        assert lamina("train", "tunes", *short, "--out", "player") == 0
        assert "validation nats a frame" in lamina.out
        played = []
        for options in ((), ("--temperature", 0.01), ("--seed", 1)):
            hot = ("--tokens", 40, "--out", "played.mid", *options)
            assert lamina("predict", "player", *hot) == 0
            played.append((tmp_path / "played.mid").read_bytes())
        assert len(set(played)) == 3
        assert "temperature is above 0" in lamina.refuses(
            "predict", "player", "--out", "played.mid", "--temperature", 0
        )
        assert "so that --top-k 2 would have no effect" in lamina.refuses(
            "predict", "player", "--out", "played.mid", "--top-k", 2
        )

    def test_ctrl_c_ends_a_training_with_a_word_and_leaves_nothing(
        self, lamina: Shell, reviews: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from lamina.estimators.text_sources import TextSource

        def interrupted(*_: object, **__: object) -> None:
            raise KeyboardInterrupt

        monkeypatch.setattr(TextSource, "fit", interrupted)
        assert lamina("train", reviews, "--text", "review", "--label", "stars", "--out", "model") == 130
        assert lamina.err == "interrupted\n"
        assert not (tmp_path / "model").exists()

    def test_a_translator_translates_tables_and_lines(
        self, lamina: Shell, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        from lamina.estimators.translator import Translator
        from lamina.nn.stack import StackConfig
        from lamina.tasks.translate import TranslateConfig
        from lamina.training.optim import TrainingConfig

        words = {"one": "eins", "two": "zwei", "three": "drei", "four": "vier"}
        pairs = [(f"{a} {b}", f"{words[b]} {words[a]}") for a in words for b in words] * 4
        model = Translator(
            stack=StackConfig(hidden_sizes=(32,), directions=("both",)),
            form=TranslateConfig(embedding_size=32, input_dropout=0, output_dropout=0),
            training=TrainingConfig(max_steps=120, batch_size=16, learning_rate=0.01),
        ).fit(*zip(*pairs, strict=True))
        model.save(tmp_path / "model")
        (tmp_path / "new.txt").write_text("four two\none three\n", encoding="utf-8")
        assert lamina("predict", "model", "new.txt") == 0
        assert lamina.out == "text,translation\nfour two,zwei vier\none three,drei eins\n"
        (tmp_path / "new.csv").write_text("n,english\n1,two one\n", encoding="utf-8")
        assert lamina("predict", "model", "new.csv", "--text", "english", "--json") == 0
        assert json.loads(lamina.out) == [{"text": "two one", "translation": "eins zwei"}]
        assert lamina("predict", "model", "new.csv", "--text", "english", "--out", "said.parquet") == 0
        assert pl.read_parquet(tmp_path / "said.parquet")["translation"].to_list() == ["eins zwei"]
        asked = []
        translate = Translator.translate

        def watched(self: Translator, texts: Sequence[str], **options: Any) -> list[str]:
            asked.append(options["beam"])
            return translate(self, texts, **options)

        monkeypatch.setattr(Translator, "translate", watched)
        assert lamina("predict", "model", "new.txt") == 0
        assert lamina("predict", "model", "new.txt", "--beam", 1) == 0
        assert asked == [5, 1]
        assert "no 'text'; " in lamina.refuses("predict", "model", "new.csv")
        assert "a Translator needs a file to read" in lamina.refuses("predict", "model")
        assert "so that --tokens 9 would have no" in lamina.refuses(
            "predict", "model", "new.txt", "--tokens", 9
        )

    def test_predict_refuses_what_would_do_nothing(
        self, lamina: Shell, reviews: Path, tmp_path: Path
    ) -> None:
        (tmp_path / "book.txt").write_text("abcd" * 2000, encoding="utf-8")
        small = ("--max-steps", 2, "--hidden", 4, "--threads", 1)
        assert lamina("train", reviews, "--text", "review", "--label", "stars", *small, "--out", "judge") == 0
        assert lamina("train", "book.txt", *small, "--out", "speaker") == 0
        said = lamina.refuses(
            "predict", "judge", reviews, "--text", "review", "--horizon", 3, "--tokens", 200
        )
        assert (
            "judge holds a TextClassifier, so that --horizon 3 and --tokens 200 would have no effect" in said
        )
        assert "Leave it out. The options of a TextClassifier: --json, --text." in said
        said = lamina.refuses("predict", "speaker", "--level", "80", "--text", "text")
        assert "speaker holds a LanguageModel, so that --level 80 and --text text would have no" in said
        (tmp_path / "new.txt").write_text("day and night", encoding="utf-8")
        assert "each line of new.txt is a text, so that --text review" in lamina.refuses(
            "predict", "judge", "new.txt", "--text", "review"
        )
        said = lamina.refuses("predict", "speaker", "--json", "--out", "said.txt")
        assert "--out writes a file and prints nothing, so that --json would have no effect" in said
        assert not (tmp_path / "said.txt").exists()

    def test_what_belongs_together_is_told(self, lamina: Shell, reviews: Path, traffic: Path) -> None:
        assert "name both columns" in lamina.refuses("study", reviews, "--text", "review")
        texts = ("study", reviews, "--text", "review", "--label", "stars")
        assert "belong together" in lamina.refuses(*texts, "--ask", "depth", "--bert", "small")
        assert "no folder 'bert-base'" in lamina.refuses(*texts, "--bert", "bert-base")
        assert "would have no effect" in lamina.refuses(*texts, "--horizon", 3)
        assert "a BERT reads texts" in lamina.refuses("study", traffic, "--bert", "small", "--horizon", 3)
