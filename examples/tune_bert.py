"""Tune a BERT to labels, and let a BiLSTM, smaller and faster, learn from it.

python examples/tune_bert.py [STEPS]     (needs the extra "bert")
"""

from __future__ import annotations

import sys
import tempfile
import time
from pathlib import Path

import numpy as np
from transformers import AutoTokenizer, BertConfig, BertModel, set_seed

from lamina import BertClassifier, StackConfig, TextClassifier, TrainingConfig

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 150
things = ["soup", "service", "room", "view", "wine", "price", "garden", "music"]
pairs = [(good, bad) for good in things for bad in things if good != bad]
texts = [f"nice {good} but sadly not the {bad}" for good, bad in pairs]
texts += [f"sadly not the {bad} but nice {good}" for good, bad in pairs]
labels = ["blame"] * len(pairs) + ["praise"] * len(pairs)  # the last word counts
order = np.random.default_rng(0).permutation(len(texts))
known, unlabelled, test = np.split(order, [48, 80])
X, y = [texts[i] for i in known], [labels[i] for i in known]


def checkpoint(folder: Path) -> Path:
    """A folder as transformers saves it: a small BERT that has these words and random weights."""
    words = sorted({word for text in texts for word in text.split()})
    vocabulary = "\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *words])
    (folder / "vocab.txt").write_text(vocabulary, encoding="utf-8")
    (folder / "tokenizer_config.json").write_text('{"tokenizer_class": "BertTokenizer"}', encoding="utf-8")
    AutoTokenizer.from_pretrained(folder).save_pretrained(folder)
    set_seed(0)
    size = {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 2, "intermediate_size": 64}
    BertModel(BertConfig(vocab_size=5 + len(words), **size)).save_pretrained(folder)
    return folder


def told(model: BertClassifier | TextClassifier, name: str) -> None:
    """Print how many of the test texts are right, and how long one takes."""
    start = time.perf_counter()
    right = model.score([texts[i] for i in test], [labels[i] for i in test])
    print(f"{name}: {right:.0%} right, {1e6 * (time.perf_counter() - start) / len(test):.0f} us a text")


with tempfile.TemporaryDirectory() as folder:
    training = TrainingConfig(max_steps=steps, batch_size=16, learning_rate=2e-3)
    teacher = BertClassifier(bert=checkpoint(Path(folder)), counts=False, training=training)
    teacher.fit(X, y)
told(teacher, "BERT")
student = TextClassifier(
    stack=StackConfig(hidden_sizes=(16,), directions=("both",)),
    training=training.replace(learning_rate=0.01),
    pretraining=training,
)
told(student.fit(X, y, unlabelled=[texts[i] for i in unlabelled], teacher=teacher), "BiLSTM that it taught")
