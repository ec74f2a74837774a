from __future__ import annotations

from itertools import pairwise, product

import pytest
import torch

from lamina.nn.crf import CRF, allowed_transitions

TAGS = ("B-X", "E-X", "I-X", "O", "S-X")


def crf(tags: int, allowed: torch.Tensor | None = None) -> CRF:
    torch.manual_seed(0)
    layer = CRF(tags, allowed).double()
    torch.nn.init.normal_(layer.transition)
    return layer


def score(layer: CRF, emissions: torch.Tensor, tags: tuple[int, ...]) -> float:
    """The definition, term by term, for one sentence (time, tags)."""
    end = layer.transition.shape[0] - 1
    path = (end, *tags, end)
    total = sum(float(layer.transition.detach()[a, b]) for a, b in pairwise(path))
    return total + sum(float(emissions[step, tag]) for step, tag in enumerate(tags))


@pytest.mark.parametrize("lengths", [[4, 4], [4, 1], [2, 3]])
def test_likelihood_and_decoding_are_those_over_all_sequences(lengths: list[int]) -> None:
    layer, emissions = crf(3), torch.randn(2, 4, 3, dtype=torch.float64)
    tags = torch.randint(3, (2, 4))
    nats = layer.nats(emissions, tags, torch.tensor(lengths)).detach()
    decoded = layer.decode(emissions, torch.tensor(lengths))
    for row, steps in enumerate(lengths):
        scores = {path: score(layer, emissions[row], path) for path in product(range(3), repeat=steps)}
        every = torch.tensor(list(scores.values()), dtype=torch.float64).logsumexp(0)
        gold = scores[tuple(tags[row, :steps].tolist())]
        assert float(nats[row]) == pytest.approx(float(every) - gold)
        assert tuple(decoded[row, :steps].tolist()) == max(scores, key=lambda path: scores[path])
        assert not decoded[row, steps:].any()


def test_padding_has_no_gradient() -> None:
    layer = crf(3)
    emissions = torch.randn(2, 4, 3, dtype=torch.float64, requires_grad=True)
    layer.nats(emissions, torch.zeros(2, 4, dtype=torch.int64), torch.tensor([4, 2])).sum().backward()  # type: ignore[no-untyped-call]
    assert emissions.grad is not None
    assert emissions.grad[0].all()
    assert not emissions.grad[1, 2:].any()


def test_gradients_are_those_of_finite_differences() -> None:
    layer = crf(3)
    emissions = torch.randn(2, 3, 3, dtype=torch.float64, requires_grad=True)
    tags, lengths = torch.randint(3, (2, 3)), torch.tensor([3, 2])

    def nats(e: torch.Tensor, transition: torch.Tensor) -> torch.Tensor:
        result: torch.Tensor = torch.func.functional_call(
            Nats(layer), {"layer.transition": transition}, (e, tags, lengths)
        )
        return result

    assert torch.autograd.gradcheck(nats, (emissions, layer.transition))


class Nats(torch.nn.Module):
    def __init__(self, layer: CRF) -> None:
        super().__init__()
        self.layer = layer

    def forward(self, e: torch.Tensor, tags: torch.Tensor, lengths: torch.Tensor) -> torch.Tensor:
        return self.layer.nats(e, tags, lengths)


def test_decoding_never_breaks_the_scheme() -> None:
    layer = crf(5, allowed_transitions(TAGS))
    emissions = 5 * torch.randn(200, 6, 5, dtype=torch.float64)
    for row in layer.decode(emissions, torch.full((200,), 6)).tolist():
        names = "".join(TAGS[tag][0] for tag in row)
        rest = names.replace("O", " ").replace("S", " ")
        assert all(part[0] == "B" and part[-1] == "E" and set(part[1:-1]) <= {"I"} for part in split(rest))


def split(entities: str) -> list[str]:
    return [part + "E" for run in entities.split() for part in run.removesuffix("E").split("E")]


def test_tags_of_no_scheme_may_follow_one_another() -> None:
    assert allowed_transitions(("NOUN", "VERB", "B")).all()
    mixed = allowed_transitions(("B-X", "I-X", "I-Y", "O"))
    assert mixed[:, 1].tolist() == [True, True, False, False, False]  # I-X after B-X and I-X alone
    assert mixed[:4, 4].all()  # BIO marks no ends
