"""One observation at a time: native steps with carried state, and learning online."""
