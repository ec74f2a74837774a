"""Beam search: the likeliest sequences that a step-by-step model can write."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor

from lamina.errors import ConfigError
from lamina.nn.cross_attention import Nested, pick_rows

Step = Callable[[Tensor, Nested], tuple[Tensor, Nested]]
"""(tokens (rows,), state) -> (log probabilities of the next token (rows, vocabulary), state)."""


@dataclass(frozen=True)
class Hypothesis:
    """A sequence that was found.

    Attributes:
        tokens: without the ones that begin and end it.
        score: its log probability, divided by its length to the power asked for; the end counts as a token.
        ended: whether it ended by itself; False where it was cut at the most tokens allowed.
    """

    tokens: tuple[int, ...]
    score: float
    ended: bool


@torch.no_grad()
def beam_search(
    step: Step,
    state: Nested,
    *,
    begin: int,
    end: int,
    longest: Tensor,
    beam: int = 5,
    length_power: float = 1.0,
) -> list[list[Hypothesis]]:
    """The best sequences of each row, best first, all rows side by side.

    At every step each row keeps the ``beam`` hypotheses of the highest log p / length^length_power, those
    that have ended among them. A row is left once all of its hypotheses have ended, and costs nothing from
    then on. With a beam of 1 that is greedy decoding.

    Args:
        step: the model.
        state: what it starts from, with one row for each sequence to write.
        begin, end: the tokens that begin and end a sequence; none is empty.
        longest: most tokens of each row, the end included, (rows,).
        beam: hypotheses kept of each row.
        length_power: 0 compares log p, which prefers short sequences; 1 compares means over tokens.

    Raises:
        ConfigError: a beam below 1.
    """
    if beam < 1:
        raise ConfigError(f"a beam keeps at least 1 hypothesis but is {beam}; use for example 5")
    found: list[list[Hypothesis]] = [[] for _ in range(len(longest))]
    live = _Beams.begun(longest, begin)
    while len(live.rows):
        log_p, state = step(live.tokens[:, :, -1].flatten(), state)
        came, live = live.extended(log_p, end=end, beam=beam, length_power=length_power)
        state = pick_rows(state, came)
        done = live.ended.all(1)
        if bool(done.any()):
            for row, hypotheses in zip(live.rows[done].tolist(), live.only(done).told(end), strict=True):
                found[row] = hypotheses
            state = pick_rows(state, (~done).repeat_interleave(live.tokens.shape[1]).nonzero()[:, 0])
            live = live.only(~done)
    return found


@dataclass(frozen=True)
class _Beams:
    """Hypotheses of the rows still searched.

    Attributes:
        rows: which row of the batch, (rows,).
        longest: most tokens of each, (rows,).
        tokens: begin and what was written since, (rows, width, tokens).
        log_p: (rows, width).
        lengths: tokens written before the hypothesis ended, its end included, (rows, width).
        ended: (rows, width).
        score: log_p / lengths^length_power, (rows, width).
    """

    rows: Tensor
    longest: Tensor
    tokens: Tensor
    log_p: Tensor
    lengths: Tensor
    ended: Tensor
    score: Tensor

    @classmethod
    def begun(cls, longest: Tensor, begin: int) -> _Beams:
        """One hypothesis a row, with nothing written."""
        rows = len(longest)
        zero = torch.zeros(rows, 1, device=longest.device)
        return cls(
            torch.arange(rows, device=longest.device),
            longest,
            torch.full((rows, 1, 1), begin, device=longest.device),
            zero,
            torch.zeros_like(zero, dtype=torch.int64),
            torch.zeros_like(zero, dtype=torch.bool),
            zero,
        )

    def only(self, kept: Tensor) -> _Beams:
        """Some of the rows."""
        return _Beams(
            self.rows[kept],
            self.longest[kept],
            self.tokens[kept],
            self.log_p[kept],
            self.lengths[kept],
            self.ended[kept],
            self.score[kept],
        )

    def extended(self, log_p: Tensor, *, end: int, beam: int, length_power: float) -> tuple[Tensor, _Beams]:
        """One token more: where each hypothesis comes from among rows * width, and the hypotheses."""
        rows, width = self.ended.shape
        log_p = log_p.float().view(rows, width, -1)
        tokens = log_p.shape[-1]
        if self.tokens.shape[2] == 1:
            log_p[:, :, end] = -torch.inf  # nothing was written yet
        log_p[self.ended] = -torch.inf
        log_p[:, :, end].masked_fill_(self.ended, 0)  # what has ended stays as it is
        total = self.log_p[:, :, None] + log_p  # (rows, width, vocabulary)
        lengths = self.lengths + ~self.ended
        scores = total / lengths[:, :, None] ** length_power
        score, place = scores.flatten(1).topk(min(beam, width * tokens))  # (rows, new width)
        came, token = place // tokens, place % tokens
        lengths = lengths.gather(1, came)
        written = self.tokens.gather(1, came[:, :, None].expand(-1, -1, self.tokens.shape[2]))
        begins = torch.arange(rows, device=came.device)[:, None] * width
        return (begins + came).flatten(), _Beams(
            self.rows,
            self.longest,
            torch.cat((written, token[:, :, None]), -1),
            total.flatten(1).gather(1, place),
            lengths,
            self.ended.gather(1, came) | (token == end) | (lengths >= self.longest[:, None]),
            score,
        )

    def told(self, end: int) -> list[list[Hypothesis]]:
        """The hypotheses of each row, best first; those that cannot happen are left out."""
        return [
            [
                _told(tokens[1 : 1 + length], score, end)
                for tokens, length, score in zip(row, lengths, scores, strict=True)
                if score > -torch.inf
            ]
            for row, lengths, scores in zip(
                self.tokens.tolist(), self.lengths.tolist(), self.score.tolist(), strict=True
            )
        ]


def _told(tokens: list[int], score: float, end: int) -> Hypothesis:
    ended = tokens[-1] == end
    return Hypothesis(tuple(tokens[:-1] if ended else tokens), score, ended)
