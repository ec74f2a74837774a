"""Classify speech while it is spoken: one frame at a time, each speaker with a state of its own.

Run: python examples/stream.py [training steps]
"""

from __future__ import annotations

import sys

from lamina.data.sources import load_labelled
from lamina.estimators.classifier import SequenceClassifier
from lamina.nn.stack import StackConfig
from lamina.training.optim import TrainingConfig

STEPS = int(sys.argv[1]) if len(sys.argv) > 1 else 300


def main() -> None:
    training, test = load_labelled("JapaneseVowels", None)
    # One direction only: what streams cannot know the frames that are still to come.
    stack = StackConfig(cell="lstm", hidden_sizes=(64,))
    model = SequenceClassifier(stack=stack, training=TrainingConfig(max_steps=STEPS, learning_rate=4e-3))
    names = [training.classes[code] for code in training.labels]
    model.fit([training[i] for i in range(len(training))], names)

    session = model.stream(max_keys=1000)
    for utterance in (0, 100):
        key, truth = f"microphone {utterance}", test.classes[test.labels[utterance]]
        for frame, values in enumerate(test[utterance], start=1):
            chances = session.step(values, key=key)
            if frame % 5 == 0:
                best = int(chances.argmax())
                said = f"speaker {model.classes_[best]} ({chances[best]:.0%})"
                print(f"{key}, frame {frame}: {said}, truly {truth}")
    print(f"{len(session)} keys in {session.used_bytes:,} bytes, at most {session.bound_bytes:,}")


if __name__ == "__main__":
    main()
