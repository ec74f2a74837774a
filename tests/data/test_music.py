from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import symusic

from lamina.data.music import KEYS, as_roll, held_notes, read_midi, transpose, write_midi
from lamina.errors import ConfigError, DataError


def random_roll(frames: int = 60) -> np.ndarray:
    roll = np.random.default_rng(0).random((frames, KEYS)) < 0.1
    roll[0, 3] = roll[-1, 7] = True  # silence at the ends would not come back
    return roll


@pytest.mark.parametrize("frames_per_quarter", [1, 4, 7])
def test_a_roll_comes_back_from_midi(tmp_path: Path, frames_per_quarter: int) -> None:
    roll = random_roll()
    write_midi(roll, tmp_path / "a.mid", frames_per_quarter=frames_per_quarter)
    np.testing.assert_array_equal(read_midi(tmp_path / "a.mid", frames_per_quarter=frames_per_quarter), roll)


def test_midi_has_the_pitches_times_and_tempo_that_were_meant(tmp_path: Path) -> None:
    roll = np.zeros((8, KEYS), dtype=bool)
    roll[2:6, 39] = True  # key 39 is middle C, held for a quarter note of four frames
    write_midi(roll, tmp_path / "c.mid", tempo_bpm=90, velocity=55)
    score: Any = symusic.Score(tmp_path / "c.mid")
    (note,) = score.tracks[0].notes
    assert (note.pitch, note.velocity) == (60, 55)
    quarter = score.ticks_per_quarter
    assert (note.time / quarter, note.duration / quarter) == (0.5, 1.0)
    assert score.tempos[0].qpm == pytest.approx(90)


def test_drums_and_pitches_beyond_a_piano_are_left_out(tmp_path: Path) -> None:
    score: Any = symusic.Score(480)
    for pitch, drum in ((60, False), (38, True), (12, False)):
        track: Any = symusic.Track(program=0, is_drum=drum)
        track.notes.append(symusic.Note(time=960, duration=30, pitch=pitch, velocity=80))
        score.tracks.append(track)
    score.dump_midi(tmp_path / "a.mid")
    roll = read_midi(tmp_path / "a.mid")
    assert roll.shape == (1, KEYS)  # silence before is not kept, and a short note has a frame
    assert np.flatnonzero(roll[0]).tolist() == [39]


def test_held_notes_are_counted_once() -> None:
    roll = np.zeros((6, KEYS), dtype=bool)
    roll[[0, 1, 3], 10] = True
    roll[1:6, 4] = True
    assert held_notes(roll) == [(10, 0, 2), (4, 1, 6), (10, 3, 4)]


def test_transposing_moves_keys_and_loses_those_beyond_the_keyboard() -> None:
    roll = np.zeros((1, KEYS), dtype=bool)
    roll[0, [0, 40, 87]] = True
    assert np.flatnonzero(transpose(roll, 5)).tolist() == [5, 45]
    assert np.flatnonzero(transpose(roll, -5)).tolist() == [35, 82]
    np.testing.assert_array_equal(transpose(roll, 0), roll)


def test_what_is_no_music_says_so(tmp_path: Path) -> None:
    for wrong in (np.zeros((3, 12)), np.zeros(88), np.zeros((0, 88))):
        with pytest.raises(DataError, match=r"a piano roll is \(frames, 88\)"):
            as_roll(wrong)
    with pytest.raises(DataError, match="other values"):
        as_roll(np.full((1, 88), 64))
    (tmp_path / "bad.mid").write_bytes(b"no music")
    for path in (tmp_path / "bad.mid", tmp_path / "none.mid"):
        with pytest.raises(DataError, match="cannot be read as MIDI"):
            read_midi(path)
    write_midi(np.zeros((4, KEYS)), tmp_path / "silent.mid")
    with pytest.raises(DataError, match="has none"):
        read_midi(tmp_path / "silent.mid")
    with pytest.raises(ConfigError, match="at least 1 frame but 0"):
        read_midi(tmp_path / "silent.mid", frames_per_quarter=0)
    for options, told in (
        ({"frames_per_quarter": 0}, "at least 1 frame but 0"),
        ({"velocity": 300}, "velocity is from 1 to 127 but is 300"),
        ({"velocity": 0}, "velocity is from 1 to 127 but is 0"),
        ({"tempo_bpm": 0}, "tempo_bpm is above 0 but is 0"),
    ):
        with pytest.raises(ConfigError, match=told):
            write_midi(np.zeros((4, KEYS)), tmp_path / "loud.mid", **options)
    assert not (tmp_path / "loud.mid").exists()
