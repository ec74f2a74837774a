"""Music as piano rolls: which of 88 keys sound in each frame of time; MIDI in and out."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from lamina._optional import require
from lamina.errors import ConfigError, DataError

KEYS = 88
LOWEST_PITCH = 21
"""The MIDI pitch of key 0, A0."""
TICKS_PER_QUARTER = 480

Roll = NDArray[np.bool_]
"""(frames, 88): whether each key, from A0 up, sounds in each frame."""


def as_roll(roll: ArrayLike) -> Roll:
    """The same as bool (frames, 88).

    Raises:
        DataError: another shape, values other than 0 and 1, or no frame at all.

    >>> as_roll(np.zeros((3, 88))).dtype
    dtype('bool')
    """
    found = np.asarray(roll)
    if found.ndim != 2 or found.shape[1] != KEYS or not len(found):
        raise DataError(
            f"a piano roll is (frames, {KEYS}) with at least one frame, but this one is {found.shape}. "
            "Key 0 is A0 (MIDI pitch 21)."
        )
    if not np.isin(found, (0, 1)).all():
        raise DataError("a piano roll holds 0 and 1, but this one has other values. Use roll > 0.")
    return found.astype(np.bool_)


def read_midi(path: str | os.PathLike[str], *, frames_per_quarter: int = 4) -> Roll:
    """The piano roll of a MIDI file, all tracks but the drums together; needs the extra ``music``.

    A note sounds from the frame nearest to its start, for at least one frame. Pitches beyond a piano's keys
    are left out, and silence before the first note and after the last is not kept.

    Args:
        path: the file.
        frames_per_quarter: frames in a quarter note.

    Raises:
        DataError: the file cannot be read, or has no note on a piano's keys.
    """
    _check_frames(frames_per_quarter)
    symusic = require("symusic", extra="music")
    try:
        score = symusic.Score(Path(path))
    except Exception as error:  # symusic raises what its C++ parser threw, of no one class
        raise DataError(f"'{os.fspath(path)}' cannot be read as MIDI: {error}. Check the file.") from error
    notes = [note for track in score.tracks if not track.is_drum for note in track.notes]
    keys = np.array([note.pitch - LOWEST_PITCH for note in notes], dtype=np.int64)
    times = np.array([(note.time, note.time + note.duration) for note in notes], dtype=np.float64)
    inside = (keys >= 0) & (keys < KEYS)
    if not inside.any():
        raise DataError(f"music has notes on a piano's keys, but '{os.fspath(path)}' has none.")
    begins, ends = np.floor(times[inside] / score.ticks_per_quarter * frames_per_quarter + 0.5).T.astype(int)
    ends = np.maximum(ends, begins + 1)
    first = begins.min()
    roll = np.zeros((ends.max() - first, KEYS), dtype=np.bool_)
    for key, begin, end in zip(keys[inside], begins - first, ends - first, strict=True):
        roll[begin:end, key] = True
    return roll


def write_midi(
    roll: ArrayLike,
    path: str | os.PathLike[str],
    *,
    frames_per_quarter: int = 4,
    tempo_bpm: float = 100,
    velocity: int = 80,
) -> None:
    """Write a piano roll as a MIDI file, for one piano; needs the extra ``music``.

    A key that sounds in frames that follow one another is one held note.

    Args:
        roll: (frames, 88).
        path: the file, usually ``.mid``.
        frames_per_quarter: frames in a quarter note.
        tempo_bpm: quarter notes a minute.
        velocity: loudness, 1 to 127.

    Raises:
        DataError: not a piano roll.
        ConfigError: an option is out of its range.
    """
    _check_frames(frames_per_quarter)
    if not 1 <= velocity <= 127:
        raise ConfigError(f"velocity is from 1 to 127 but is {velocity}; use for example 80")
    if not 0 < tempo_bpm < math.inf:
        raise ConfigError(f"tempo_bpm is above 0 but is {tempo_bpm}; use for example 100")
    symusic = require("symusic", extra="music")
    sounding = as_roll(roll)
    ticks = TICKS_PER_QUARTER / frames_per_quarter
    score = symusic.Score(TICKS_PER_QUARTER)
    score.tempos.append(symusic.Tempo(time=0, qpm=tempo_bpm))
    track = symusic.Track(name="piano", program=0)
    for key, begin, end in held_notes(sounding):
        time, duration = round(begin * ticks), round((end - begin) * ticks)
        note: Any = symusic.Note(time=time, duration=duration, pitch=key + LOWEST_PITCH, velocity=velocity)
        track.notes.append(note)
    score.tracks.append(track)
    score.dump_midi(Path(path))


def _check_frames(per_quarter: int) -> None:
    if per_quarter < 1:
        raise ConfigError(f"a quarter note has at least 1 frame but {per_quarter} were asked for")


def held_notes(roll: Roll) -> list[tuple[int, int, int]]:
    """Notes (key, first frame, frame after the last), by their first frame.

    >>> roll = np.zeros((4, 88), dtype=bool)
    >>> roll[1:3, 5] = True
    >>> held_notes(roll)
    [(5, 1, 3)]
    """
    padded = np.zeros((len(roll) + 2, KEYS), dtype=np.int8)
    padded[1:-1] = roll
    change = np.diff(padded, axis=0).T  # (keys, frames + 1)
    starts, ends = np.argwhere(change == 1), np.argwhere(change == -1)  # both by key, then by time
    notes = [(int(key), int(a), int(b)) for (key, a), (_, b) in zip(starts, ends, strict=True)]
    return sorted(notes, key=lambda note: (note[1], note[0]))


def transpose(roll: Roll, semitones: int) -> Roll:
    """All keys moved up, or down where negative; keys beyond the keyboard fall silent."""
    moved = np.zeros_like(roll)
    if semitones >= 0:
        moved[:, semitones:] = roll[:, : KEYS - semitones]
    else:
        moved[:, :semitones] = roll[:, -semitones:]
    return moved
