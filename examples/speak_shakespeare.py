"""Train a small language model on characters of Shakespeare, and let it go on.

python examples/speak_shakespeare.py [STEPS]
"""

from __future__ import annotations

import sys

from lamina import LanguageModel, StackConfig, TrainingConfig
from lamina.data.sources import BUNDLED
from lamina.data.text import read_text

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 300

plays = read_text(BUNDLED / "shakespeare.txt.gz")
text, unseen = plays[:-10_000], plays[-10_000:]

model = LanguageModel(
    stack=StackConfig(cell="lstm", hidden_sizes=(128,), dropout=0.1),
    training=TrainingConfig(max_steps=steps, batch_size=16, learning_rate=5e-3),
)
model.fit(text)
scores = model.evaluate(unseen)
print(f"{model.history_.outcome} after {model.history_.steps[-1]} steps, {model.history_.seconds:.1f} s")
print(f"{scores.nats_per_token:.3f} nats, {scores.bits_per_character:.3f} bits a character, not seen before")
print(model.generate(300, prompt="ROMEO:\n", temperature=0.7, seed=1))
