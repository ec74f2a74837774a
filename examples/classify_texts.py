"""Tell complaints from praise in short reviews, where the order of the words decides.

python examples/classify_texts.py [STEPS]
"""

from __future__ import annotations

import sys
from itertools import product

import numpy as np

from lamina import StackConfig, TextClassifier, TrainingConfig
from lamina.tasks.text import TextConfig

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 150

# Each pair of a complaint and a praise has the same words, so that counts of single words cannot tell.
parts = ["soup", "service", "room", "view", "wine", "price"]
texts, labels = [], []
for good, bad in product(parts, parts):
    if good != bad:
        texts += [
            f"The {good} was fine, but the {bad} spoilt it.",
            f"The {bad} was poor, but the {good} made it.",
        ]
        labels += ["complaint", "praise"]
        texts += [f"Nice {good}! Sadly not the {bad}.", f"Not the {bad}, sadly! Nice {good}, though."]
        labels += ["complaint", "praise"]
order = np.random.default_rng(0).permutation(len(texts))
training, test = order[:90], order[90:]

model = TextClassifier(
    stack=StackConfig(cell="lstm", hidden_sizes=(32,), directions=("both",)),
    form=TextConfig(embedding_size=32, pooling="max"),
    training=TrainingConfig(max_steps=steps, batch_size=16, learning_rate=5e-3),
)
model.fit([texts[i] for i in training], [labels[i] for i in training])
accuracy = model.score([texts[i] for i in test], [labels[i] for i in test])
print(f"accuracy on {len(test)} reviews that were not seen: {accuracy:.3f}")
review = "Nice soup! Sadly not the service."
print(f"{review} -> {model.predict([review])[0]}")
