from __future__ import annotations

import torch
from torch import Tensor, nn

from lamina.nn.cross_attention import Memory
from lamina.nn.transformer import TransformerConfig
from lamina.nn.transformer_decoder import DecoderLayer, TransformerDecoder

LENGTHS = torch.tensor([6, 3])


def decoder(**options: object) -> TransformerDecoder:
    torch.manual_seed(0)
    config = TransformerConfig.parse({"size": 8, "heads": 2, "layers": 2} | options)
    return TransformerDecoder(config, input_size=4, memory_size=6, output_size=4).double().eval()


def values() -> Tensor:
    return torch.randn(2, 6, 6, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


def memory(made: TransformerDecoder) -> Memory:
    return made.remember(values(), LENGTHS, torch.zeros(2, 0))


def tokens() -> Tensor:
    return torch.randn(2, 5, 4, generator=torch.Generator().manual_seed(2), dtype=torch.float64)


def test_step_by_step_gives_what_the_whole_gives() -> None:
    for options in ({}, {"positions": "learned", "max_steps": 9}):
        made = decoder(**options)
        source, x = memory(made), tokens()
        whole, _, weights = made(x, source, made.start(source))
        state, outputs, looked = made.start(source), [], []
        for t in range(5):
            y, state, seen = made(x[:, t : t + 1], source, state)
            outputs.append(y)
            looked.append(seen)
        torch.testing.assert_close(torch.cat(outputs, 1), whole)
        torch.testing.assert_close(torch.cat(looked, 1), weights)
        torch.testing.assert_close(weights.sum(-1), torch.ones(2, 5).double())
        assert float(weights[1, :, 3:].detach().abs().max()) == 0


def test_a_layer_is_torchs_decoder_layer() -> None:
    """With the same weights, torch.nn.TransformerDecoderLayer gives the same numbers."""
    torch.manual_seed(3)
    config = TransformerConfig(size=8, heads=2, feedforward_ratio=3)
    ours = DecoderLayer(config, memory_size=8).double().eval()
    theirs = nn.TransformerDecoderLayer(
        8, 2, dim_feedforward=24, dropout=0, activation="gelu", batch_first=True, norm_first=True
    )
    theirs = theirs.double().eval()
    parts = {
        "self_attn.in_proj_": ours.attention.project_in,
        "self_attn.out_proj.": ours.attention.project_out,
        "multihead_attn.out_proj.": ours.project,
        "linear1.": ours.feedforward[0],
        "linear2.": ours.feedforward[2],
        "norm1.": ours.norm_self,
        "norm2.": ours.norm_source,
        "norm3.": ours.norm_feedforward,
    }
    state: dict[str, Tensor] = {
        prefix + name: p for prefix, part in parts.items() for name, p in part.named_parameters()
    }
    for name in ("weight", "bias"):
        both = [getattr(part, name) for part in (ours.query, ours.key_value)]
        state[f"multihead_attn.in_proj_{name}"] = torch.cat(both)
    theirs.load_state_dict(state)
    x, source = torch.randn(2, 5, 8).double(), torch.randn(2, 6, 8).double()
    y, _ = ours(x, ours.keys(source), LENGTHS, None)
    expected = theirs(
        x,
        source,
        tgt_mask=nn.Transformer.generate_square_subsequent_mask(5, dtype=torch.float64),
        memory_key_padding_mask=torch.arange(6) >= LENGTHS[:, None],
    )
    torch.testing.assert_close(y, expected)


def test_nothing_later_and_no_padding_reaches_a_valid_step() -> None:
    made = decoder()
    source, x = memory(made), tokens()
    later = x.clone()
    later[:, 3:] = 9
    ours = made(x, source, made.start(source), lengths=torch.tensor([3, 2]))[0]
    theirs = made(later, source, made.start(source))[0]
    torch.testing.assert_close(ours[0, :3], theirs[0, :3])
    torch.testing.assert_close(ours[1, :2], theirs[1, :2])
    assert bool(ours.isfinite().all())
