"""Tell nine speakers apart by two vowels, 7 to 29 steps of 12 features each.

python examples/classify_japanese_vowels.py [STEPS]
"""

from __future__ import annotations

import sys

import numpy as np

from lamina import SequenceClassifier, StackConfig, TrainingConfig
from lamina.data.labelled import LabelledSequences
from lamina.data.sources import load_labelled

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 400


def sequences(part: LabelledSequences) -> tuple[list[np.ndarray], list[str]]:
    """What a table of your own would give: a list of (time, features) arrays, and their labels."""
    return [part[i] for i in range(len(part))], [part.classes[code] for code in part.labels]


training, test = load_labelled("JapaneseVowels", None)
model = SequenceClassifier(
    stack=StackConfig(cell="lstm", hidden_sizes=(64,), directions=("both",), dropout=0.2),
    training=TrainingConfig(max_steps=steps, batch_size=32),
)
model.fit(*sequences(training))
print(f"{model.history_.outcome} after {model.history_.steps[-1]} steps, {model.history_.seconds:.1f} s")

x, speakers = sequences(test)
print(f"accuracy on {len(x)} utterances that were not seen: {model.score(x, speakers):.3f}")
print(f"speaker of the first: {model.predict(x[:1])[0]}, with chance {model.predict_proba(x[:1]).max():.2f}")
