"""The recurrence as functions, without parameters."""
