"""Find names that were never seen before, by their letters and by what stands around them.

python examples/tag_names.py [STEPS]     (needs the extra "tagging")
"""

from __future__ import annotations

import sys

import numpy as np

from lamina import SequenceTagger, StackConfig, TrainingConfig
from lamina.tasks.tag import TagConfig

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 200
generator = np.random.default_rng(0)


def sentence() -> tuple[list[str], list[str]]:
    """A person with a made-up name of one to three words goes to a place with a made-up name."""
    person, place = (
        ["".join(generator.choice(list("abdeiklmnorst"), size=5)).title() for _ in range(size)]
        for size in generator.integers(1, 4, size=2)
    )
    verb = str(generator.choice(["went", "drove", "moved"]))
    words = [*person, verb, "to", *place, "yesterday", "."]
    tags = ["B-PER"] + ["I-PER"] * (len(person) - 1) + ["O", "O", "B-LOC"] + ["I-LOC"] * (len(place) - 1)
    return words, [*tags, "O", "O"]


words, tags = (list(part) for part in zip(*(sentence() for _ in range(300)), strict=True))
model = SequenceTagger(
    stack=StackConfig(cell="lstm", hidden_sizes=(32,), directions=("both",)),
    form=TagConfig(word_size=16, character_size=16, decoder="crf"),
    metric="f1",
    training=TrainingConfig(max_steps=steps, batch_size=16, learning_rate=0.01),
)
model.fit(words[:250], tags[:250])
scores = model.evaluate(words[250:], tags[250:])
print(f"accuracy {scores.accuracy:.3f}, F1 of names {scores.f1:.3f}, of {scores.words} words")
for word, tag in zip(words[250], model.predict(words[250:251])[0], strict=True):
    print(f"{word:12} {tag}")
