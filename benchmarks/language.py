"""How well the text and music models do on public data: `python benchmarks/language.py --data-folder DIR`.

Each part trains on the published training part, chooses weights on a validation part (the published one, or
the end or a share of the training part where there is none), and reads the test part once. The bars are those
the project set itself; none is tuned to. Times are wall times of training with the threads stated.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import platform
import sys
import time
import zipfile
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field, replace
from functools import partial
from pathlib import Path

import numpy as np
import torch
from rich.console import Console
from rich.table import Table
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from lamina.data.conll import read_conllu
from lamina.data.labelled_texts import encode_texts, label_codes
from lamina.data.parallel import Pairs, read_pairs
from lamina.data.sources import FOLDER_VARIABLE
from lamina.data.text import read_text
from lamina.data.vocabulary import Vocabulary
from lamina.errors import ConfigError, LaminaError, did_you_mean
from lamina.estimators.language_model import LanguageModel
from lamina.estimators.music_model import MusicModel
from lamina.estimators.tagger import SequenceTagger
from lamina.estimators.text_classifier import TextClassifier
from lamina.estimators.translator import Translator
from lamina.nn.decoder import DecoderConfig
from lamina.nn.stack import StackConfig
from lamina.tasks.language import LanguageBatch, LanguageConfig, LanguageNetwork, LanguageObjective
from lamina.tasks.text import TextBatch, TextConfig, TextInputs, TextNetwork
from lamina.tasks.translate import TranslateConfig
from lamina.training.optim import TrainingConfig, build_optimizer

QUICK_STEPS = 20


@dataclass(frozen=True)
class Options:
    """What the command line said.

    Attributes:
        folder: the data.
        seed: of every training.
        quick: a few steps only, which judges nothing.
        checkpoints: where unfinished trainings are kept, so that a long part can be run in several sittings.
    """

    folder: Path
    seed: int
    quick: bool
    checkpoints: Path | None

    def settings(self, **changes: object) -> TrainingConfig:
        if self.quick:
            changes = changes | {"max_steps": QUICK_STEPS, "validations": 2}
        return TrainingConfig.parse(changes)

    def checkpoint(self, part: str) -> Path | None:
        return None if self.checkpoints is None else self.checkpoints / f"{part}-{self.seed}.pt"


@dataclass(frozen=True)
class Result:
    """One line of the table.

    Attributes:
        part: of the benchmark.
        metric: with its unit.
        score: on the test part.
        bar: what it has to reach.
        higher_is_better: whether the bar is a lower bound.
        train_s: wall seconds of training.
        limit_s: most seconds allowed, if any.
        notes: other figures by name.
    """

    part: str
    metric: str
    score: float
    bar: float
    higher_is_better: bool
    train_s: float | None = None
    limit_s: float | None = None
    notes: dict[str, float | str] = field(default_factory=dict)

    @property
    def reached(self) -> bool:
        good = self.score >= self.bar if self.higher_is_better else self.score <= self.bar
        return good and (self.limit_s is None or (self.train_s or 0) <= self.limit_s)


def shakespeare_model(options: Options) -> LanguageModel:
    """The model of characters."""
    return LanguageModel(
        stack=StackConfig(cell="lstm", hidden_sizes=(512, 512), dropout=0.5, weight_drop=0.4),
        form=LanguageConfig(embedding_size=64, tied=False),
        window_steps=128,
        validation_fraction=0.01,
        training=options.settings(
            max_steps=6000,
            batch_size=32,
            learning_rate=4e-3,
            average=0.999,
            validations=16,
            patience=16,
            precision="bf16-mixed",
        ),
        seed=options.seed,
    )


def shakespeare(options: Options) -> Result:
    """Characters of tinyshakespeare: the first 90 % train, the last 10 % is the test.

    The end of the training part is the beginning of the play that the test part goes on with. Only a
    hundredth of it is held out, and its settings were chosen before: on the ninth tenth of the text, with
    what stands before it.
    """
    text = read_text(options.folder / "tinyshakespeare" / "input.txt.gz")
    cut = int(0.9 * len(text))
    model = shakespeare_model(options)
    model.fit(text[:cut], checkpoint=options.checkpoint("shakespeare"))
    scores = model.evaluate(text[cut:])
    return Result(
        "shakespeare",
        "nats a character",
        scores.nats_per_token,
        bar=1.50,
        higher_is_better=False,
        train_s=model.history_.seconds,
        limit_s=2400,
        notes={
            "bits a character": scores.bits_per_character,
            "characters": scores.tokens,
            "validation": model.history_.best,
            "sample": model.generate(200, temperature=0.8, seed=options.seed),
        },
    )


class TorchLanguage(nn.Module):
    """What one would write on torch.nn.LSTM: two layers, and a softmax that is whole or adaptive."""

    def __init__(self, tokens: int, form: LanguageConfig, stack: StackConfig) -> None:
        super().__init__()
        size, hidden = form.embedding_size, stack.hidden_sizes[0]
        self.embed = nn.Embedding(tokens, size)
        self.body = nn.LSTM(size, hidden, 2, batch_first=True, dropout=stack.dropout)
        self.dropout = nn.Dropout(stack.dropout)
        if form.cutoffs:
            self.adaptive = nn.AdaptiveLogSoftmaxWithLoss(
                hidden, tokens, list(form.cutoffs), div_value=1.0, head_bias=True
            )
        else:
            self.head = nn.Linear(hidden, tokens)
            if form.tied:
                self.head.weight = self.embed.weight
        self.state: tuple[torch.Tensor, torch.Tensor] | None = None

    def loss(self, batch: LanguageBatch) -> torch.Tensor:
        """Cross-entropy of the next tokens, going on from where the batch before ended."""
        y, (h, c) = self.body(self.embed(batch.ids), self.state)
        self.state = h.detach(), c.detach()
        y, targets = self.dropout(y).flatten(0, 1), batch.targets.flatten()
        if hasattr(self, "adaptive"):
            loss: torch.Tensor = self.adaptive(y, targets).loss
            return loss
        return nn.functional.cross_entropy(self.head(y), targets)


def language_rates(options: Options, model: LanguageModel, text: np.ndarray, tokens: int) -> dict[str, float]:
    """Tokens a second in training, torch's side and ours in turn, each in float32 and under bfloat16.

    The sides differ in what one would write: torch's adaptive softmax has weights of its own, ours the
    embedding's where they are tied. Weight drop is left out, which torch.nn.LSTM does not have.
    """
    streams, steps = 32, model.window_steps
    assert model.form is not None
    assert model.stack is not None
    form, stack = model.form, model.stack.replace(weight_drop=0.0)
    torch.manual_seed(options.seed)
    ids = torch.from_numpy(text[: streams * (steps + 1)].astype(np.int64)).reshape(streams, steps + 1)
    batch = LanguageBatch(ids[:, :-1], ids[:, 1:], first=False)
    sides: dict[str, Side] = {}
    for rounded in (False, True):
        theirs = TorchLanguage(tokens, form, stack)
        network, objective = LanguageNetwork(form, tokens, stack), LanguageObjective(form, text, streams=1)
        name = ", bfloat16" if rounded else ""
        sides[f"torch{name}"] = theirs, autocast(partial(theirs.loss, batch), rounded)
        sides[f"lamina{name}"] = network, autocast(partial(objective.loss, network, batch), rounded)
    rates = steps_per_second(sides, seconds=2 if options.quick else 60)
    return {name: rate * streams * steps for name, rate in rates.items()}


def autocast(loss: Callable[[], torch.Tensor], rounded: bool) -> Callable[[], torch.Tensor]:
    """The loss, under autocast to bfloat16 where asked for."""

    def call() -> torch.Tensor:
        with torch.autocast("cpu", torch.bfloat16, enabled=rounded):
            return loss()

    return call


def faster(part: str, rates: dict[str, float]) -> Result:
    """Our faster way of training against torch's faster one."""
    best = {
        side: max(rate for name, rate in rates.items() if name.startswith(side))
        for side in ("lamina", "torch")
    }
    notes: dict[str, float | str] = {f"{name} tokens/s": rate for name, rate in rates.items()}
    notes["float32 alone"] = rates["lamina"] / rates["torch"]
    return Result(part, "times torch.nn.LSTM", best["lamina"] / best["torch"], 1.5, True, notes=notes)


def language_speed(options: Options) -> Result:
    """Tokens a second of training steps on the model of ``shakespeare``."""
    text = np.random.default_rng(options.seed).integers(67, size=20_000)
    return faster("language_speed", language_rates(options, shakespeare_model(options), text, 67))


def wikitext_model(options: Options) -> LanguageModel:
    """The model of words; classes of rare ones make most of its speed."""
    return LanguageModel(
        unit="spaced",
        stack=StackConfig(cell="lstm", hidden_sizes=(400, 400), dropout=0.4),
        form=LanguageConfig(embedding_size=256, input_dropout=0.2, cutoffs=(1000, 4000, 12000)),
        window_steps=64,
        training=options.settings(
            max_steps=7000,
            batch_size=32,
            learning_rate=3e-3,
            average=0.999,
            validations=8,
            max_seconds=3500,
            precision="bf16-mixed",
        ),
        seed=options.seed,
    )


def wikitext2(options: Options) -> Result:
    """Words of WikiText-2 by its published parts; perplexity a token, each ``<eos>`` one of them."""
    train, validation, test = (
        options.folder / "wikitext2" / f"wiki.{name}.tokens.gz" for name in ("train", "valid", "test")
    )
    model = wikitext_model(options)
    model.fit(train, validation=validation, checkpoint=options.checkpoint("wikitext2"))
    scores = model.evaluate(test)
    return Result(
        "wikitext2",
        "perplexity",
        scores.perplexity,
        bar=120,
        higher_is_better=False,
        train_s=model.history_.seconds,
        limit_s=3600,
        notes={
            "tokens": scores.tokens,
            "validation nats": model.history_.best,
            "steps": model.history_.steps[-1],
        },
    )


def wikitext2_speed(options: Options) -> Result:
    """Tokens a second of training steps on the model of ``wikitext2``, its softmax adaptive on both sides."""
    text = read_text(options.folder / "wikitext2" / "wiki.valid.tokens.gz")
    vocabulary = Vocabulary.fit(
        [read_text(options.folder / "wikitext2" / "wiki.train.tokens.gz")], unit="spaced"
    )
    ids = vocabulary.encode(text)
    return faster("wikitext2_speed", language_rates(options, wikitext_model(options), ids, len(vocabulary)))


Side = tuple[nn.Module, Callable[[], torch.Tensor]]
"""A network and its loss on one batch."""


def steps_per_second(sides: dict[str, Side], *, seconds: float) -> dict[str, float]:
    """Optimiser steps a second of each side, run in turn; from the median step.

    Our sides step with the optimiser that Lamina trains with, torch's with its fused AdamW.
    """
    optimizers = {
        name: torch.optim.AdamW(module.parameters(), fused=True)
        if name.startswith("torch")
        else build_optimizer(module, TrainingConfig())
        for name, (module, _) in sides.items()
    }
    times: dict[str, list[float]] = {name: [] for name in sides}
    end = time.perf_counter() + seconds
    while time.perf_counter() < end or len(next(iter(times.values()))) < 4:
        for name, (_, loss) in sides.items():
            begin = time.perf_counter()
            loss().backward()  # type: ignore[no-untyped-call]  # torch's own
            optimizers[name].step()
            optimizers[name].zero_grad()
            times[name].append(time.perf_counter() - begin)
    return {name: 1 / sorted(found[1:])[len(found) // 2 - 1] for name, found in times.items()}


def music(options: Options, part: str, file: str, bar: float, model: MusicModel) -> Result:
    """Polyphonic music by published parts."""
    from scipy.io import loadmat

    parts = loadmat(options.folder / "polyphonic_music" / file)
    train, validation, test = ([*parts[name][0]] for name in ("traindata", "validdata", "testdata"))
    model.fit(train, validation=validation, checkpoint=options.checkpoint(part))
    scores = model.evaluate(test)
    return Result(
        part,
        "nats a frame",
        scores.nats_per_frame,
        bar,
        higher_is_better=False,
        train_s=model.history_.seconds,
        notes={"validation": model.history_.best, "frames": scores.frames},
    )


def jsb(options: Options) -> Result:
    """Bach's chorales; in training moved by up to five semitones."""
    model = MusicModel(
        stack=StackConfig(cell="lstm", hidden_sizes=(200,), dropout=0.3, recurrent_dropout=0.2),
        transpose=5,
        training=options.settings(
            max_steps=1500, batch_size=16, learning_rate=1e-2, average=0.99, validations=15
        ),
        seed=options.seed,
    )
    return music(options, "jsb", "JSB_Chorales.mat", 8.45, model)


def nottingham(options: Options) -> Result:
    """Folk tunes with chords."""
    model = MusicModel(
        stack=StackConfig(cell="lstm", hidden_sizes=(256,), dropout=0.2),
        training=options.settings(
            max_steps=2000, batch_size=8, learning_rate=5e-3, average=0.995, validations=20, patience=20
        ),
        seed=options.seed,
    )
    return music(options, "nottingham", "Nottingham.mat", 3.35, model)


Texts = tuple[list[str], list[str]]


def labelled_lines(path: Path, encoding: str = "utf-8") -> Texts:
    """Texts and labels of lines ``label text``; of ``COARSE:fine`` labels the coarse one."""
    lines = gzip.decompress(path.read_bytes()).decode(encoding).splitlines()
    pairs = [line.partition(" ") for line in lines if line.strip()]
    return [text for _, _, text in pairs], [label.partition(":")[0] for label, _, _ in pairs]


def movie_texts(folder: Path) -> tuple[Texts, Texts]:
    """Training and test texts of movie_reviews: the test part has the numbers cv900 to cv999."""
    parts: tuple[Texts, Texts] = (([], []), ([], []))
    with zipfile.ZipFile(folder / "movie_reviews" / "movie_reviews.zip") as archive:
        for name in sorted(archive.namelist()):
            if "/cv" in name and name.endswith(".txt"):
                texts, labels = parts["/cv9" in name]
                texts.append(archive.read(name).decode("latin-1"))
                labels.append("positive" if "/pos/" in name else "negative")
    return parts


def trivial_accuracies(train: Texts, test: Texts) -> dict[str, float | str]:
    """Accuracy of the majority, of TF-IDF with logistic regression, and of naive Bayes, by scikit-learn."""
    from sklearn.dummy import DummyClassifier
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.naive_bayes import MultinomialNB
    from sklearn.pipeline import make_pipeline

    tokens = r"\w+|[^\w\s]+"
    counted = CountVectorizer(ngram_range=(1, 2), binary=True, token_pattern=tokens)
    weighted = TfidfVectorizer(ngram_range=(1, 2), sublinear_tf=True, token_pattern=tokens)
    methods = {
        "majority": make_pipeline(counted, DummyClassifier()),
        "TF-IDF": make_pipeline(weighted, LogisticRegression(C=10, max_iter=500)),
        "naive Bayes": make_pipeline(counted, MultinomialNB()),
    }
    return {name: float(method.fit(*train).score(*test)) for name, method in methods.items()}


def classify(
    options: Options, part: str, bar: float, texts: tuple[Texts, Texts], model: TextClassifier
) -> Result:
    train, test = texts
    model.fit(*train, checkpoint=options.checkpoint(part))
    return Result(
        part,
        "accuracy",
        float(model.score(*test)),
        bar,
        higher_is_better=True,
        train_s=model.history_.seconds,
        notes=trivial_accuracies(train, test),
    )


def sst2(options: Options) -> Result:
    """Sentiment of sentences; the published validation part is left alone."""
    folder = options.folder / "sst"
    parts = [labelled_lines(folder / f"stsa.binary.{name}.gz") for name in ("train", "test")]
    model = TextClassifier(
        stack=StackConfig(hidden_sizes=(100,), directions=("both",), dropout=0.3),
        form=TextConfig(embedding_dropout=0.2),
        metric="log_loss",
        training=options.settings(
            max_steps=600, batch_size=50, learning_rate=3e-3, weight_decay=0.1, average=0.99, validations=15
        ),
        seed=options.seed,
    )
    result = classify(options, "sst2", 0.82, (parts[0], parts[1]), model)
    return replace(result, bar=max(result.bar, float(result.notes["TF-IDF"])))


def sst2_pretrained(options: Options) -> Result:
    """A network without counts of words, pre-trained on its own sentences and movie_reviews, or not."""
    folder = options.folder / "sst"
    train, test = (labelled_lines(folder / f"stsa.binary.{name}.gz") for name in ("train", "test"))
    (reviews, _), (more, _) = movie_texts(options.folder)
    right: dict[str, np.ndarray] = {}  # by text
    for name, unlabelled in (("without", None), ("with", reviews + more)):
        model = TextClassifier(
            stack=StackConfig(hidden_sizes=(128,), directions=("both",), dropout=0.3),
            form=TextConfig(embedding_dropout=0.2, pooling="mean", attention=True),
            counts=False,
            least_count=2,
            metric="log_loss",
            training=options.settings(
                max_steps=600,
                batch_size=50,
                learning_rate=4e-3,
                weight_decay=0.1,
                average=0.99,
                validations=10,
                precision="bf16-mixed",
            ),
            pretraining=None
            if unlabelled is None
            else options.settings(
                max_steps=4000,
                batch_size=24,
                learning_rate=3e-3,
                average=0.99,
                validations=4,
                precision="bf16-mixed",
            ),
            seed=options.seed,
        )
        model.fit(*train, unlabelled=unlabelled, checkpoint=options.checkpoint(f"sst2-{name}"))
        right[name] = model.predict(test[0]) == np.array(test[1])
    before = model.pretraining_history_
    assert before is not None
    gains = right["with"].astype(float) - right["without"]
    return Result(
        "sst2_pretrained",
        "accuracy gained",
        float(gains.mean()),
        bar=1 / len(test[0]),
        higher_is_better=True,
        train_s=model.history_.seconds + before.seconds,
        notes={f"accuracy {name}": float(found.mean()) for name, found in right.items()}
        | {
            "standard error of the gain": float(gains.std() / len(gains) ** 0.5),
            "pre-training, nats a token": before.best,
        },
    )


def trec(options: Options) -> Result:
    """Six kinds of questions."""
    folder = options.folder / "trec"
    parts = [labelled_lines(folder / f"TREC.{name}.txt.gz", "latin-1") for name in ("train", "test")]
    model = TextClassifier(
        stack=StackConfig(hidden_sizes=(100,), directions=("both",), dropout=0.3),
        form=TextConfig(embedding_dropout=0.2),
        metric="log_loss",
        training=options.settings(
            max_steps=600, batch_size=50, learning_rate=3e-3, weight_decay=0.1, average=0.99, validations=15
        ),
        seed=options.seed,
    )
    return classify(options, "trec", 0.90, (parts[0], parts[1]), model)


def movie_reviews(options: Options) -> Result:
    """Sentiment of reviews of some 750 words."""
    model = TextClassifier(
        stack=StackConfig(hidden_sizes=(64,), directions=("both",), dropout=0.3),
        form=TextConfig(embedding_size=64, embedding_dropout=0.2),
        metric="log_loss",
        least_count=2,
        training=options.settings(
            max_steps=150, batch_size=16, learning_rate=3e-3, weight_decay=0.1, average=0.98, validations=10
        ),
        seed=options.seed,
    )
    return classify(options, "movie_reviews", 0.87, movie_texts(options.folder), model)


def ewt(options: Options) -> Result:
    """Parts of speech of UD English EWT, gold words."""
    folder = options.folder / "ud_english_ewt"
    train, validation, test = (
        read_conllu(folder / f"en_ewt-ud-{name}.conllu.gz") for name in ("train", "dev", "test")
    )
    model = SequenceTagger(
        stack=StackConfig(hidden_sizes=(128,), directions=("both",), dropout=0.3),
        training=options.settings(
            max_steps=2400, batch_size=32, learning_rate=4e-3, average=0.995, validations=12
        ),
        seed=options.seed,
    )
    model.fit(*train, validation=validation, checkpoint=options.checkpoint("ewt"))
    scores = model.evaluate(*test)
    return Result(
        "ewt",
        "accuracy of words",
        scores.accuracy,
        bar=0.945,
        higher_is_better=True,
        train_s=model.history_.seconds,
        limit_s=1200,
        notes={"validation": model.history_.best, "words": scores.words},
    )


class TorchText(nn.Module):
    """Embedding, torch.nn.LSTM over a PackedSequence in both directions, maximum, linear map."""

    def __init__(self, tokens: int, size: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.embed = nn.Embedding(tokens, size)
        self.body = nn.LSTM(size, hidden, batch_first=True, bidirectional=True)
        self.head = nn.Linear(2 * hidden, classes)

    def forward(self, batch: TextBatch) -> torch.Tensor:
        packed = pack_padded_sequence(
            self.embed(batch.x), batch.lengths, batch_first=True, enforce_sorted=False
        )
        y, _ = pad_packed_sequence(self.body(packed)[0], batch_first=True, padding_value=-torch.inf)
        scores: torch.Tensor = self.head(y.amax(1))
        return scores


def ragged_speed(options: Options) -> Result:
    """Training steps a second on batches of movie reviews as they come, 32 of unequal length each."""
    (texts, labels), _ = movie_texts(options.folder)
    vocabulary = Vocabulary.fit(texts, unit="word", lowercase=True, least_count=2)
    codes, classes = label_codes(labels, len(labels))
    inputs = TextInputs(classes, None)
    chosen = np.random.default_rng(options.seed).permutation(len(texts))[:32]
    data = inputs.prepare(encode_texts(texts, codes, vocabulary, classes))
    batch = inputs.collate(data, chosen)
    torch.manual_seed(options.seed)
    form = TextConfig(embedding_size=64, embedding_dropout=0, input_dropout=0, output_dropout=0)
    ours = TextNetwork(
        form, len(vocabulary), len(classes), StackConfig(hidden_sizes=(64,), directions=("both",))
    )
    theirs = TorchText(len(vocabulary), 64, 64, len(classes))
    sides: dict[str, Side] = {
        "torch": (theirs, lambda: nn.functional.cross_entropy(theirs(batch), batch.labels)),
        "lamina": (ours, lambda: nn.functional.cross_entropy(ours(batch), batch.labels)),
    }
    best = steps_per_second(sides, seconds=2 if options.quick else 40)
    tokens = int(batch.lengths.sum())
    rates = {f"{name} tokens/s": rate * tokens for name, rate in best.items()}
    return Result(
        "ragged_speed", "times PackedSequence", best["lamina"] / best["torch"], 3.0, True, notes={**rates}
    )


def multi30k_pairs(options: Options, part: str) -> Pairs:
    """Descriptions of pictures in English and German."""
    folder = options.folder / "multi30k"
    return read_pairs(folder / f"{part}.en.gz", folder / f"{part}.de.gz")


def multi30k(options: Options) -> Result:
    """Translation from English to German; the published validation part chooses weights by greedy BLEU."""
    layers = StackConfig(cell="gru", hidden_sizes=(320, 320), dropout=0.3)
    model = Translator(
        stack=layers.replace(hidden_sizes=(160, 320), directions=("both", "forward")),
        decoder=DecoderConfig(attention="multiplicative", stack=layers),
        form=TranslateConfig(embedding_size=256, input_dropout=0.25, output_dropout=0.25),
        vocabulary_size=4000,
        metric="bleu",
        training=options.settings(
            max_steps=18_000,
            batch_size=48,
            learning_rate=2e-3,
            average=0.999,
            validations=18,
            max_seconds=5100,
            precision="bf16-mixed",
        ),
        seed=options.seed,
    )
    model.fit(
        *multi30k_pairs(options, "train"),
        validation=multi30k_pairs(options, "val"),
        checkpoint=options.checkpoint("multi30k"),
    )
    scores = model.evaluate(*multi30k_pairs(options, "test_2016_flickr"), beam=5)
    return Result(
        "multi30k",
        "BLEU",
        scores.bleu,
        bar=33.0,
        higher_is_better=True,
        train_s=model.history_.seconds,
        limit_s=5400,
        notes={
            "chrF": scores.chrf,
            "signature": scores.bleu_signature,
            "validation (greedy)": model.history_.best,
            "steps": model.history_.steps[-1],
        },
    )


def attention_gain(options: Options) -> Result:
    """Small translators with attention and without, of the same steps; greedy BLEU of the validation part."""
    train, validation = multi30k_pairs(options, "train"), multi30k_pairs(options, "val")
    layers = StackConfig(cell="gru", hidden_sizes=(128, 128), dropout=0.1)
    scores: dict[str, float | str] = {}
    for name in ("additive", "multiplicative", None):
        model = Translator(
            stack=layers.replace(hidden_sizes=(96, 128), directions=("both", "forward")),
            decoder=DecoderConfig(attention=name, stack=layers),
            form=TranslateConfig(embedding_size=128, input_dropout=0.1, output_dropout=0.1),
            vocabulary_size=3000,
            training=options.settings(
                max_steps=900, batch_size=48, learning_rate=4e-3, average=0.98, validations=1
            ),
            seed=options.seed,
        )
        model.fit(*train, validation=validation, checkpoint=options.checkpoint(f"attention-{name}"))
        scores[str(name)] = model.evaluate(*validation, beam=1).bleu
        scores[f"{name}, nats"] = model.history_.best
    gain = float(scores["multiplicative"]) - float(scores["None"])
    return Result("attention_gain", "BLEU above no attention", gain, 0.0, True, notes=scores)


PARTS: dict[str, Callable[[Options], Result]] = {
    "shakespeare": shakespeare,
    "language_speed": language_speed,
    "wikitext2": wikitext2,
    "wikitext2_speed": wikitext2_speed,
    "jsb": jsb,
    "nottingham": nottingham,
    "sst2": sst2,
    "sst2_pretrained": sst2_pretrained,
    "trec": trec,
    "movie_reviews": movie_reviews,
    "ragged_speed": ragged_speed,
    "ewt": ewt,
    "multi30k": multi30k,
    "attention_gain": attention_gain,
}


def table(results: Sequence[Result]) -> Table:
    made = Table("part", "metric", "score", "bar", "reached", "training")
    for result in results:
        bar = f"{'>=' if result.higher_is_better else '<='} {result.bar:g}"
        seconds = "" if result.train_s is None else f"{result.train_s:,.0f} s"
        made.add_row(
            result.part, result.metric, f"{result.score:.4g}", bar, "yes" if result.reached else "no", seconds
        )
    return made


def keep(path: Path, results: Sequence[Result], machine: dict[str, object]) -> None:
    """Put results into a file, each with the machine it is of, in place of older ones of the same part."""
    known = json.loads(path.read_text()) if path.exists() else {"results": []}
    lines = {line["part"]: line for line in known["results"]}
    for result in results:
        lines[result.part] = asdict(result) | {"reached": result.reached, "machine": machine}
    ordered = [lines[part] for part in PARTS if part in lines]
    path.write_text(json.dumps({"results": ordered}, indent=1) + "\n")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--data-folder", type=Path, default=os.environ.get(FOLDER_VARIABLE))
    parser.add_argument("--only", default=",".join(PARTS), help="parts, divided by commas")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument(
        "--quick", action="store_true", help="a few steps: shows that it runs, judges nothing"
    )
    parser.add_argument("--checkpoints", type=Path, help="folder in which an unfinished training goes on")
    parser.add_argument(
        "--json", type=Path, help="put everything into this file; parts that were not run stay"
    )
    return parser.parse_args(arguments)


def main(arguments: Sequence[str] | None = None) -> int:
    said = parse(arguments)
    console = Console()
    try:
        if said.data_folder is None:
            raise ConfigError(f"a data folder is needed; name it with --data-folder or {FOLDER_VARIABLE}")
        names = said.only.split(",")
        for name in names:
            if name not in PARTS:
                raise ConfigError(f"no part is called '{name}'{did_you_mean(name, PARTS)}")
        torch.set_num_threads(said.threads)
        options = Options(Path(said.data_folder), said.seed, said.quick, said.checkpoints)
        if said.checkpoints is not None:
            said.checkpoints.mkdir(parents=True, exist_ok=True)
        results = []
        for name in names:
            console.print(f"{name} ...")
            began = time.process_time()
            result = PARTS[name](options)
            result.notes["processor s, all in all"] = time.process_time() - began
            results.append(result)
    except LaminaError as error:
        console.print(f"error: {error}")
        return 2
    machine = {
        "processor": platform.processor() or platform.machine(),
        "cores": os.cpu_count(),
        "threads": said.threads,
        "torch": torch.__version__,
        "seed": said.seed,
        "quick": said.quick,
    }
    console.print(table(results), machine)
    for result in results:
        console.print(result.part, result.notes)
    if said.json is not None:
        keep(said.json, results, machine)
    return 0 if said.quick or all(result.reached for result in results) else 1


if __name__ == "__main__":
    sys.exit(main())
