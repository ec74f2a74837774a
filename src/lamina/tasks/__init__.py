"""What the output means: input map, head, loss, metrics and decoding, one file a task."""
