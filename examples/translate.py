"""Translate dates that were never seen into another language, and draw where the translation looked.

python examples/translate.py [STEPS]     (needs the extra "translation")
"""

from __future__ import annotations

import sys

import numpy as np

from lamina import StackConfig, TrainingConfig, Translator
from lamina.nn.decoder import DecoderConfig
from lamina.report.attention_picture import draw_attention
from lamina.tasks.translate import TranslateConfig

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 400
generator = np.random.default_rng(0)
DAYS = {"Monday": "Montag", "Tuesday": "Dienstag", "Friday": "Freitag", "Sunday": "Sonntag"}
MONTHS = {"January": "Januar", "March": "März", "May": "Mai", "June": "Juni", "October": "Oktober"}


def pair() -> tuple[str, str]:
    """A date in English, and in German, where the day stands before the month."""
    day, month = (str(generator.choice(list(names))) for names in (DAYS, MONTHS))
    number, year = int(generator.integers(1, 29)), int(generator.integers(1900, 2030))
    return f"{day}, {month} {number}, {year}", f"{DAYS[day]}, der {number}. {MONTHS[month]} {year}"


english, german = (list(side) for side in zip(*(pair() for _ in range(1200)), strict=True))
model = Translator(
    stack=StackConfig(cell="gru", hidden_sizes=(64,), directions=("both",)),
    decoder=DecoderConfig(attention="additive"),
    form=TranslateConfig(embedding_size=64, input_dropout=0.0, output_dropout=0.1),
    vocabulary_size=400,
    training=TrainingConfig(max_steps=steps, batch_size=32, learning_rate=5e-3),
)
model.fit(english[:1000], german[:1000])
scores = model.evaluate(english[1000:], german[1000:])
print(f"BLEU {scores.bleu:.1f} ({scores.bleu_signature}), chrF {scores.chrf:.1f}, of {scores.texts} texts")
for text, answer in zip(english[1000:1003], model.translate(english[1000:1003], beam=5), strict=True):
    print(f"{text:30} {answer}")
seen = model.attention(english[1000])
draw_attention(seen.weights, "attention.svg", source=seen.source, target=seen.target)
