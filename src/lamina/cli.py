"""The command line: parse, call, print."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from lamina.errors import ConfigError, LaminaError

if TYPE_CHECKING:
    import polars as pl

    from lamina.training.history import History

app = typer.Typer(
    name="lamina",
    help="Which recurrent network do your sequences need? Lamina tries, and answers with evidence.",
    no_args_is_help=True,
    rich_markup_mode="rich",
    pretty_exceptions_enable=False,
)
data_app = typer.Typer(help="Known data sets: list them, or find the files of one.", no_args_is_help=True)
app.add_typer(data_app, name="data")

# Options that several commands share.
Target = Annotated[
    str | None, typer.Option(help="Column to forecast; several, divided by commas, become a series each.")
]
Time = Annotated[
    str | None, typer.Option(help="Column of dates, times or whole numbers. Default: ds, or row order.")
]
Id = Annotated[
    str | None, typer.Option(help="Column that tells series apart. Default: unique_id, or one series.")
]
Future = Annotated[str, typer.Option(help="Columns whose values are known ahead, divided by commas.")]
Past = Annotated[
    str | None, typer.Option(help="Columns known up to now only; default all others, '' for none.")
]
Static = Annotated[str, typer.Option(help="Columns that are constant within a series.")]
Duplicates = Annotated[str, typer.Option(help="Repeated times: error, first, last or mean.")]
Gaps = Annotated[str, typer.Option(help="Left-out rows: error, or missing to insert them as missing values.")]
Frequency = Annotated[
    str | None, typer.Option(help="Step between rows, such as 15m, 1h, 1d, 1mo. Default: inferred.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON for programs instead of text.")]
MOST_SEED = 10**9  # a study adds to it, and some methods to beat take 31 bits
DataFolder = Annotated[
    Path | None,
    typer.Option(help="Folder of known data sets that do not come with Lamina. Default: LAMINA_DATA."),
]


@app.command()
def study(
    data: Annotated[
        str,
        typer.Argument(
            help="CSV or Parquet of series, a .ts or .tsv of sequences, a .csv, .tsv or .jsonl of texts, or "
            "a known data set."
        ),
    ],
    target: Target = None,
    horizon: Annotated[int | None, typer.Option(min=1, help="Rows ahead to forecast.")] = None,
    time: Time = None,
    id: Id = None,
    future: Future = "",
    past: Past = None,
    static: Static = "",
    duplicates: Duplicates = "error",
    gaps: Gaps = "error",
    frequency: Frequency = None,
    text: Annotated[str | None, typer.Option(help="Column of texts to classify; needs --label.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the labels of texts.")] = None,
    bert: Annotated[
        str | None,
        typer.Option(
            help="For texts: folder of a BERT to compare with, or 'small' for one trained from nothing."
        ),
    ] = None,
    test: Annotated[
        Path | None, typer.Option(help="Sequences or texts for the test part; default: cut from DATA.")
    ] = None,
    metric: Annotated[
        str | None, typer.Option(help="Of forecasts: mase (the default), mae, mse, rmse or smape.")
    ] = None,
    budget: Annotated[str, typer.Option(help="Time for everything: 90s, 5m, 1h.")] = "5m",
    ask: Annotated[
        str | None,
        typer.Option(
            help="Only these of depth,direction,cell,attention,transformer,bert,depth-parameters,depth-time,"
            "residual,transformer-time,clipping,overfitting,data. Default: the first five, bert where there "
            "is one, then the others where time is left."
        ),
    ] = None,
    depths: Annotated[str, typer.Option(help="Rungs of the depth ladder.")] = "1,2,3,4",
    rope: Annotated[float, typer.Option(min=0, help="Relative difference that does not matter.")] = 0.005,
    max_latency_us: Annotated[
        float | None, typer.Option(help="Microseconds from a row to its answer, at most.")
    ] = None,
    max_params: Annotated[int | None, typer.Option(help="Numbers the network learns, at most.")] = None,
    max_train_time: Annotated[
        str | None, typer.Option(help="Time to train one seed, at most: 30s, 2m.")
    ] = None,
    max_memory: Annotated[
        str | None, typer.Option(help="Memory that training takes, at most: 200MB.")
    ] = None,
    allow: Annotated[
        str, typer.Option(help="Codes of checks to pass over, such as LK05,WN02; docs/checks.md has them.")
    ] = "",
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="The same seed gives the same search.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads. Default: all cores.")] = None,
    out: Annotated[Path | None, typer.Option(help="Folder for the results. Default: <data>-study.")] = None,
    resume: Annotated[
        bool, typer.Option("--resume", help="Go on with an interrupted study in --out.")
    ] = False,
    data_folder: DataFolder = None,
    as_json: Json = False,
) -> None:
    """Find out how many layers, which direction and which cell your data call for.

    Ends with an answer to each question, a table, a report (report.html) and the best model (best/).

    Example: lamina study traffic.csv --time when --target cars --horizon 24 --budget 5m
    """
    from contextlib import nullcontext

    from rich.console import Console
    from rich.markup import escape

    from lamina.terminal import Screen, show_record

    arguments: dict[str, Any] = {
        "target": _names(target),
        "horizon": horizon,
        "time": time,
        "id": id,
        "future": _names(future) or (),
        "past": None if past is None else _names(past) or (),
        "static": _names(static) or (),
        "duplicates": duplicates,
        "gaps": gaps,
        "frequency": frequency,
        "text": text,
        "label": label,
        "bert": bert,
        "test": test,
        "metric": metric,
        "budget": budget,
        "ask": ask,
        "depths": _whole_numbers(depths),
        "rope": rope,
        "max_latency_us": max_latency_us,
        "max_params": max_params,
        "max_train_time": max_train_time,
        "max_memory": max_memory,
        "allow": _names(allow) or (),
        "seed": seed,
        "out": out,
        "resume": resume,
        "command": " ".join(["lamina", *sys.argv[1:]]),
        "data_folder": data_folder,
    }
    console = Console()
    with nullcontext() if as_json else Screen(console) as screen:
        # Loading torch takes seconds, so it waits until there is something to see.
        import torch

        from lamina.api import REPORT
        from lamina.api import study as run

        _set_threads(threads)
        found = run(data, **arguments, workers=torch.get_num_threads(), listener=screen)
    if as_json:
        typer.echo(found.record.model_dump_json(by_alias=True))
    else:
        show_record(console, found.record, str(found.folder))
        page = found.folder / REPORT
        used, asked = found.record.budget.used_s, found.record.budget.asked_s
        console.print(
            f"\n used {used:.0f} s of {asked:.0f} s · report [bold]{escape(str(page))}[/bold]",
            highlight=False,
        )
    if any(check.code == "ST01" for check in found.record.checks):
        raise typer.Exit(130)


@app.command()
def train(
    context: typer.Context,
    data: Annotated[
        str,
        typer.Argument(
            help="CSV or Parquet of series, a .ts or .tsv of labelled sequences, a .csv, .tsv or .jsonl of "
            "texts (--text, with --label or --translation, or alone for a language model), .conllu or "
            ".conll of tagged sentences, .txt of plain text, a .mid file or a folder of them."
        ),
    ],
    out: Annotated[Path, typer.Option(help="Folder for the model.")],
    target: Target = None,
    horizon: Annotated[int, typer.Option(min=1, help="Rows ahead to forecast.")] = 24,
    time: Time = None,
    id: Id = None,
    future: Future = "",
    past: Past = None,
    static: Static = "",
    duplicates: Duplicates = "error",
    gaps: Gaps = "error",
    frequency: Frequency = None,
    text: Annotated[str | None, typer.Option(help="Column of texts.")] = None,
    label: Annotated[str | None, typer.Option(help="Column of the labels of texts.")] = None,
    translation: Annotated[
        str | None,
        typer.Option(help="Column of the translations of texts; of plain text the file that has them."),
    ] = None,
    bert: Annotated[
        str | None,
        typer.Option(help="For labels: folder of a BERT to tune, or 'small' for one trained from nothing."),
    ] = None,
    unit: Annotated[
        str | None,
        typer.Option(
            help="What a token is: character, word, spaced or subword. Default: word for labels, character "
            "for a language model."
        ),
    ] = None,
    vectors: Annotated[
        Path | None,
        typer.Option(help="For labels: word vectors in the text format of word2vec and GloVe to begin with."),
    ] = None,
    cell: Annotated[str | None, typer.Option(help="tanh, relu, lstm, gru, lnlstm or lngru.")] = None,
    layers: Annotated[int | None, typer.Option(min=1, help="Layers of the stack.")] = None,
    hidden: Annotated[int | None, typer.Option(min=1, help="Units of each layer.")] = None,
    direction: Annotated[
        str | None,
        typer.Option(
            help="forward or both; one for each layer, divided by commas, or one. Default: the stack that "
            "the model's class has; where one of these four is given, the others are lstm, 1, 64, forward."
        ),
    ] = None,
    attention: Annotated[
        bool, typer.Option("--attention", help="Join an attention over all outputs.")
    ] = False,
    unlabelled: Annotated[
        Path | None,
        typer.Option(
            help="Texts without labels to pre-train on: plain text, a text a line, or a table with the "
            "column --text. Takes 2,000 steps, or those of \\[pretraining] in --config."
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="Folder of a BERT to learn from, beside the labels: one that Lamina saved, or a sequence "
            "classifier of transformers."
        ),
    ] = None,
    max_steps: Annotated[
        int | None, typer.Option(min=1, help="Optimiser steps at most. Default: those of its class.")
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="The same seed gives the same model.")] = 0,
    threads: Annotated[int | None, typer.Option(min=1, help="Processor threads. Default: all cores.")] = None,
    config: Annotated[
        Path | None,
        typer.Option(
            help="TOML with \\[stack], which takes the place of --cell, --layers, --hidden and --direction, "
            "\\[training], of --max-steps, \\[pretraining], for --unlabelled, \\[form], of a translator "
            "\\[decoder], and keys such as metric or vocabulary_size; docs/text.md lists them."
        ),
    ] = None,
    as_json: Json = False,
) -> None:
    """Train one model and save it.

    Example: lamina train traffic.csv --time when --target cars --horizon 24 --layers 2 --out model/
    """
    from contextlib import nullcontext

    from lamina.data.ts_files import LABELLED_SUFFIXES, read_labelled
    from lamina.estimators.classifier import SequenceClassifier
    from lamina.estimators.forecaster import Forecaster
    from lamina.estimators.saving import require_free
    from lamina.estimators.text_sources import TextModel, TextSource
    from lamina.options import TRAIN_OPTIONS, read_settings, refuse_for_kind
    from lamina.training.progress import ProgressBar

    source = TextSource(data, text, label, translation, bert)
    kind = source.kind or ("SequenceClassifier" if data.endswith(LABELLED_SUFFIXES) else "Forecaster")
    refuse_for_kind(context, TRAIN_OPTIONS, kind, why=f"{data} trains a {kind}")
    source.check()
    _set_threads(threads)
    require_free(out)
    shape = {"cell": cell, "layers": layers, "hidden": hidden, "direction": direction}
    settings = read_settings(context, kind, config, shape=shape, max_steps=max_steps, bert=bert)
    if settings.pretraining is not None and unlabelled is None:
        raise ConfigError(f"{config} holds [pretraining], which needs --unlabelled FILE. Give it too.")
    stack, training = settings.stack, settings.training
    bar = ProgressBar()
    callbacks = () if as_json else (bar,)
    with nullcontext() if as_json else bar:
        model: Forecaster | SequenceClassifier | TextModel
        if source.kind is not None:
            model = source.fit(
                stack=stack,
                attention=attention,
                unit=unit,  # type: ignore[arg-type]  # checked there
                vectors=vectors,
                unlabelled=unlabelled,
                teacher=teacher,
                training=training,
                pretraining=settings.pretraining,
                own=settings.own,
                seed=seed,
                callbacks=callbacks,
            )
        elif kind == "SequenceClassifier":
            sequences = read_labelled(data)
            model = SequenceClassifier(
                stack=stack, attention=attention, training=training, seed=seed, **settings.own
            )
            model.fit(
                [sequences[i] for i in range(len(sequences))],
                [sequences.classes[code] for code in sequences.labels],
                callbacks=callbacks,
            )
        else:
            model = Forecaster(
                horizon, stack=stack, attention=attention, training=training, seed=seed, **settings.own
            )
            model.fit(
                data,
                target=_names(target),
                time=time,
                id=id,
                future=_names(future) or (),
                past=None if past is None else _names(past) or (),
                static=_names(static) or (),
                duplicates=duplicates,
                gaps=gaps,
                frequency=frequency,
                callbacks=callbacks,
            )
    model.save(out)
    _tell_of_training(model, kind, out, as_json=as_json)


def _tell_of_training(model: Any, kind: str, out: Path, *, as_json: bool) -> None:
    """Print how a model's training ended.

    Raises:
        Exit: with code 1, where it collapsed.
    """
    from lamina.estimators.saving import finite

    history, before = model.history_, getattr(model, "pretraining_history_", None)
    if as_json:
        told = {} if before is None else {"pretraining": finite(before.to_dict())}
        typer.echo(json.dumps({"model": str(out), **finite(history.to_dict()), **told}))
    else:
        for note in getattr(model, "notes_", ()):
            typer.echo(f" · {note}")
        if before is not None:
            typer.echo(f"pre-training {_how_it_ended(before, 'nats a token')}")
        metric = getattr(model, "metric", "nats a frame" if kind == "MusicModel" else "nats a token")
        typer.echo(f"{kind}: {_how_it_ended(history, metric)}; saved in {out}")
    if history.outcome == "collapsed":
        typer.echo(
            f"the run collapsed: {history.reason}. Lower the learning rate, or add residuals.", err=True
        )
        raise typer.Exit(1)


def _how_it_ended(history: History, metric: str) -> str:
    steps = history.steps[-1] if history.steps else 0
    return (
        f"{history.outcome} after {steps} steps, {history.seconds:.1f} s; "
        f"validation {metric} {history.best:.4g}"
    )


@app.command()
def predict(
    context: typer.Context,
    model: Annotated[Path, typer.Argument(help="Folder that train or study saved.")],
    data: Annotated[
        str | None,
        typer.Argument(
            help="What to continue, classify, tag or translate; default: the training series, or the "
            "beginning of a text or piece."
        ),
    ] = None,
    horizon: Annotated[int | None, typer.Option(min=1, help="Rows ahead, at most those trained.")] = None,
    future_values: Annotated[
        Path | None, typer.Option(help="Table with the columns known ahead, for the next rows.")
    ] = None,
    level: Annotated[str, typer.Option(help="Central intervals in percent, divided by commas.")] = "80,95",
    text: Annotated[str, typer.Option(help="Column of texts, where DATA is a table.")] = "text",
    tokens: Annotated[int, typer.Option(min=1, help="Tokens of a text or frames of music to add.")] = 200,
    temperature: Annotated[
        float, typer.Option(help="Of a text or music: below 1 keeps to what is likely, above 1 strays.")
    ] = 1.0,
    top_k: Annotated[
        int | None, typer.Option(min=1, help="Of a text: draw among the k likeliest tokens only.")
    ] = None,
    top_p: Annotated[
        float | None,
        typer.Option(help="Of a text: draw among the likeliest tokens that together have this probability."),
    ] = None,
    seed: Annotated[int, typer.Option(min=0, max=MOST_SEED, help="Of a text or music.")] = 0,
    beam: Annotated[
        int, typer.Option(min=1, help="Of a translation: hypotheses kept at every step; 1 is greedy.")
    ] = 5,
    out: Annotated[
        Path | None,
        typer.Option(help="CSV or Parquet to write; of a text a file, of music a .mid. Default: print."),
    ] = None,
    as_json: Json = False,
) -> None:
    """Forecast, classify, tag, translate or go on with a saved model.

    Example: lamina predict model/ traffic.csv --out next-day.csv
    """
    import polars as pl

    from lamina.data.ts_files import read_labelled
    from lamina.estimators.classifier import SequenceClassifier
    from lamina.estimators.forecaster import Forecaster
    from lamina.estimators.language_model import LanguageModel
    from lamina.estimators.load import load
    from lamina.estimators.music_model import MusicModel
    from lamina.estimators.text_files import answers, play, speak
    from lamina.places import require_file

    fitted = load(model)
    _refuse_of_predict(context, type(fitted).__name__)
    if out is not None:
        require_file(out)
    if isinstance(fitted, LanguageModel):
        said = speak(
            fitted, data, tokens=tokens, temperature=temperature, top_k=top_k, top_p=top_p, seed=seed
        )
        if out is not None:
            out.write_text(said, encoding="utf-8")
        else:
            typer.echo(json.dumps({"text": said}) if as_json else said)
        return
    if isinstance(fitted, MusicModel):
        play(fitted, data, out, frames=tokens, temperature=temperature, seed=seed)
        typer.echo(out)
        return
    if isinstance(fitted, Forecaster):
        answer = fitted.predict(horizon, df=data, future=future_values, level=_numbers(level))
        frame = answer if isinstance(answer, pl.DataFrame) else pl.from_pandas(answer)
    elif not isinstance(fitted, SequenceClassifier):
        frame = answers(fitted, data, text=text, beam=beam)
    else:
        if data is None:
            raise ConfigError("a classifier needs sequences to classify. Name a .ts or .tsv file.")
        chances = fitted.chances(read_labelled(data, classes=fitted.inputs_.classes))
        frame = pl.DataFrame({"label": fitted.classes_[chances.argmax(axis=1)]}).hstack(
            pl.DataFrame({f"p({name})": chances[:, i] for i, name in enumerate(fitted.inputs_.classes)})
        )
    _give(frame, out, as_json=as_json)


def _give(frame: pl.DataFrame, out: Path | None, *, as_json: bool) -> None:
    """Write a table to a file, or print it."""
    if out is not None and out.suffix == ".parquet":
        frame.write_parquet(out)
    elif out is not None:
        frame.write_csv(out)
    elif as_json:
        typer.echo(json.dumps(frame.to_dicts(), default=str))
    else:
        typer.echo(frame.write_csv(), nl=False)


def _refuse_of_predict(context: typer.Context, kind: str) -> None:
    """Refuse typed options of predict that would do nothing for this kind of model, data and output."""
    from lamina.data.text_columns import is_table
    from lamina.options import PREDICT_OPTIONS, refuse_for_kind, refuse_typed

    given = context.params
    refuse_for_kind(context, PREDICT_OPTIONS, kind, why=f"{given['model']} holds a {kind}")
    if given["out"] is not None:
        refuse_typed(context, ("as_json",), why="--out writes a file and prints nothing")
    if given["data"] is not None and not is_table(given["data"]):
        refuse_typed(context, ("text",), why=f"each line of {given['data']} is a text")


@app.command()
def describe(
    data: Annotated[str, typer.Argument(help="CSV or Parquet of series.")],
    target: Target = None,
    time: Time = None,
    id: Id = None,
    duplicates: Duplicates = "error",
    gaps: Gaps = "error",
    frequency: Frequency = None,
    as_json: Json = False,
) -> None:
    """Say what is in a file: rows, series, frequency, seasons, missing values, columns."""
    from rich.console import Console
    from rich.table import Table

    from lamina.data.series import read_series

    table = read_series(
        data,
        target=_names(target),
        time=time,
        id=id,
        duplicates=duplicates,  # type: ignore[arg-type]  # checked there
        gaps=gaps,  # type: ignore[arg-type]  # checked there
        frequency=frequency,
    )
    facts = table.describe()
    if as_json:
        typer.echo(json.dumps(facts, default=str))
        return
    console = Console()
    seasons = ", ".join(map(str, facts["seasons"])) or "none"
    console.print(
        f"[bold]{data}[/bold]   {facts['rows']:,} rows · {facts['series']:,} series · "
        f"step {facts['frequency']} · seasons {seasons} · {facts['missing']:,} missing",
        highlight=False,
    )
    console.print(f"{facts['span'][0]} to {facts['span'][1]}", highlight=False)
    shown = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    shown.add_column("column")
    shown.add_column("role")
    for name in ("missing", "min", "mean", "max"):
        shown.add_column(name, justify="right")
    for name, column in facts["columns"].items():
        numbers = ["–" if column[key] is None else f"{column[key]:.4g}" for key in ("min", "mean", "max")]
        shown.add_row(name, column.get("role", "target"), f"{column['missing']:,}", *numbers)
    console.print(shown)
    for note in facts["notes"]:
        console.print(f" · {note}", highlight=False, markup=False)


@app.command()
def stream(
    context: typer.Context,
    model: Annotated[
        Path, typer.Argument(help="Folder of a saved model; with --evaluate, a CSV or Parquet file.")
    ],
    form: Annotated[str, typer.Option("--format", help="Of the rows that come in: json or csv.")] = "json",
    key: Annotated[str, typer.Option(help="Column that says what a row belongs to.")] = "key",
    level: Annotated[str, typer.Option(help="Central intervals of forecasts, in percent.")] = "80,95",
    adaptive: Annotated[
        bool, typer.Option("--adaptive", help="Let those intervals follow the values of each key.")
    ] = False,
    snapshot: Annotated[
        Path | None,
        typer.Option(help="File that keeps the states, so that a restart goes on where this ended."),
    ] = None,
    max_keys: Annotated[
        int, typer.Option(min=1, help="Keys kept; the least recently used goes.")
    ] = 1_000_000,
    storage: Annotated[str, typer.Option(help="Of the weights: float32, bfloat16 or int8.")] = "float32",
    evaluate: Annotated[
        bool, typer.Option("--evaluate", help="Learn the rows of a file online: predict, score, then learn.")
    ] = False,
    target: Annotated[str | None, typer.Option(help="With --evaluate: the column to predict.")] = None,
    task: Annotated[
        str | None,
        typer.Option(help="With --evaluate: classify, regress or forecast. Default: by the target."),
    ] = None,
    delay: Annotated[int, typer.Option(min=0, help="With --evaluate: rows before a label comes.")] = 0,
    drift: Annotated[
        str | None,
        typer.Option(help="With --evaluate: adwin or page-hinkley watches for change. Default: nothing."),
    ] = None,
    depth: Annotated[
        int, typer.Option(min=0, help="With --evaluate: recurrent stacks of up to so many layers learn.")
    ] = 2,
    window: Annotated[
        int | None,
        typer.Option(
            min=1,
            help="With --evaluate: rows of each point of the curve. Default: 2,000, or a twentieth of a "
            "shorter file.",
        ),
    ] = None,
    report: Annotated[
        Path | None, typer.Option(help="With --evaluate: HTML page to write. Default: none.")
    ] = None,
    as_json: Annotated[
        bool, typer.Option("--json", help="With --evaluate: print JSON for programs instead of text.")
    ] = False,
) -> None:
    """Answer rows from standard input as they come, one line of JSON each; or evaluate learning online.

    Examples: tail -f live.jsonl | lamina stream model/ --snapshot state.bin

    lamina stream electricity.csv --evaluate --target class --report electricity.html
    """
    from lamina.options import EVALUATE_OPTIONS, SESSION_OPTIONS, refuse_typed

    if evaluate:
        refuse_typed(context, SESSION_OPTIONS, why="--evaluate reads a file and no saved model")
        _evaluate_stream(
            model,
            target,
            task=task,
            delay=delay,
            drift=drift,
            depth=depth,
            window=window,
            report=report,
            as_json=as_json,
        )
        return
    refuse_typed(context, EVALUATE_OPTIONS, why="a saved model answers rows, and nothing is evaluated")
    from lamina.streaming.command import stream_lines
    from lamina.streaming.forecast_session import ForecastSession
    from lamina.streaming.session import Session

    levels = _numbers(level)
    session = Session.open(
        model,
        storage=storage,  # type: ignore[arg-type]  # checked there
        max_keys=max_keys,
        adaptive=levels if adaptive else (),
    )
    if not isinstance(session, ForecastSession):
        refuse_typed(context, ("level",), why=f"{model} gives no forecasts")
    if sys.stdin.isatty():
        typer.echo("reading rows from the keyboard, one a line; Ctrl-D ends", err=True)
    done = stream_lines(
        session,
        sys.stdin.fileno(),
        sys.stdout.fileno(),
        form=form,  # type: ignore[arg-type]  # checked there
        key=key,
        levels=levels,
        snapshot=snapshot,
    )
    before = f", {done.seen_before} known already" if done.seen_before else ""
    typer.echo(f"{done.rows} rows, {done.errors} with errors{before}; {len(session)} keys", err=True)
    if done.how == "interrupted":
        raise typer.Exit(130)


def _evaluate_stream(
    data: Path,
    target: str | None,
    *,
    task: str | None,
    delay: int,
    drift: str | None,
    depth: int,
    window: int | None,
    report: Path | None,
    as_json: bool,
) -> None:
    from rich.console import Console

    from lamina.streaming.stream_file import StreamFile, evaluate_file
    from lamina.terminal import rows_bar, show_evaluation

    if target is None:
        raise ConfigError("--evaluate needs the column to predict. Name it with --target COLUMN.")
    if report is not None:
        from lamina.places import require_file

        require_file(report)
    file = StreamFile.read(data, target, task=task)  # type: ignore[arg-type]  # checked there
    with rows_bar(Console(stderr=True), len(file.rows)) as advance:
        found = evaluate_file(
            file,
            drift=drift,  # type: ignore[arg-type]  # checked there
            depth=depth,
            delay=delay,
            window=window,
            seen=advance,
        )
    if report is not None:
        from lamina.report.stream_page import render_file

        render_file(found, report)
    if as_json:
        typer.echo(json.dumps(found.to_dict(), allow_nan=False))
    else:
        show_evaluation(Console(), found, report)


@app.command()
def report(
    folder: Annotated[Path, typer.Argument(help="Folder of a study.")],
    out: Annotated[
        Path | None, typer.Option(help="File to write; default: report.html in the folder.")
    ] = None,
    replay: Annotated[
        bool,
        typer.Option(
            help="Write nothing; decide every question once more from the recorded scores, and compare."
        ),
    ] = False,
) -> None:
    """Write the report of a study again from its study.json, or check that it follows from its scores."""
    from lamina.api import open_study

    if not replay:
        typer.echo(open_study(folder).report(out))
        return
    if out is not None:
        raise ConfigError("--replay writes no report, so that --out would have no effect; leave one out")
    from rich.console import Console

    from lamina.terminal import show_replay

    found = open_study(folder).replay()
    show_replay(Console(), found)
    if found.differences:
        raise typer.Exit(1)


@app.command()
def compare(
    before: Annotated[Path, typer.Argument(help="Folder of a study.")],
    after: Annotated[Path, typer.Argument(help="Folder of another study.")],
    as_json: Json = False,
) -> None:
    """Say what changed between two studies: data, settings, answers, scores and costs.

    Example: lamina compare traffic-study/ traffic-study-2027/
    """
    from rich.console import Console

    from lamina.api import open_study
    from lamina.study.compare import compare_records
    from lamina.terminal import show_changes

    changes = compare_records(open_study(before).record, open_study(after).record)
    if as_json:
        typer.echo(json.dumps([change.to_dict() for change in changes]))
        return
    show_changes(Console(), changes)


@data_app.command("list")
def data_list(as_json: Json = False) -> None:
    """List the known data sets."""
    from rich.console import Console
    from rich.table import Table

    from lamina.data.sources import SOURCES

    rows = [
        {"name": s.name, "task": s.task, "bundled": s.bundled, "licence": s.licence, "about": s.about}
        for s in SOURCES.values()
    ]
    if as_json:
        typer.echo(json.dumps(rows))
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("name", "task", "where", "licence", "about"):
        table.add_column(name)
    for row in rows:
        where = "bundled" if row["bundled"] else "data folder"
        table.add_row(str(row["name"]), str(row["task"]), where, str(row["licence"]), str(row["about"]))
    Console().print(table)


@data_app.command("path")
def data_path(
    name: Annotated[str, typer.Argument(help="A name from: lamina data list.")],
    data_folder: DataFolder = None,
) -> None:
    """Print the files of a known data set, after checking that they are the published ones."""
    from lamina.data.sources import source_files

    for file in source_files(name, data_folder):
        typer.echo(file)


def _names(text: str | None) -> list[str] | None:
    found = [name.strip() for name in (text or "").split(",") if name.strip()]
    return found or None


def _numbers(text: str) -> list[float]:
    try:
        return [float(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise typer.BadParameter(f"numbers divided by commas are needed, but is {text!r}") from None


def _whole_numbers(text: str) -> list[int]:
    try:
        return [int(part) for part in text.split(",") if part.strip()]
    except ValueError:
        raise typer.BadParameter(f"whole numbers divided by commas are needed, but is {text!r}") from None


def _set_threads(threads: int | None) -> None:
    if threads is not None:
        import torch

        torch.set_num_threads(threads)


def main() -> None:
    """Run the command line.

    Exit codes: 0 done, 1 a model that collapsed, 2 a mistake in options or data, 130 interrupted.
    """
    try:
        app(standalone_mode=True)
    except LaminaError as error:
        typer.echo(f"error: {error}", err=True)
        raise SystemExit(2) from None
    except SystemExit as end:
        # Typer makes of Ctrl-C an exit without a word
        if isinstance(getattr(end.__context__, "__cause__", None), KeyboardInterrupt):
            typer.echo("interrupted", err=True)
        raise
