"""Language modelling: the next token after each one, over one long stream."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np
import torch
from pydantic import Field, PositiveInt, field_validator
from torch import Tensor, nn
from typing_extensions import override

from lamina._config import Config
from lamina.data.lazy_text import Tokens
from lamina.errors import ConfigError, DataError
from lamina.nn.embedding import TokenEmbedding
from lamina.nn.next_token import Output, log_chances, mean_nats
from lamina.nn.regularize import VariationalDropout
from lamina.nn.stack import Stack, StackConfig, StackState

FEWEST_STEPS = 2


class LanguageConfig(Config):
    """The form of a language model around its stack, and what keeps it from learning the text by heart.

    The penalties are those of Merity et al. 2017 (arXiv:1708.02182), on what the output layer reads. Theirs
    on change acts before dropout; with ``dropout_mask="sequence"`` the two differ by the mask alone.

    Attributes:
        embedding_size: features of a token's vector.
        tied: the output layer has the embedding's weights (Press & Wolf 2017, arXiv:1608.05859).
        embedding_dropout: share of the vocabulary whose vectors are zero, one draw a batch.
        input_dropout: share of a vector's features that are zero, one draw a window.
        activation_penalty: weight of the mean squared output (AR).
        change_penalty: weight of the mean squared change from step to step (TAR).
        cutoffs: where classes of rarer tokens begin, such as (2000, 10000), for an adaptive softmax; empty
            for a softmax over the whole vocabulary. See ``lamina.nn.next_token``.
    """

    embedding_size: int = Field(default=128, ge=1)
    tied: bool = True
    embedding_dropout: float = Field(default=0.0, ge=0, lt=1)
    input_dropout: float = Field(default=0.0, ge=0, lt=1)
    activation_penalty: float = Field(default=0.0, ge=0)
    change_penalty: float = Field(default=0.0, ge=0)
    cutoffs: tuple[PositiveInt, ...] = ()

    @field_validator("cutoffs")
    @classmethod
    def _rising(cls, cutoffs: tuple[int, ...]) -> tuple[int, ...]:
        if any(after <= before for before, after in itertools.pairwise(cutoffs)):
            raise ValueError(f"cutoffs rise, but are {cutoffs}; use for example (2000, 10000)")
        return cutoffs


class LanguageBatch(NamedTuple):
    """A window of several streams side by side.

    Attributes:
        ids: tokens read, (streams, steps).
        targets: the token after each, (streams, steps).
        first: whether the streams begin here, so that nothing is carried into the window.
    """

    ids: Tensor
    targets: Tensor
    first: bool

    @property
    def tokens(self) -> int:
        """Tokens read."""
        return self.ids.numel()


class LanguageNetwork(nn.Module):
    """Scores of the next token; a stack between an embedding and an output layer.

    Raises:
        ConfigError: the stack reads both directions, and so would see what it should predict; or a class
            begins where there are no more tokens.
    """

    def __init__(self, config: LanguageConfig, tokens: int, stack: StackConfig) -> None:
        super().__init__()
        size = config.embedding_size
        if config.cutoffs and config.cutoffs[-1] >= tokens:
            raise ConfigError(
                f"cutoffs divide the vocabulary, but {config.cutoffs[-1]} is not below its {tokens} tokens; "
                "leave out what is beyond"
            )
        self.config = config
        self.embed = TokenEmbedding(tokens, size, dropout=config.embedding_dropout, tied=config.tied)
        self.input_dropout = VariationalDropout(config.input_dropout)
        self.body = Stack(stack.replace(input_size=size))
        self.body.require_causal("predict the next token")
        fits = self.body.output_size == size or not config.tied
        self.project = nn.Identity() if fits else nn.Linear(self.body.output_size, size, bias=False)
        self.bias = nn.Parameter(torch.zeros(tokens))
        self.head = None if config.tied else nn.Parameter(torch.empty(tokens, self.body.output_size))
        if self.head is not None:
            nn.init.normal_(self.head, std=self.body.output_size**-0.5)
        read = size if config.tied else self.body.output_size
        self.classes = nn.Linear(read, len(config.cutoffs)) if config.cutoffs else None
        # among the weights, because a session is opened on them alone
        self.register_buffer("cutoffs", torch.tensor(config.cutoffs) if config.cutoffs else None)

    @override
    def forward(
        self, ids: Tensor, targets: Tensor, state: StackState | None = None
    ) -> tuple[Tensor, Tensor, StackState]:
        """How well the next tokens are foreseen, the outputs of the stack, and its state.

        Args:
            ids: tokens read, (batch, time).
            targets: the token after each, (batch, time).
            state: of the stack, from an earlier call; None at a beginning.

        Returns:
            nats a token, a scalar; (batch, time, output size); the state after the last token.
        """
        output = self._output()  # before the tokens are looked up: see TokenEmbedding.shared
        y, state = self._read(ids, state)
        nats = mean_nats(self.project(y).flatten(0, 1), output, targets.flatten())
        return nats, y, state

    def log_chances(self, ids: Tensor, state: StackState | None = None) -> tuple[Tensor, StackState]:
        """The log probability of each token to come next, (batch, time, tokens), and the state."""
        output = self._output()
        y, state = self._read(ids, state)
        return log_chances(self.project(y), output), state

    def _read(self, ids: Tensor, state: StackState | None) -> tuple[Tensor, StackState]:
        y, state = self.body(self.input_dropout(self.embed(ids)), state)
        return y, state

    def _output(self) -> Output:
        weight = self.embed.shared() if self.head is None else self.head
        if self.classes is None:
            return Output(weight, self.bias)
        return Output(weight, self.bias, self.config.cutoffs, self.classes.weight, self.classes.bias)


class StreamBatches:
    """A long text as streams side by side, cut into windows that follow one another.

    Row r of a batch goes on where row r of the batch before ended, so that a state can be carried over. The
    cuts lie elsewhere in every epoch, at a place of the seed and the epoch's number alone; for that, up to
    ``steps`` tokens at an end go unread.

    Args:
        tokens: the text, (tokens,).
        streams: rows of a batch.
        steps: tokens of a window.

    Raises:
        DataError: the text is too short for a window in each stream.

    >>> batches = StreamBatches(np.arange(20), streams=2, steps=3, seed=0)
    >>> [batch.ids.tolist() for batch in batches.epoch(0)]
    [[[2, 3, 4], [10, 11, 12]], [[5, 6, 7], [13, 14, 15]]]
    """

    def __init__(self, tokens: Tokens, *, streams: int, steps: int, seed: int) -> None:
        width = (len(tokens) - steps) // streams
        if width < steps or steps < FEWEST_STEPS:
            raise DataError(
                f"a text gives each of {streams} streams a window of {steps} tokens, for which it needs "
                f"{(streams + 1) * steps}, but has {len(tokens)}. "
                "Use a smaller TrainingConfig(batch_size=...) or window_steps, or a longer text."
            )
        self._tokens, self._streams, self._steps, self._seed = tokens, streams, steps, seed
        self._windows = width // steps

    def __len__(self) -> int:
        return self._windows

    def epoch(self, number: int, *, start: int = 0) -> Iterator[LanguageBatch]:
        offset = int(np.random.default_rng((self._seed, number)).integers(self._steps))
        width = (len(self._tokens) - self._steps) // self._streams
        begins = offset + width * np.arange(self._streams)[:, None]  # (streams, 1)
        for window in range(start, self._windows):
            places = begins + window * self._steps + np.arange(self._steps + 1)
            rows = torch.from_numpy(self._tokens[places].astype(np.int64))  # (streams, steps + 1)
            yield LanguageBatch(rows[:, :-1], rows[:, 1:], first=window == 0)


class CarriedState:
    """The state of the recurrence after the last batch; without its gradient, which ends at the window."""

    def __init__(self) -> None:
        self.state: StackState | None = None

    def state_dict(self) -> dict[str, Any]:
        return {"state": self.state}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.state = state["state"]


class LanguageObjective:
    """Cross-entropy of the next token, in nats a token, with the state carried from window to window.

    Raises:
        DataError: the validation text has no second token, the first of those that are predicted.
    """

    higher_is_better = False

    def __init__(self, config: LanguageConfig, validation: Tokens, *, streams: int) -> None:
        if len(validation) < 2:
            raise DataError(
                "the first token of a text is not predicted, so that a validation text has at least two, but "
                f"this one has {len(validation)}. Give a longer one."
            )
        self.carried = CarriedState()
        self._config, self._validation = config, validation
        self._streams = min(streams, max(1, len(validation) // 64))

    def loss(self, network: nn.Module, batch: LanguageBatch) -> Tensor:
        nats, y, state = network(batch.ids, batch.targets, None if batch.first else self.carried.state)
        self.carried.state = detached(state)
        loss: Tensor = nats
        if self._config.activation_penalty:
            loss = loss + self._config.activation_penalty * y.square().mean()
        if self._config.change_penalty:
            loss = loss + self._config.change_penalty * (y[:, 1:] - y[:, :-1]).square().mean()
        return loss

    def validate(self, network: nn.Module) -> tuple[float, float]:
        """Nats a token of the part, read in streams; they are the metric and the loss."""
        nats, tokens = stream_nats(network, self._validation, streams=self._streams)
        return nats / tokens, nats / tokens

    @torch.no_grad()
    def constant_output(self, network: nn.Module) -> str | None:
        """Whatever has been read, the next token gets the same chances."""
        ids = torch.from_numpy(self._validation[:256].astype(np.int64))[None].to(
            next(network.parameters()).device
        )
        assert isinstance(network, LanguageNetwork)
        chances = network.log_chances(ids)[0][0].exp()  # (time, tokens)
        if (
            float((chances.amax(0) - chances.amin(0)).max()) < 1e-5
            and self._validation.min() < self._validation.max()
        ):
            return "the chances of the next token do not depend on what was read"
        return None


def detached(state: StackState) -> StackState:
    """The same state, from which no gradient flows back."""
    return tuple(tuple(tuple(h.detach() for h in cell) for cell in layer) for layer in state)


@torch.no_grad()
def stream_nats(
    network: nn.Module, tokens: Tokens, *, streams: int = 1, steps: int = 256
) -> tuple[float, int]:
    """Negative log-likelihood of a text in nats, and how many tokens that is of.

    Every token but the first of each stream is predicted from all before it in the stream; with one stream
    nothing of the text is forgotten. Tokens that do not fill the streams go unread.
    """
    device = next(network.parameters()).device
    width = len(tokens) // streams
    rows = tokens[: streams * width].reshape(streams, width)
    state: StackState | None = None
    nats = 0.0
    for begin in range(0, width - 1, steps):
        window = torch.from_numpy(rows[:, begin : begin + steps + 1].astype(np.int64)).to(device)
        ids, targets = window[:, :-1], window[:, 1:]
        mean, _, state = network(ids, targets, state)
        nats += float(mean) * targets.numel()
    return nats, streams * (width - 1)
