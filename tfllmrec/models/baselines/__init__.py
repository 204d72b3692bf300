"""Baselines with closed-form fits, and Word2Vec."""
