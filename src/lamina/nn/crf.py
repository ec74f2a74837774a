"""A linear-chain conditional random field over tags."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from lamina.data.conll import mark_entities
from lamina.ops.lengths import valid_steps


class CRF(nn.Module):
    """Scores of whole sequences of tags: score(t) = sum_k emission[k, t_k] + sum_k transition[t_k-1, t_k].

    The first tag has a score of its own for standing first, and the last for standing last. p(t) is
    exp(score(t)) over the sum of that over all sequences.

    Args:
        tags: how many.
        allowed: which tag may follow which, bool (tags + 1, tags + 1): rows from, columns to; the last row
            is the begin of a sentence and the last column its end. None allows all.

    Source: Lafferty, McCallum & Pereira 2001; with recurrent emissions: Huang et al. 2015, arXiv:1508.01991.
    """

    allowed: Tensor

    def __init__(self, tags: int, allowed: Tensor | None = None) -> None:
        super().__init__()
        self.transition = nn.Parameter(torch.zeros(tags + 1, tags + 1))
        everything = torch.ones(tags + 1, tags + 1, dtype=torch.bool)
        self.register_buffer("allowed", everything if allowed is None else allowed)

    def _scores(self) -> tuple[Tensor, Tensor, Tensor]:
        """Scores between tags (tags, tags), of the first (tags,) and of the last (tags,)."""
        # finite, so that a sentence whose tags are not allowed has a loss and not infinity
        scores = self.transition.masked_fill(~self.allowed, -1e4)
        return scores[:-1, :-1], scores[-1, :-1], scores[:-1, -1]

    def nats(self, emissions: Tensor, tags: Tensor, lengths: Tensor) -> Tensor:
        """-log p of the given tags, (batch,).

        Args:
            emissions: (batch, time, tags).
            tags: (batch, time) int64; what stands at padding does not matter.
            lengths: (batch,), at least 1.
        """
        between, first, last = self._scores()
        valid = valid_steps(lengths, tags.shape[1])
        tags = tags.masked_fill(~valid, 0)
        gold = (emissions.gather(2, tags[:, :, None])[:, :, 0] * valid).sum(1)
        gold = gold + (between[tags[:, :-1], tags[:, 1:]] * valid[:, 1:]).sum(1)
        ends = tags.gather(1, lengths[:, None] - 1)[:, 0]
        gold = gold + first[tags[:, 0]] + last[ends]

        alpha = first + emissions[:, 0]  # (batch, tags): log sum over all beginnings that end in a tag
        for step in range(1, tags.shape[1]):
            onward = (alpha[:, :, None] + between).logsumexp(1) + emissions[:, step]
            alpha = torch.where(valid[:, step, None], onward, alpha)
        return (alpha + last).logsumexp(1) - gold

    @torch.no_grad()
    def decode(self, emissions: Tensor, lengths: Tensor) -> Tensor:
        """The likeliest tags that are allowed (Viterbi), (batch, time) int64; 0 at padding."""
        between, first, last = self._scores()
        batch, time, _ = emissions.shape
        valid = valid_steps(lengths, time)
        best = first + emissions[:, 0]  # (batch, tags)
        came_from = []
        for step in range(1, time):
            value, source = (best[:, :, None] + between).max(1)
            best = torch.where(valid[:, step, None], value + emissions[:, step], best)
            came_from.append(source)  # (batch, tags)
        tag = (best + last).argmax(1)  # (batch,), of each row's last step
        tags = torch.zeros(batch, time, dtype=torch.int64, device=emissions.device)
        for step in range(time - 1, -1, -1):
            tags[:, step] = torch.where(valid[:, step], tag, 0)
            if step:
                earlier = came_from[step - 1].gather(1, tag[:, None])[:, 0]
                tag = torch.where(valid[:, step], earlier, tag)
        return tags


def allowed_transitions(tags: tuple[str, ...]) -> Tensor:
    """Which tag may follow which in BIO or BIOES, as ``CRF`` takes it; tags of no such scheme may all.

    Raises:
        DataError: some tags are of entities and some are not.

    >>> allowed = allowed_transitions(("O", "B-X", "I-X", "B-Y", "I-Y"))
    >>> bool(allowed[1, 2]), bool(allowed[0, 2]), bool(allowed[3, 2]), bool(allowed[5, 2])
    (True, False, False, False)
    """
    size = len(tags)
    allowed = torch.ones(size + 1, size + 1, dtype=torch.bool)
    if not mark_entities(tags):
        return allowed
    marks_ends = any(tag[:2] in ("E-", "S-") for tag in tags)
    names = (*tags, "O")  # begin and end of a sentence are outside every entity
    for row, before in enumerate(names):
        for column, after in enumerate(names):
            inside = after[:2] in ("I-", "E-")
            same = before[2:] == after[2:] and before[:2] in ("B-", "I-")
            open_before = marks_ends and before[:2] in ("B-", "I-")
            allowed[row, column] = same if inside else not open_before
    return allowed
