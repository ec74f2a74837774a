from __future__ import annotations

import numpy as np
import pytest

from lamina.errors import ConfigError
from lamina.tasks.sampling import Sampling

CHANCES = np.array([0.5, 0.1, 0.3, 0.1])
LOGITS = np.log(CHANCES) + 7


def test_plain_sampling_has_the_models_chances() -> None:
    np.testing.assert_allclose(Sampling().chances(LOGITS), CHANCES)
    generator = np.random.default_rng(0)
    drawn = np.bincount([Sampling().draw(LOGITS, generator) for _ in range(4000)], minlength=4) / 4000
    np.testing.assert_allclose(drawn, CHANCES, atol=0.03)


def test_temperature_is_a_power_of_the_chances() -> None:
    expected = CHANCES**2 / (CHANCES**2).sum()
    np.testing.assert_allclose(Sampling(temperature=0.5).chances(LOGITS), expected)


def test_limits_keep_the_likeliest() -> None:
    np.testing.assert_allclose(Sampling(top_k=2).chances(LOGITS), [5 / 8, 0, 3 / 8, 0])
    np.testing.assert_allclose(Sampling(top_p=0.6).chances(LOGITS), [5 / 8, 0, 3 / 8, 0])
    np.testing.assert_allclose(Sampling(top_p=0.4).chances(LOGITS), [1, 0, 0, 0])
    np.testing.assert_allclose(Sampling(top_k=9, top_p=1.0).chances(LOGITS), CHANCES)


def test_what_has_no_score_is_never_drawn() -> None:
    chances = Sampling(temperature=100).chances(np.array([-np.inf, 0.0]))
    np.testing.assert_allclose(chances, [0, 1])


@pytest.mark.parametrize("wrong", [{"temperature": 0}, {"top_k": 0}, {"top_p": 0}, {"top_p": 1.1}])
def test_options_out_of_range_are_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(ConfigError, match=next(iter(wrong))):
        Sampling.parse(wrong)
