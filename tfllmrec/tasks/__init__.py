"""TFRS tasks inside Keras 3 `fit`: the only folder that knows Keras 2."""
