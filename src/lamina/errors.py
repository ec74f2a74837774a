"""What Lamina raises when the caller can mend it.

Every message says the rule, what came, and the next step. Faults that only Lamina can cause
are assertions elsewhere, never these classes.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable


class LaminaError(Exception):
    """Base of everything Lamina raises on purpose; the command line prints it without a traceback."""


class DataError(LaminaError, ValueError):
    """The data break a rule: a missing column, text among numbers, a series that is too short."""


class ConfigError(LaminaError, ValueError):
    """An option or a configuration file breaks a rule: unknown key, value out of range, clash."""


class SavedModelError(LaminaError):
    """A saved directory is not a model, is damaged, or was written by a newer version."""


class BackendError(LaminaError):
    """A backend that was asked for by name cannot run the call."""


class NotFittedError(LaminaError, ValueError, AttributeError):
    """An estimator was asked to predict before it was fitted."""


class MissingPackageError(LaminaError, ImportError):
    """An optional package is needed for what was asked and is not installed."""


def did_you_mean(word: str, options: Iterable[str]) -> str:
    """Return ``"; did you mean 'x'?"`` for the option nearest to ``word``, or ``""``.

    >>> did_you_mean("hiden_size", ["hidden_size", "input_size"])
    "; did you mean 'hidden_size'?"
    >>> did_you_mean("zzz", ["hidden_size"])
    ''
    """
    near = difflib.get_close_matches(word, list(options), n=1, cutoff=0.6)
    return f"; did you mean '{near[0]}'?" if near else ""
