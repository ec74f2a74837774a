"""torch's fused recurrent operators: oneDNN on the CPU, cuDNN on a GPU."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor
from typing_extensions import override

from lamina.ops.call import Backend, Call, Weights
from lamina.ops.cells import GRU, LSTM, Relu, State, Tanh
from lamina.ops.lengths import last_valid, reverse_rows, valid_steps, zero_padding


class Aten(Backend):
    """Runs the four cells that torch knows.

    Rows of unequal length run padded, two to three times faster than a PackedSequence (torch 2.13, 2-core
    Zen 4: 57-174 against 20-78 GFLOP/s): a padded step cannot change a valid one before it, and the final h
    is read from y. The memory c of an LSTM is not in y, so it is held over padding; see ``_hold_memory``.
    The reverse direction turns each row round, runs forward, and turns the result back.
    """

    name = "aten"

    @override
    def why_not(self, call: Call) -> str | None:
        autocast = call.x.device.type == "cpu" and torch.is_autocast_enabled("cpu")
        rules = (
            (call.cell not in (Tanh, Relu, LSTM, GRU), f"torch has no cell '{call.cell.name}'"),
            (call.zoneout is not None, "torch has no zoneout"),
            (call.recurrent_mask is not None, "torch has no recurrent mask"),
            (call.x.numel() == 0, "torch refuses an empty input"),
            (
                call.cell is Relu and call.lengths is not None,
                "a relu network may overflow over padding, which would spoil its gradients",
            ),
            # torch 2.13 finds no oneDNN primitive, in torch.nn.LSTM too
            (call.cell is LSTM and autocast, "torch's LSTM fails under autocast on a CPU"),
        )
        return next((reason for broken, reason in rules if broken), None)

    @override
    def run(self, call: Call) -> tuple[Tensor, State]:
        x, weights, lengths = call.x, call.weights, call.lengths
        if lengths is not None:
            x = zero_padding(x, lengths)
        if call.reverse:
            x = reverse_rows(x, lengths)
        if lengths is not None and call.cell is LSTM:
            x, weights = _hold_memory(x, weights, lengths)
        y, state = _forward(call, x, weights)
        if lengths is not None:
            state = (last_valid(y, lengths), *state[1:])
            started = (lengths > 0)[:, None]  # (batch, 1)
            state = tuple(torch.where(started, n, o) for n, o in zip(state, call.state, strict=True))
            y = zero_padding(y, lengths)
        return (reverse_rows(y, lengths) if call.reverse else y), state


def _forward(call: Call, x: Tensor, weights: Weights) -> tuple[Tensor, State]:
    parameters = [weights.w, weights.r]
    biased = weights.b is not None or weights.c is not None
    if biased:  # torch wants both or neither
        zero = weights.w.new_zeros(weights.w.shape[0])
        parameters += [zero if bias is None else bias for bias in (weights.b, weights.c)]
    if weights.projection is not None:
        parameters.append(weights.projection)
    hx = [h[None].contiguous() for h in call.state]  # each (1, batch, hidden)
    layers, dropout, bidirectional, batch_first = 1, 0.0, False, True
    options = (parameters, biased, layers, dropout, call.needs_grad, bidirectional, batch_first)
    if call.cell is LSTM:
        y, h, c = torch.lstm(x, hx, *options)
        return y, (h[0], c[0])
    run = {Tanh: torch.rnn_tanh, Relu: torch.rnn_relu, GRU: torch.gru}[call.cell]
    y, h = run(x, hx[0], *options)
    return y, (h[0],)


def _hold_memory(x: Tensor, weights: Weights, lengths: Tensor) -> tuple[Tensor, Weights]:
    """Add an input that is 1 at padding only and there forces the gates so that c' = 1 * c + 0 * g.

    At padding the other inputs are 0 and, in a row that has started, |h| < 1, or sum |P| with a projection,
    so no gate's term exceeds |b| + |c| + |R| sum |P|. The new weight exceeds that by 100; sigmoid(100) is 1
    to the last bit in float64, its slope 4e-44.
    """
    reach = weights.r.detach().abs()  # (gates * hidden, outputs)
    if weights.projection is not None:
        reach = reach * weights.projection.detach().abs().sum(1)
    reach = reach.sum(1)  # (gates * hidden)
    for bias in (weights.b, weights.c):
        reach = reach if bias is None else reach + bias.detach().abs()
    hold = reach.max() + 100
    sign = torch.tensor([-1.0, 1.0, 0.0, 0.0], dtype=x.dtype, device=x.device)  # input, forget, the rest
    column = (sign * hold).repeat_interleave(weights.hidden)[:, None]  # (gates * hidden, 1)
    padding = ~valid_steps(lengths, x.shape[1])[:, :, None]
    held = replace(weights, w=torch.cat((weights.w, column), 1))
    return torch.cat((x, padding.to(x.dtype)), 2), held
