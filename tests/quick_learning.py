"""Options with which models memorise a small synthetic data set in seconds."""

from typing import Any

QUICK_LEARNING: dict[str, Any] = {
    "history_length": 10,
    "dim": 8,
    "units": 8,
    "input_dropout": 0.1,
    "dropout": 0.1,
    "label_smoothing": 0.0,
    "batch_size": 8,
    "learning_rate": 0.02,
    "warmup": 0,
    "weight_decay": 0.0,
    "ema": 0.5,
    "epochs": 8,
}
"""Options of recurrent models."""

QUICK_TWO_TOWER: dict[str, Any] = {
    "history_length": 10,
    "dim": 8,
    "hidden_units": 16,
    "feature_dropout": 0.1,
    "dropout": 0.1,
    "batch_size": 64,
    "learning_rate": 0.02,
    "weight_decay": 0.0,
    "ema": 0.5,
    "epochs": 10,
}
"""Options of `two_tower`."""
