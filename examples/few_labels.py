"""Tell praise from blame after 8 labelled words, with and without 600 texts that have no label.

python examples/few_labels.py [STEPS]
"""

from __future__ import annotations

import sys

import numpy as np

from lamina import StackConfig, TextClassifier, TrainingConfig
from lamina.tasks.text import TextConfig

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 150
generator = np.random.default_rng(0)
praise = ["tasty", "fresh", "friendly", "quick", "clean", "warm", "generous", "crisp", "calm", "bright"]
blame = ["stale", "bland", "rude", "slow", "dirty", "cold", "stingy", "soggy", "loud", "gloomy"]


def talk(words: list[str], beside: str) -> str:
    """Words of one kind stand beside the same others, which is all that tells that they are alike."""
    first, second = generator.choice(words, size=2, replace=False)
    return f"{beside} {first} {beside} {second} {beside}"


unlabelled = [talk(praise, "lovely") for _ in range(300)] + [talk(blame, "awful") for _ in range(300)]
texts = [f"it was {word}" for word in praise[:4] + blame[:4]] * 4
labels = (["praise"] * 4 + ["blame"] * 4) * 4
new_texts = [f"it was {word}" for word in praise[4:] + blame[4:]]  # words that no label was given for
truth = ["praise"] * 6 + ["blame"] * 6

stack = StackConfig(cell="lstm", hidden_sizes=(16,), directions=("both",))
form = TextConfig(embedding_size=16, input_dropout=0.1, output_dropout=0.1)
training = TrainingConfig(max_steps=steps, batch_size=16, learning_rate=0.02)
alone = TextClassifier(stack=stack, form=form, training=training).fit(texts, labels)
print(f"8 words with labels: {alone.score(new_texts, truth):.0%} of 12 other words are right")
pretrained = TextClassifier(
    stack=stack,
    form=form,
    training=training,
    pretraining=TrainingConfig(max_steps=steps, batch_size=16, learning_rate=0.02),
).fit(texts, labels, unlabelled=unlabelled)
print(f"and {len(unlabelled)} texts without labels: {pretrained.score(new_texts, truth):.0%}")
