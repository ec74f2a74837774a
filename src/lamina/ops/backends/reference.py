"""The reference: a loop over ``cell.step``. It accepts everything and defines what is right."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn import functional as F
from typing_extensions import override

from lamina.ops.call import Backend, Call, ZoneoutMasks, ZoneoutRates
from lamina.ops.cells import State
from lamina.ops.lengths import valid_steps, zero_padding


class Reference(Backend):
    """Runs any call, one step at a time, with whatever autograd makes of it."""

    name = "reference"

    @override
    def why_not(self, call: Call) -> str | None:
        return None

    @override
    def run(self, call: Call) -> tuple[Tensor, State]:
        weights, state = call.weights, call.state
        batch, time, _ = call.x.shape
        blocks = (len(call.cell.gates), weights.hidden)
        x = call.x if call.lengths is None else zero_padding(call.x, call.lengths)
        # unbind, not x[:, t]: the gradient of T selections would be T tensors of the full size
        wx = torch.unflatten(F.linear(x, weights.w, weights.b), -1, blocks).unbind(
            1
        )  # time x (batch, gates, hidden)
        valid = None if call.lengths is None else valid_steps(call.lengths, time)

        outputs = [state[0]] * time
        for t in reversed(range(time)) if call.reverse else range(time):
            h = state[0] if call.recurrent_mask is None else state[0] * call.recurrent_mask
            rh = torch.unflatten(F.linear(h, weights.r, weights.c), -1, blocks)  # (batch, gates, hidden)
            new = call.cell.step(wx[t], rh, state, weights.extra)
            if weights.projection is not None:
                new = (F.linear(new[0], weights.projection), *new[1:])
            new = _zoneout(call.zoneout, t, state, new)
            if valid is not None:
                new = tuple(torch.where(valid[:, t, None], n, o) for n, o in zip(new, state, strict=True))
            state = new
            outputs[t] = state[0]
        y = torch.stack(outputs, 1) if outputs else state[0].new_zeros(batch, 0, weights.outputs)
        return (y if call.lengths is None else zero_padding(y, call.lengths)), state


def _zoneout(zoneout: ZoneoutMasks | ZoneoutRates | None, t: int, old: State, new: State) -> State:
    """Let some units keep their old value: states (batch, hidden) -> same shapes."""
    if zoneout is None:
        return new
    if isinstance(zoneout, ZoneoutRates):
        return tuple(n + rate * (o - n) for n, o, rate in zip(new, old, zoneout.rates, strict=True))
    return tuple(
        n if keep is None else torch.where(keep[:, t], o, n)
        for n, o, keep in zip(new, old, zoneout.keep, strict=True)
    )
