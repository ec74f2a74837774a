"""Which options of train and predict concern which kind of model, and what they say of its training.

One that would do nothing is an error.
"""

from __future__ import annotations

import tomllib
from collections.abc import Collection, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import typer

from lamina.errors import ConfigError, did_you_mean

if TYPE_CHECKING:
    from lamina.nn.stack import StackConfig
    from lamina.training.optim import TrainingConfig

_COLUMNS = ("target", "time", "id", "future", "past", "static", "duplicates", "gaps", "frequency")
_STACK = ("cell", "layers", "hidden", "direction")
# For each kind of model the options that it has beside those of all kinds.
TRAIN_OPTIONS = {
    "Forecaster": (*_COLUMNS, *_STACK, "horizon", "attention"),
    "SequenceClassifier": (*_STACK, "attention"),
    "TextClassifier": (*_STACK, "text", "label", "unit", "vectors", "attention", "unlabelled", "teacher"),
    "BertClassifier": ("text", "label", "bert"),
    "SequenceTagger": _STACK,
    "LanguageModel": (*_STACK, "text", "unit"),
    "Translator": (*_STACK, "text", "translation"),
    "MusicModel": _STACK,
}
PREDICT_OPTIONS = {
    "Forecaster": ("horizon", "future_values", "level", "as_json"),
    "SequenceClassifier": ("as_json",),
    "TextClassifier": ("text", "as_json"),
    "BertClassifier": ("text", "as_json"),
    "Translator": ("text", "beam", "as_json"),
    "SequenceTagger": ("as_json",),
    "LanguageModel": ("tokens", "temperature", "top_k", "top_p", "seed", "as_json"),
    "MusicModel": ("tokens", "temperature", "seed"),
}
# Those of `lamina stream` for a saved model that answers, and those for a file that is learned.
SESSION_OPTIONS = ("form", "key", "level", "adaptive", "snapshot", "max_keys", "storage")
EVALUATE_OPTIONS = ("target", "task", "delay", "drift", "depth", "window", "report", "as_json")

# The tables of a --config for models of any kind, and the options whose place each takes.
TABLES: dict[str, tuple[str, ...]] = {"stack": _STACK, "training": ("max_steps",), "pretraining": ()}
# Those that some kinds have beside them.
OWN_TABLES = ("form", "decoder")


class Settings(NamedTuple):
    """What train was told; None is what the model's class has.

    Attributes:
        stack: the network.
        training: its run.
        pretraining: the run before, on texts without labels.
        own: parameters that models of this kind have beside these, such as their form.
    """

    stack: StackConfig | None
    training: TrainingConfig
    pretraining: TrainingConfig | None
    own: dict[str, Any]


def read_settings(
    context: typer.Context,
    kind: str,
    config: Path | None,
    *,
    shape: Mapping[str, Any],
    max_steps: int | None,
    bert: str | None,
) -> Settings:
    """What options and a --config say of a model and its training; they say the same thing once.

    Args:
        context: of the command that runs.
        kind: of the model.
        config: a TOML file of TABLES and of what ``KIND_SETTINGS`` has for the kind.
        shape: the options that make the stack.
        max_steps: of the run.
        bert: which BERT is trained, if any.

    Raises:
        ConfigError: the file cannot be read, holds something else, or what an option says too.
    """
    from lamina.estimators.kind_settings import KIND_SETTINGS
    from lamina.estimators.pretraining import DEFAULT_PRETRAINING
    from lamina.estimators.usual import usual_training
    from lamina.nn.stack import StackConfig
    from lamina.tasks.bert import SMALL_BERT

    file = _read_config(config, kind)
    for part, names in TABLES.items():
        if part in file:
            refuse_typed(context, names, why=f"{config} holds [{part}]")
    if "stack" in file and kind == "BertClassifier":
        raise ConfigError(f"{config} holds [stack], but a BERT has a form of its own. Leave it out.")
    stack = StackConfig.parse(file["stack"]) if "stack" in file else None
    if any(given is not None for given in shape.values()):
        stack = StackConfig(
            cell=shape["cell"] or "lstm",
            hidden_sizes=(shape["hidden"] or 64,) * (shape["layers"] or 1),
            directions=tuple((shape["direction"] or "forward").split(",")),  # type: ignore[arg-type]  # checked there
            dropout=0.1,
        )
    training = usual_training(kind, bert=bert).replace(**file.get("training", {}))
    if max_steps is not None:
        training = training.replace(max_steps=max_steps)
    before = DEFAULT_PRETRAINING.replace(**file["pretraining"]) if "pretraining" in file else None
    said = KIND_SETTINGS[kind].parse({key: value for key, value in file.items() if key not in TABLES})
    own = {key: getattr(said, key) for key in said.model_fields_set}
    if "form" in own and kind == "BertClassifier":
        if bert != SMALL_BERT:
            raise ConfigError(
                f"{config} holds [form], but the BERT in {bert} has its own. Leave it out, or give "
                "--bert small."
            )
        own["bert"] = own.pop("form")
    if "attention" in file.get("form", {}):
        refuse_typed(context, ("attention",), why=f"{config} holds the attention of its [form]")
    return Settings(stack, training, before, own)


def _read_config(path: Path | None, kind: str) -> dict[str, Any]:
    from lamina.estimators.kind_settings import KIND_SETTINGS

    if path is None:
        return {}
    try:
        content = tomllib.loads(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, tomllib.TOMLDecodeError) as error:
        raise ConfigError(f"{path} cannot be read as TOML: {error}") from error
    own = KIND_SETTINGS[kind].model_fields
    for key in content:
        if key in own:
            continue
        if key not in TABLES:
            tables = [f"[{name}]" for name in (*TABLES, *(name for name in own if name in OWN_TABLES))]
            keys = [name for name in own if name not in OWN_TABLES]
            raise ConfigError(
                f"for a {kind}, {path} holds the tables {', '.join(tables)} and the keys {', '.join(keys)}, "
                f"but has '{key}'{did_you_mean(key, (*TABLES, *own))}"
            )
        if not isinstance(content[key], dict):
            raise ConfigError(f"{path} holds the table [{key}], but has {key} = {content[key]!r}")
    return content


def refuse_for_kind(
    context: typer.Context, kinds: dict[str, tuple[str, ...]], kind: str, *, why: str
) -> None:
    """Refuse the typed options that other kinds of model have and this one does not.

    Args:
        context: of the command that runs.
        kinds: the options of each kind, ``TRAIN_OPTIONS`` or ``PREDICT_OPTIONS``.
        kind: of the model at hand.
        why: how the model comes to be of its kind, such as "model/ holds a LanguageModel".

    Raises:
        ConfigError: it names the kind, each such option with its value, and the options the kind does have.
    """
    others = {name for names in kinds.values() for name in names} - set(kinds[kind])
    flags = _flags(context)
    own = ", ".join(sorted(flags[name] for name in kinds[kind])) or "none of its own"
    refuse_typed(context, others, why=why, instead=f" The options of a {kind}: {own}.")


def refuse_typed(context: typer.Context, names: Collection[str], *, why: str, instead: str = "") -> None:
    """Refuse those of some options that were typed; a default is never refused.

    Raises:
        ConfigError: it says why they would have no effect, what was typed, and to leave it out.
    """
    flags = _flags(context)
    typed = [
        _as_typed(flag, context.params[name])
        for name, flag in flags.items()
        if name in names and _is_typed(context, name)
    ]
    if typed:
        raise ConfigError(
            f"{why}, so that {' and '.join(typed)} would have no effect. Leave it out.{instead}"
        )


def _flags(context: typer.Context) -> dict[str, str]:
    """The options of a command by the names of their parameters: as_json is --json."""
    return {
        str(parameter.name): parameter.opts[0]
        for parameter in context.command.params
        if parameter.param_type_name == "option"
    }


def _is_typed(context: typer.Context, name: str) -> bool:
    source = context.get_parameter_source(name)
    return source is not None and source.name == "COMMANDLINE"


def _as_typed(flag: str, value: object) -> str:
    """The option as it was typed: --attention, --horizon 3, --past ''."""
    if value is True:
        return flag
    return f"{flag} ''" if value == "" else f"{flag} {value}"
