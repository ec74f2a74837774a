"""Language models: what comes next in a text, and texts that go on."""

from __future__ import annotations

import math
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from sklearn.base import BaseEstimator

from lamina.data.labelled_texts import require_share
from lamina.data.lazy_text import TextPart, Tokens
from lamina.data.text import Text, require_text
from lamina.data.vocabulary import Unit, Vocabulary
from lamina.errors import ConfigError, DataError
from lamina.estimators.configs import (
    dump_parameters,
    load_parameters,
)
from lamina.estimators.fitted import dump_origin, load_origin, require_fitted
from lamina.estimators.saving import SavedModel, load_weights
from lamina.nn.stack import StackConfig, StackState
from lamina.streaming.packed import Storage
from lamina.streaming.session import MAX_KEYS
from lamina.streaming.token_session import TokenSession
from lamina.tasks.language import (
    LanguageConfig,
    LanguageNetwork,
    LanguageObjective,
    StreamBatches,
    stream_nats,
)
from lamina.tasks.sampling import Sampling
from lamina.training.callbacks import Callback
from lamina.training.optim import TrainingConfig

NAME = "LanguageModel"
DEFAULT_STACK = StackConfig(cell="lstm", hidden_sizes=(256, 256), dropout=0.2)
DEFAULT_FORM = LanguageConfig()
DEFAULT_TRAINING = TrainingConfig(max_steps=2000, batch_size=32, learning_rate=4e-3)


@dataclass(frozen=True)
class LanguageScores:
    """How well a text was foreseen.

    Attributes:
        nats_per_token: mean negative log-likelihood; in words, each line's ``<eos>`` is a token too.
        perplexity: exp(nats_per_token).
        bits_per_character: bits of the whole text by its characters, line ends included. Where the text has
            unknown tokens this flatters, for nothing is paid for telling which ones they are.
        tokens: tokens predicted: all but the first.
        unknown: tokens that training text lacked.
    """

    nats_per_token: float
    perplexity: float
    bits_per_character: float
    tokens: int
    unknown: int


class LanguageModel(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no annotations
    """A recurrent language model over characters, words or subwords.

    Args:
        unit: what a token is; see ``lamina.data.vocabulary.Vocabulary``.
        vocabulary_size: most tokens; None keeps all (8,000 subwords).
        least_count: rarer tokens are unknown.
        stack: the recurrent stack, all forward; None is two layers of 256 LSTM units.
        form: embedding, tying and regularisation around the stack.
        window_steps: tokens that a gradient reaches back; the state is carried on without one.
        validation_fraction: share of the text, at its end, held out to choose the best weights.
        training: settings of the training run; ``batch_size`` is the number of streams side by side.
        seed: of initialisation, windows and dropout.

    Attributes:
        vocabulary_: the tokens.
        history_: what happened in training; its metric is nats a token.

    >>> small = StackConfig(hidden_sizes=(16,))
    >>> training = TrainingConfig(max_steps=60, batch_size=4, learning_rate=0.02)
    >>> model = LanguageModel(stack=small, window_steps=8, training=training).fit("abcd" * 60)
    >>> model.generate(8, prompt="ab", temperature=0.1)
    'cdabcdab'
    """

    def __init__(
        self,
        *,
        unit: Unit = "character",
        vocabulary_size: int | None = None,
        least_count: int = 1,
        stack: StackConfig | None = None,
        form: LanguageConfig | None = None,
        window_steps: int = 96,
        validation_fraction: float = 0.1,
        training: TrainingConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.unit = unit
        self.vocabulary_size = vocabulary_size
        self.least_count = least_count
        self.stack = stack
        self.form = form
        self.window_steps = window_steps
        self.validation_fraction = validation_fraction
        self.training = training
        self.seed = seed

    def fit(
        self,
        text: Text,
        *,
        validation: Text | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: Path | None = None,
    ) -> Self:
        """Train on a text.

        Args:
            text: the text itself, the ``Path`` of a UTF-8 file, or several texts, one after the other. A file
                may be longer than memory: it is read in blocks, and its tokens lie on disk.
            validation: text to choose the best weights by; None holds out the end of ``text``.
            callbacks: observers of the training run.
            checkpoint: a file that an interrupted run goes on from.

        Raises:
            DataError: there is too little text, or it cannot be read.
        """
        training, held_out = self._parts(text, validation)
        self.vocabulary_ = Vocabulary.fit(
            training, unit=self.unit, size=self.vocabulary_size, least_count=self.least_count
        )
        self.data_hash_ = training.digest()
        settings = self.training or DEFAULT_TRAINING
        batches = StreamBatches(
            training.tokens(self.vocabulary_),
            streams=settings.batch_size,
            steps=self.window_steps,
            seed=self.seed,
        )
        objective = LanguageObjective(
            self._form(), held_out.tokens(self.vocabulary_), streams=settings.batch_size
        )
        from lamina.training.loop import fit  # the trainer is not needed to predict

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network_ = self._network()
            self.history_ = fit(
                self.network_,
                objective,
                batches,
                settings,
                seed=self.seed,
                callbacks=callbacks,
                checkpoint=checkpoint,
                carried=objective.carried,
            )
        return self

    def _parts(self, text: Text, validation: Text | None) -> tuple[TextPart, TextPart]:
        """Training text and the text to choose weights by."""
        whole = TextPart.of(text)
        if validation is not None:
            return whole, TextPart.of(validation)
        require_share(self.validation_fraction)
        length = whole.length()
        cut = round(length * (1 - self.validation_fraction))
        if self.unit != "character":  # a word is not cut in two
            cut = whole.word_end(cut)
        if length - cut < 2 or not cut:
            raise DataError(
                f"the end of a text is held out, but {length} characters are too few for it. "
                "Give a longer text."
            )
        return TextPart(whole.source, 0, cut), TextPart(whole.source, cut)

    def _form(self) -> LanguageConfig:
        return self.form or DEFAULT_FORM

    def _network(self) -> LanguageNetwork:
        return LanguageNetwork(self._form(), len(self.vocabulary_), self.stack or DEFAULT_STACK)

    def evaluate(self, text: Text) -> LanguageScores:
        """How well the model foresees a text, read in order from an empty state.

        Raises:
            DataError: the text has fewer than two tokens.
        """
        self._check_fitted()
        whole = TextPart.of(text)
        tokens = whole.tokens(self.vocabulary_)
        if len(tokens) < 2:
            raise DataError("the first token of a text is not predicted, and this one has no second.")
        nats, predicted = stream_nats(self.network_, tokens)
        mean = nats / predicted
        return LanguageScores(
            nats_per_token=mean,
            perplexity=math.exp(mean),
            bits_per_character=nats / math.log(2) / whole.length(),
            tokens=predicted,
            unknown=int((tokens == self.vocabulary_.unknown).sum()),
        )

    def generate(
        self,
        tokens: int,
        *,
        prompt: str = "\n",
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> str:
        """A text that goes on from ``prompt``, which it does not repeat; see ``generate_tokens``."""
        options = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
        drawn = [number for number, _ in zip(self._draw(prompt, options, seed), range(tokens), strict=False)]
        return self.vocabulary_.decode(drawn)

    def stream(self, *, storage: Storage = "float32", max_keys: int = MAX_KEYS) -> TokenSession:
        """A session that reads a token of a text at a time, and gives the chances of the next.

        Args:
            storage: of the recurrent weights: float32, bfloat16 or int8.
            max_keys: texts whose state is kept; the one used least recently is forgotten first.
        """
        self._check_fitted()
        weights = {name: value.detach().cpu().numpy() for name, value in self.network_.state_dict().items()}
        return TokenSession.over(
            self._body(), weights, self.vocabulary_.to_dict(), storage=storage, max_keys=max_keys
        )

    def _body(self) -> dict[str, Any]:
        return (self.stack or DEFAULT_STACK).model_dump(mode="json")

    def generate_tokens(
        self,
        *,
        prompt: str = "\n",
        temperature: float = 1.0,
        top_k: int | None = None,
        top_p: float | None = None,
        seed: int = 0,
    ) -> Iterator[str]:
        """What each token adds to the text, without end; what is kept is the state of the recurrence alone.

        Joined they are what ``generate`` gives. A subword that ends within a character adds "", and the next
        one the whole character.

        Args:
            prompt: what stands before; a line end unless given.
            temperature: below 1 keeps to likely tokens, above 1 strays; towards 0 always the likeliest.
            top_k: draw among the k likeliest only.
            top_p: draw among the likeliest that together have this probability (nucleus).
            seed: of the draws.

        Raises:
            ConfigError: an option is out of its range.
            DataError: the prompt is no text.
        """
        options = Sampling(temperature=temperature, top_k=top_k, top_p=top_p)
        return self.vocabulary_.decode_each(self._draw(prompt, options, seed))

    def _draw(self, prompt: str, options: Sampling, seed: int) -> Iterator[int]:
        self._check_fitted()
        require_text(prompt, "the prompt")
        read = self.vocabulary_.encode(prompt)
        if not len(read):
            raise ConfigError("a text goes on from a prompt, but this one has no token. Leave it out.")
        return self._endless(read, options, seed)

    @torch.no_grad()
    def _next(self, ids: Tokens, state: StackState | None) -> tuple[torch.Tensor, StackState]:
        device = next(self.network_.parameters()).device
        chances, state = self.network_.log_chances(torch.from_numpy(ids)[None].to(device), state)
        logits = chances[0, -1].double().cpu()
        logits[self.vocabulary_.unknown] = -torch.inf  # it stands for no text
        return logits, state

    def _endless(self, read: Tokens, options: Sampling, seed: int) -> Iterator[int]:
        generator = np.random.default_rng(seed)
        logits, state = self._next(read, None)
        while True:
            number = options.draw(logits.numpy(), generator)
            yield number
            logits, state = self._next(np.array([number]), state)

    def _check_fitted(self) -> None:
        require_fitted(self, does="speaks", call="fit(text)")

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write a directory that ``lamina.load`` reads; no pickle.

        Raises:
            SavedModelError: something other than a model is in the way.
        """
        self._check_fitted()
        parameters = dump_parameters(self.get_params(deep=False))
        SavedModel(
            kind=NAME,
            config={"parameters": parameters, "body": self._body()},
            weights=self.network_.state_dict(),
            preprocessing={"vocabulary": self.vocabulary_.to_dict()},
            manifest=dump_origin(self, "nats a token"),
        ).write(path)

    @classmethod
    def from_saved(cls, saved: SavedModel, where: str) -> Self:
        """The estimator that ``save`` wrote; ``where`` names it in errors."""
        model = cls(**load_parameters(saved.config["parameters"], form=LanguageConfig))
        model.vocabulary_ = Vocabulary.from_dict(saved.preprocessing["vocabulary"])
        load_origin(model, saved.manifest)
        model.network_ = model._network()
        load_weights(model.network_, saved.weights, where)
        return model
