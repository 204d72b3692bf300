"""Keras layers shared by several models."""
