"""Fitting: one loop, what it records, and when it stops."""
