"""What the tests of several folders share."""

import os

import pytest

from tfllmrec.data import Checkerboard, checkerboard

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "2")  # before TensorFlow is imported


@pytest.fixture(scope="session")
def board() -> Checkerboard:
    """40 users, 20 items, and the one right answer for every user."""
    return checkerboard()
