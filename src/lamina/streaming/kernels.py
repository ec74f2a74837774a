"""The arithmetic of online learning in native code: imported here, or an error that says how to get it."""

from __future__ import annotations

from lamina.streaming.packed import require_extension

_learning = require_extension("_learning")

any_beyond = _learning.any_beyond
bound = _learning.bound
contexts = _learning.contexts
follow = _learning.follow
follow_label = _learning.follow_label
judge = _learning.judge
label_rules = _learning.label_rules
learn = _learning.learn
say = _learning.say
say_each = _learning.say_each
share_weights = _learning.share_weights
