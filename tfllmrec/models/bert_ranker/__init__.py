"""The BERT ranker: a bi-encoder on item vectors of texts."""
