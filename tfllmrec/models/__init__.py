"""Functional `keras.Model`s built from a configuration, and the layers they are made of."""
