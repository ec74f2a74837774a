"""Put Lamina's kernels under the recurrent layers of a PyTorch model, and take them away again.

A layer stays the object that it was and only changes its class, as ``torch.nn.utils.parametrize`` does it:
parameters, hooks, training mode, places in the model, and the optimiser's hold on the parameters all remain.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import TypeVar

import torch
from torch import nn
from torch.nn.utils import parametrize

from lamina.errors import ConfigError
from lamina.nn.torch_compat import GRU, LSTM, RNN

Model = TypeVar("Model", bound=nn.Module)

_FASTER: dict[type[nn.Module], type[nn.Module]] = {nn.LSTM: LSTM, nn.GRU: GRU, nn.RNN: RNN}
_PLAIN = {faster: plain for plain, faster in _FASTER.items()}

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Report:
    """Which recurrent layers of a model run on Lamina; print it to read it.

    replaced: names of Lamina's layers, as ``named_modules`` gives them; "" is the model itself.
    left: name and reason of every other recurrent layer.
    """

    replaced: tuple[str, ...]
    left: tuple[tuple[str, str], ...]

    def __str__(self) -> str:
        lines = [f"{name or 'the model itself'}: runs on Lamina" for name in self.replaced]
        lines += [f"{name or 'the model itself'}: left to torch, for {why}" for name, why in self.left]
        return "\n".join(lines) or "the model has no recurrent layer"


def accelerate(model: Model) -> Model:
    """Run every torch.nn.LSTM, GRU and RNN of a model on Lamina's kernels; return the same model.

    Nothing else about the model changes: same parameters, same ``state_dict``, same results up to rounding.
    What is not replaced, and why, says ``report``; both go to the log at level INFO. ``restore`` undoes it.

    Raises:
        ConfigError: ``model`` is no torch.nn.Module.

    >>> model = accelerate(nn.Sequential(nn.LSTM(3, 4)))
    >>> print(report(model))
    0: runs on Lamina
    >>> restore(model)
    Sequential(
      (0): LSTM(3, 4)
    )
    """
    for _, layer in _recurrent_layers(model):
        if type(layer) in _FASTER and _why_left(layer) is None:
            layer.__class__ = _FASTER[type(layer)]
    _log.info("%s", report(model))
    return model


def restore(model: Model) -> Model:
    """Give every layer of Lamina's its class in torch.nn back, those that you built as such too.

    Needed before what must know torch's own class: TorchScript, ONNX, quantisation.
    """
    for _, layer in _recurrent_layers(model):
        layer.__class__ = _PLAIN.get(type(layer), type(layer))
    return model


def report(model: nn.Module) -> Report:
    """Say which recurrent layers of a model run on Lamina, and why others do not.

    A layer that runs on Lamina may still hand an input to torch's operators, on a GPU for instance;
    ``layer.explain(input)`` tells.
    """
    replaced, left = [], []
    for name, layer in _recurrent_layers(model):
        if type(layer) in _PLAIN:
            replaced.append(name)
        else:
            left.append(
                (name, _why_left(layer) or "lamina.accelerate has not been called since it was added")
            )
    return Report(tuple(replaced), tuple(left))


def _recurrent_layers(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    if not isinstance(model, nn.Module):
        raise ConfigError(f"the model must be a torch.nn.Module but is a {type(model).__name__}")
    for name, module in model.named_modules():
        if isinstance(module, nn.RNNBase) or _scripted(module):
            yield name, module


def _scripted(module: nn.Module) -> bool:
    return isinstance(module, torch.jit.ScriptModule) and getattr(module, "original_name", "") in {
        plain.__name__ for plain in _FASTER
    }


def _why_left(layer: nn.Module) -> str | None:
    """Return why a recurrent layer cannot change its class, or None if it can."""
    kind = type(layer)
    rules = (
        (_scripted(layer), "TorchScript has compiled it; accelerate a model instead of scripting it"),
        (
            parametrize.is_parametrized(layer),
            "its parameters are parametrized, which made its class; accelerate first, parametrize then",
        ),
        (
            kind not in _FASTER and kind not in _PLAIN,
            f"its class {kind.__qualname__} is no class of torch.nn, and may compute something else",
        ),
        ("forward" in vars(layer), "its forward was replaced"),
    )
    return next((reason for broken, reason in rules if broken), None)
