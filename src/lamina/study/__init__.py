"""The study: which model, and how sure one can be."""
