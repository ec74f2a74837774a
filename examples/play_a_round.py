"""Train a music model on a round in many keys, let it play on, and write MIDI and a picture.

python examples/play_a_round.py [STEPS]     (needs the extra "music")
"""

from __future__ import annotations

import sys

import numpy as np

from lamina import MusicModel, StackConfig, TrainingConfig
from lamina.data.music import transpose, write_midi
from lamina.report.piano_roll import draw_piano_roll

steps = int(sys.argv[1]) if len(sys.argv) > 1 else 400

# Frère Jacques, in semitones above its first tone and quarter notes; two frames make a quarter.
TONES = [(0, 1), (2, 1), (4, 1), (0, 1)] * 2 + [(4, 1), (5, 1), (7, 2)] * 2
TONES += [(7, 0.5), (9, 0.5), (7, 0.5), (5, 0.5), (4, 1), (0, 1)] * 2 + [(0, 1), (-5, 1), (0, 2)] * 2
melody = np.zeros((64, 88), dtype=bool)
begin = 0
for tone, quarters in TONES:
    melody[begin : begin + int(2 * quarters), 39 + tone] = True
    begin += int(2 * quarters)
second = np.vstack([np.zeros((16, 88), dtype=bool), melody[:-16]])  # it comes in two bars later
pieces = [transpose(melody | second, semitones) for semitones in range(-6, 6)]

model = MusicModel(
    stack=StackConfig(cell="lstm", hidden_sizes=(96,)),
    training=TrainingConfig(max_steps=steps, batch_size=4, learning_rate=0.01),
)
model.fit(pieces)
print(f"{model.evaluate(pieces).nats_per_frame:.3f} nats a frame")

start = pieces[3][:16]
music = np.vstack([start, model.generate(48, prompt=start, temperature=0.5, seed=1)])
write_midi(music, "round.mid", frames_per_quarter=2)
draw_piano_roll(music, "round.svg")
print(f"{int(music.sum())} keys in {len(music)} frames: round.mid, round.svg")
