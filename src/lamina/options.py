"""Which options of the command line concern which kind of model; one that would do nothing is an error."""

from __future__ import annotations

from collections.abc import Collection

import typer

from lamina.errors import ConfigError

_COLUMNS = ("target", "time", "id", "future", "past", "static", "duplicates", "gaps", "frequency")
# For each kind of model the options that it has beside those of all kinds.
TRAIN_OPTIONS = {
    "Forecaster": (*_COLUMNS, "horizon", "attention"),
    "SequenceClassifier": ("attention",),
    "TextClassifier": ("text", "label", "attention", "unlabelled", "teacher"),
    "SequenceTagger": (),
    "LanguageModel": (),
}
PREDICT_OPTIONS = {
    "Forecaster": ("horizon", "future_values", "level", "as_json"),
    "SequenceClassifier": ("as_json",),
    "TextClassifier": ("text", "as_json"),
    "BertClassifier": ("text", "as_json"),
    "Translator": ("text", "as_json"),
    "SequenceTagger": ("as_json",),
    "LanguageModel": ("tokens", "seed", "as_json"),
    "MusicModel": ("tokens", "seed"),
}
# Those of `lamina stream` for a saved model that answers, and those for a file that is learned.
SESSION_OPTIONS = ("form", "key", "level", "adaptive", "snapshot", "max_keys", "storage")
EVALUATE_OPTIONS = ("target", "task", "delay", "drift", "depth", "window", "report", "as_json")


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
