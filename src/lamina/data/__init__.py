"""What comes in: series, labelled sequences, windows and batches."""
