"""Noise that keeps a recurrent network from learning its training part by heart.

Every function draws anew at each call and changes nothing in evaluation, except that zoneout then mixes.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from lamina.ops.call import ZoneoutMasks, ZoneoutRates
from lamina.ops.dropout import drop


def dropout_mask(shape: tuple[int, ...], rate: float, *, like: Tensor) -> Tensor:
    """Draw a mask of 0 and 1 / (1 - rate): multiplying by it keeps the mean."""
    return F.dropout(like.new_ones(shape), rate)


class Dropout(nn.Module):
    """Drop single numbers, anew at each call: any shape -> same shape. See ``lamina.ops.dropout.drop``.

    Args:
        rate: chance of each, from 0 to 1.

    Source: Srivastava et al. 2014, Journal of Machine Learning Research 15.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate

    @override
    def forward(self, x: Tensor) -> Tensor:
        return drop(x, self.rate) if self.training else x

    @override
    def extra_repr(self) -> str:
        return f"rate={self.rate}"


class VariationalDropout(Dropout):
    """Drop the same features at every step of a sequence: (batch, time, features) -> same shape.

    Source: Gal & Ghahramani 2016, arXiv:1512.05287.
    """

    @override
    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        return x * dropout_mask((x.shape[0], 1, x.shape[2]), self.rate, like=x)


def drop_recurrent(h: Tensor, rate: float, *, training: bool) -> Tensor | None:
    """Draw which units of h the recurrent product does not see, for a whole sequence: (batch, hidden).

    The mask goes to ``scan`` as ``recurrent_mask``. None when nothing is to be dropped.

    Source: Gal & Ghahramani 2016, arXiv:1512.05287.
    """
    return dropout_mask((h.shape[0], h.shape[1]), rate, like=h) if training and rate else None


def zone_out(
    x: Tensor, hidden: int, states: int, rate: float, *, training: bool
) -> ZoneoutMasks | ZoneoutRates | None:
    """Draw which units keep their old value at which step, or in evaluation the rates of mixing.

    All states of the cell have the same rate; each has masks of its own. None when the rate is 0.

    Source: Krueger et al. 2016, arXiv:1606.01305.
    """
    if rate == 0:
        return None
    if not training:
        return ZoneoutRates((rate,) * states)
    shape = (x.shape[0], x.shape[1], hidden)
    return ZoneoutMasks(tuple(torch.rand(shape, device=x.device) < rate for _ in range(states)))


def drop_weight(r: Tensor, rate: float, *, training: bool) -> Tensor:
    """Return the recurrent matrix with single weights dropped for a whole call: same shape.

    The result, not the parameter, goes to ``scan``; a dropped weight has no gradient in that call.

    Source: DropConnect as in Merity et al. 2017, arXiv:1708.02182.
    """
    return drop(r, rate) if training else r
