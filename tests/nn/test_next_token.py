from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from lamina.errors import BackendError, DataError
from lamina.nn import next_token
from lamina.nn.embedding import TokenEmbedding
from lamina.nn.next_token import Output, log_chances, mean_nats

SIZE, TOKENS = 6, 29


def output(cutoffs: tuple[int, ...]) -> Output:
    torch.manual_seed(0)
    classes = len(cutoffs)
    sizes = [(TOKENS, SIZE), (TOKENS,)] + ([(classes, SIZE), (classes,)] if classes else [])
    made = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]
    return Output(made[0], made[1], cutoffs, *made[2:])


def rows(count: int = 40) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    y = torch.randn(count, SIZE, dtype=torch.float64, generator=generator, requires_grad=True)
    return y, torch.randint(TOKENS, (count,), generator=generator)


def gradients(loss: Tensor, y: Tensor, layer: Output) -> list[Tensor]:
    read = [one for one in (y, *layer) if isinstance(one, Tensor)]
    return list(torch.autograd.grad(3.0 * loss, read))


@pytest.mark.parametrize("chunk", [1, 7 * TOKENS, 1 << 22])
def test_one_softmax_is_torchs_cross_entropy(chunk: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(next_token, "CHUNK_SCORES", chunk)
    (y, targets), layer = rows(), output(())
    expected = F.cross_entropy(F.linear(y, layer.weight, layer.bias), targets)
    found = mean_nats(y, layer, targets)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, y, layer), gradients(expected, y, layer))
    with torch.no_grad():
        torch.testing.assert_close(mean_nats(y, layer, targets), expected)
    torch.testing.assert_close(log_chances(y, layer), F.linear(y, layer.weight, layer.bias).log_softmax(-1))


@pytest.mark.parametrize("chunk", [1, 40, 1 << 22])
@pytest.mark.parametrize("cutoffs", [(10,), (4, 5, 20)])
def test_likelihood_in_classes_is_that_of_all_chances(
    cutoffs: tuple[int, ...], chunk: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_token, "CHUNK_SCORES", chunk)
    (y, targets), layer = rows(), output(cutoffs)
    chances = log_chances(y, layer)
    torch.testing.assert_close(chances.exp().sum(-1), torch.ones(len(y), dtype=torch.float64))
    expected = F.nll_loss(chances, targets)
    found = mean_nats(y, layer, targets)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, y, layer), gradients(expected, y, layer))


def test_classes_are_those_of_torchs_adaptive_softmax() -> None:
    cutoffs, (y, targets) = (4, 11), rows()
    layer = output(cutoffs)
    assert layer.class_weight is not None
    assert layer.class_bias is not None
    theirs = nn.AdaptiveLogSoftmaxWithLoss(
        SIZE, TOKENS, list(cutoffs), div_value=1.0, head_bias=True
    ).double()
    with torch.no_grad():
        layer.bias[cutoffs[0] :] = 0  # theirs has no biases there
        theirs.head.weight.copy_(torch.cat((layer.weight[:4], layer.class_weight)))
        theirs.head.bias.copy_(torch.cat((layer.bias[:4], layer.class_bias)))
        for tail, (begin, end) in zip(theirs.tail, layer.ranges()[1:], strict=True):
            tail[0].weight.copy_(torch.eye(SIZE))  # type: ignore[index]  # torch's annotations
            tail[1].weight.copy_(layer.weight[begin:end])  # type: ignore[index]  # torch's annotations
    torch.testing.assert_close(log_chances(y, layer), theirs.log_prob(y))
    torch.testing.assert_close(mean_nats(y, layer, targets), theirs(y, targets).loss)


def test_a_class_without_a_target_has_no_gradient() -> None:
    (y, _), layer = rows(3), output((10, 20))
    loss = mean_nats(y, layer, torch.tensor([1, 12, 3]))
    weight = gradients(loss, y, layer)[1]
    assert torch.equal(weight[20:], torch.zeros_like(weight[20:]))
    assert bool((weight[:20].abs().sum(1) > 0).all())


def test_rows_of_the_numbers_of_autocast_are_read() -> None:
    (y, targets), layer = rows(), output((10,))
    assert layer.class_weight is not None
    assert layer.class_bias is not None
    classes = layer.class_weight.float(), layer.class_bias.float()
    single = Output(layer.weight.float(), layer.bias.float(), layer.cutoffs, *classes)
    found = mean_nats(y.bfloat16(), single, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, mean_nats(y.bfloat16().float(), single, targets))


@pytest.mark.parametrize("cutoffs", [(), (4, 11)])
def test_under_autocast_products_are_rounded_and_sums_are_not(cutoffs: tuple[int, ...]) -> None:
    (y, targets), layer = rows(), output(cutoffs)
    y32 = y.detach().float().requires_grad_()
    made = [one.detach().float().requires_grad_() if isinstance(one, Tensor) else one for one in layer]
    layer32 = Output(*made)  # type: ignore[arg-type]  # the same fields in float32
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = mean_nats(y32, layer32, targets)
    expected = mean_nats(y, layer, targets)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found.double(), expected, rtol=0.01, atol=0)
    for got, truth in zip(gradients(found, y32, layer32), gradients(expected, y, layer), strict=True):
        assert got.dtype == torch.float32
        assert float((got - truth).norm() / truth.norm()) < 0.02


def test_gradients_are_handed_out_once() -> None:
    (y, targets), layer = rows(), output((10,))
    loss = mean_nats(y, layer, targets)
    loss.backward(retain_graph=True)  # type: ignore[no-untyped-call]  # torch's own
    with pytest.raises(BackendError, match="compute mean_nats again"):
        loss.backward()  # type: ignore[no-untyped-call]  # torch's own


def test_losses_add_up_over_several_steps() -> None:
    (y, targets), layer = rows(), output((4, 11))
    for _ in range(2):
        (mean_nats(y, layer, targets) / 2).backward()  # type: ignore[no-untyped-call]  # torch's own
    expected = gradients(mean_nats(y, layer, targets), y, layer)
    read = [one for one in (y, *layer) if isinstance(one, Tensor)]
    for one, truth in zip(read, expected, strict=True):
        torch.testing.assert_close(one.grad, truth / 3)


def test_vectors_that_are_shared_get_both_gradients_in_one_matrix() -> None:
    torch.manual_seed(0)
    embed, bias = TokenEmbedding(20_000, 128, tied=True).double(), torch.zeros(20_000, dtype=torch.float64)
    ids, targets = torch.randint(20_000, (2, 300))
    weight = embed.weight
    y = F.embedding(ids, weight).tanh()
    (expected,) = torch.autograd.grad(F.cross_entropy(F.linear(y, weight, bias), targets), weight)

    first = embed.shared()
    handed = []
    first.register_hook(lambda gradient: handed.append(gradient.data_ptr()))  # type: ignore[no-untyped-call]  # torch's own
    mean_nats(embed(ids).tanh(), Output(first, bias), targets).backward()  # type: ignore[no-untyped-call]  # torch's own
    assert weight.grad is not None
    torch.testing.assert_close(weight.grad, expected)
    assert not weight.grad.is_sparse
    assert handed == [weight.grad.data_ptr()]  # no other matrix was made


@pytest.mark.parametrize("cutoffs", [(), (4, 11)])
def test_parts_that_are_frozen_change_nothing_for_the_others(cutoffs: tuple[int, ...]) -> None:
    (y, targets), layer = rows(), output(cutoffs)
    expected = gradients(mean_nats(y, layer, targets), y, layer)
    frozen = layer._replace(weight=layer.weight.detach(), bias=layer.bias.detach())
    (to_y,) = torch.autograd.grad(3.0 * mean_nats(y, frozen, targets), y)
    torch.testing.assert_close(to_y, expected[0])
    (to_weight,) = torch.autograd.grad(3.0 * mean_nats(y.detach(), layer, targets), layer.weight)
    torch.testing.assert_close(to_weight, expected[1])


def test_a_compiled_graph_makes_its_gradients_itself() -> None:
    (y, targets), layer = rows(), output(())
    expected = mean_nats(y, layer, targets)
    found = torch.compile(mean_nats, fullgraph=True, backend="aot_eager")(y, layer, targets)
    torch.testing.assert_close(found, expected)
    torch.testing.assert_close(gradients(found, y, layer), gradients(expected, y, layer))


def test_each_row_needs_its_target() -> None:
    (y, targets), layer = rows(), output(())
    with pytest.raises(DataError, match="one target"):
        mean_nats(y, layer, targets[:-1])


@pytest.mark.parametrize("grad", [True, False])
@pytest.mark.parametrize("cutoffs", [(), (4, 11)])
@pytest.mark.parametrize("token", [-100, -1, TOKENS])
def test_what_is_no_token_is_refused(token: int, cutoffs: tuple[int, ...], grad: bool) -> None:
    (y, targets), layer = rows(), output(cutoffs)
    targets[3] = token
    with torch.set_grad_enabled(grad), pytest.raises(IndexError, match=f"from 0 to {TOKENS - 1}.*{token}"):
        mean_nats(y, layer, targets)


@pytest.mark.parametrize("grad", [True, False])
def test_nats_of_many_chunks_in_bfloat16_are_added_up_in_float32(
    grad: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(next_token, "CHUNK_SCORES", TOKENS)
    (y, targets), layer = rows(4000), output(())
    low = Output(layer.weight.detach().bfloat16().requires_grad_(), layer.bias.detach().bfloat16())
    with torch.set_grad_enabled(grad):
        found = mean_nats(y.detach().bfloat16(), low, targets)
    expected = mean_nats(y.bfloat16().double(), layer._replace(weight=low.weight.double()), targets)
    assert abs(found.item() / expected.item() - 1) < 0.006
