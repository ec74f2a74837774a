"""Music models: which keys sound next, and music that goes on."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import numpy as np
import torch
from numpy.typing import ArrayLike
from sklearn.base import BaseEstimator

from lamina.data.labelled_texts import draw_share, require_share
from lamina.data.music import KEYS, Roll, as_roll
from lamina.errors import ConfigError, DataError
from lamina.estimators.configs import (
    dump_parameters,
    load_parameters,
)
from lamina.estimators.fitted import dump_origin, load_origin, require_fitted
from lamina.estimators.saving import SavedModel, load_weights
from lamina.nn.stack import StackConfig
from lamina.streaming.packed import Storage
from lamina.streaming.session import MAX_KEYS
from lamina.streaming.token_session import RollSession
from lamina.tasks.music import MusicBatches, MusicNetwork, MusicObjective, piece_nats
from lamina.training.callbacks import Callback
from lamina.training.optim import TrainingConfig

NAME = "MusicModel"
DEFAULT_STACK = StackConfig(cell="lstm", hidden_sizes=(256,), dropout=0.3)
DEFAULT_TRAINING = TrainingConfig(max_steps=600, batch_size=16, learning_rate=4e-3)


@dataclass(frozen=True)
class MusicScores:
    """How well music was foreseen.

    Attributes:
        nats_per_frame: mean negative log-likelihood of a frame, summed over the 88 keys; the first frame of a
            piece is left out.
        frames: frames that is the mean of.
    """

    nats_per_frame: float
    frames: int


class MusicModel(BaseEstimator):  # type: ignore[misc]  # scikit-learn has no annotations
    """A recurrent model of polyphonic music: each of 88 keys has its chance to sound in the next frame.

    Given what came before, the keys of one frame are independent; a chord is known through the past alone.

    Args:
        stack: the recurrent stack, all forward; None is one layer of 256 LSTM units.
        transpose: in training, pieces are moved up or down by up to this many semitones.
        validation_fraction: share of the pieces held out to choose the best weights; of a single piece, share
            of its frames, from the end.
        training: settings of the training run; ``batch_size`` counts pieces.
        seed: of initialisation, order, intervals and dropout.

    Attributes:
        history_: what happened in training; its metric is nats a frame.

    >>> scale = np.eye(88, dtype=bool)[40:64]
    >>> training = TrainingConfig(max_steps=30, batch_size=4, learning_rate=0.02)
    >>> model = MusicModel(stack=StackConfig(hidden_sizes=(16,)), training=training).fit([scale] * 8)
    >>> model.evaluate([scale]).nats_per_frame < 5
    True
    """

    def __init__(
        self,
        *,
        stack: StackConfig | None = None,
        transpose: int = 0,
        validation_fraction: float = 0.1,
        training: TrainingConfig | None = None,
        seed: int = 0,
    ) -> None:
        self.stack = stack
        self.transpose = transpose
        self.validation_fraction = validation_fraction
        self.training = training
        self.seed = seed

    def fit(
        self,
        pieces: Sequence[ArrayLike],
        *,
        validation: Sequence[ArrayLike] | None = None,
        callbacks: Sequence[Callback] = (),
        checkpoint: Path | None = None,
    ) -> Self:
        """Train on piano rolls.

        Args:
            pieces: (frames, 88) each, of 0 and 1; ``lamina.data.music.read_midi`` makes them.
            validation: pieces to choose the best weights by; None draws some of ``pieces``, or takes the
                end of a single one.
            callbacks: observers of the training run.
            checkpoint: a file that an interrupted run goes on from.

        Raises:
            DataError: a piece is no piano roll, or there are too few.
        """
        if not 0 <= self.transpose < KEYS:
            raise ConfigError(f"transpose is from 0 to {KEYS - 1} semitones but is {self.transpose}")
        training, held_out = self._parts(pieces, validation)
        self.data_hash_ = hashlib.sha256(b"".join(roll.tobytes() for roll in training)).hexdigest()
        settings = self.training or DEFAULT_TRAINING
        batches = MusicBatches(
            training, batch_size=settings.batch_size, semitones=self.transpose, seed=self.seed
        )
        from lamina.training.loop import fit  # the trainer is not needed to predict

        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self.seed)
            self.network_ = self._network()
            self.network_.start_from(training)
            self.history_ = fit(
                self.network_,
                MusicObjective(held_out),
                batches,
                settings,
                seed=self.seed,
                callbacks=callbacks,
                checkpoint=checkpoint,
            )
        return self

    def _parts(
        self, pieces: Sequence[ArrayLike], validation: Sequence[ArrayLike] | None
    ) -> tuple[list[Roll], list[Roll]]:
        """Pieces to train on and to choose weights by."""
        rolls = [as_roll(piece) for piece in pieces]
        if validation is not None:
            held_out = [as_roll(piece) for piece in validation]
        else:
            rolls, held_out = self._held_out(rolls)
        if not any(len(roll) for roll in rolls) or max((len(roll) for roll in held_out), default=0) < 2:
            raise DataError(
                "training and validation need a piece each, or parts of one, and validation one of at least "
                "two frames; give more music."
            )
        return rolls, held_out

    def _held_out(self, rolls: list[Roll]) -> tuple[list[Roll], list[Roll]]:
        """Pieces to train on, and some that are held out; of a single piece its end."""
        fraction = self.validation_fraction
        if len(rolls) > 1:
            training, held_out = draw_share(len(rolls), fraction, self.seed, of="pieces")
            return [rolls[i] for i in training], [rolls[i] for i in held_out]
        require_share(fraction)
        frames = sum(map(len, rolls))
        cut = max(0, frames - max(2, round(fraction * frames)))
        return [roll[:cut] for roll in rolls], [roll[cut:] for roll in rolls]

    def _network(self) -> MusicNetwork:
        return MusicNetwork(self.stack or DEFAULT_STACK)

    def evaluate(self, pieces: Sequence[ArrayLike]) -> MusicScores:
        """How well the model foresees pieces, each from its beginning.

        Raises:
            DataError: no piece has a second frame.
        """
        self._check_fitted()
        rolls = [as_roll(piece) for piece in pieces]
        if max((len(roll) for roll in rolls), default=0) < 2:
            raise DataError("the first frame of a piece is not scored, and no piece has a second one.")
        nats, frames = piece_nats(self.network_, rolls)
        return MusicScores(nats / frames, frames)

    def stream(self, *, storage: Storage = "float32", max_keys: int = MAX_KEYS) -> RollSession:
        """A session that hears a frame of a piece at a time, and gives each key's chance in the next.

        Args:
            storage: of the recurrent weights: float32, bfloat16 or int8.
            max_keys: pieces whose state is kept; the one used least recently is forgotten first.
        """
        self._check_fitted()
        weights = {name: value.detach().cpu().numpy() for name, value in self.network_.state_dict().items()}
        return RollSession.over(self._body(), weights, storage=storage, max_keys=max_keys)

    def _body(self) -> dict[str, Any]:
        return (self.stack or DEFAULT_STACK).model_dump(mode="json")

    @torch.no_grad()
    def generate(
        self, frames: int, *, prompt: ArrayLike | None = None, temperature: float = 1.0, seed: int = 0
    ) -> Roll:
        """Music that goes on from a prompt, which it does not repeat, (frames, 88).

        Args:
            frames: how many.
            prompt: a piano roll that stands before; None begins a piece.
            temperature: below 1 keeps to likely keys, above 1 strays.
            seed: of the draws.

        Raises:
            ConfigError: the temperature is not positive.
        """
        self._check_fitted()
        if temperature <= 0:
            raise ConfigError(f"temperature is above 0 but is {temperature}; use for example 0.8")
        generator = torch.Generator().manual_seed(seed)
        device = next(self.network_.parameters()).device
        heard = np.zeros((0, KEYS)) if prompt is None else as_roll(prompt)
        x = torch.zeros(1, 1 + len(heard), KEYS)
        x[0, 1:] = torch.from_numpy(heard.astype(np.float32))
        state, played = None, torch.zeros(frames, KEYS)
        for frame in played:
            logits, state = self.network_(x.to(device), state)
            frame[:] = torch.bernoulli((logits[0, -1].cpu() / temperature).sigmoid(), generator=generator)
            x = frame[None, None]
        roll: Roll = played.bool().numpy()
        return roll

    def _check_fitted(self) -> None:
        require_fitted(self, does="plays", call="fit(pieces)")

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
            preprocessing={},
            manifest=dump_origin(self, "nats a frame"),
        ).write(path)

    @classmethod
    def from_saved(cls, saved: SavedModel, where: str) -> Self:
        """The estimator that ``save`` wrote; ``where`` names it in errors."""
        model = cls(**load_parameters(saved.config["parameters"]))
        load_origin(model, saved.manifest)
        model.network_ = model._network()
        load_weights(model.network_, saved.weights, where)
        return model
