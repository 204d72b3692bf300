"""The cross-encoder: one BERT over history and candidate."""
