"""How fast is a cross-encoder fine-tuned: whole, by low-rank additions, or with a frozen BERT?

    python -m benchmarks.training.cross_encoder_training --backbone all-minilm-l6-v2 [--record]

Lists of the demo data, 4 lists of 8 pairs a step. The ways take turns, and a turn is a fit of its own that stops after
some steps, the first of which do not count. Prints one JSON line: median steps a second of each by the clock and by CPU
time, and their ratio to full fine-tuning. Asked for: low-rank additions at 1.2 times.
"""

import argparse
import time
from typing import Any

import keras
import numpy as np

from benchmarks.common import progress, report
from tfllmrec import CrossEncoder
from tfllmrec.data import load_demo

WAYS: dict[str, dict[str, Any]] = {
    "full": {},
    "full, bfloat16": {"precision": "bfloat16"},
    "lora": {"tuning": "lora"},
    "lora, bfloat16": {"tuning": "lora", "precision": "bfloat16"},
    "frozen": {"tuning": "frozen"},
}
UNCOUNTED = 3
"""Steps in which TensorFlow traces and warms up."""


class StepSeconds(keras.callbacks.Callback):
    """How long the steps of a fit take, by the clock and of the processor; stops it after some."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps, self.seconds = steps, [(time.perf_counter(), time.process_time())]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Note the time."""
        self.seconds.append((time.perf_counter(), time.process_time()))
        if batch + 1 == UNCOUNTED + self.steps:
            self.model.stop_training = True

    def medians(self) -> np.ndarray:
        """Seconds a step, by the clock and of the processor."""
        return np.median(np.diff(np.array(self.seconds), axis=0)[UNCOUNTED:], axis=0)


def main() -> None:
    parser = argparse.ArgumentParser(description=(__doc__ or "").split("\n", 1)[0])
    parser.add_argument("--backbone", default="all-minilm-l6-v2")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10, help="of a turn")
    parser.add_argument("--record", action="store_true", help="keep the result in results/")
    arguments = parser.parse_args()
    data = load_demo(min_item_interactions=5)
    seconds: dict[str, list[np.ndarray]] = {way: [] for way in WAYS}
    for turn in range(arguments.turns):
        for way, options in WAYS.items():
            steps = StepSeconds(arguments.steps)
            chosen = {"backbone": arguments.backbone, "batch_size": 4, "list_size": 8, "epochs": 1}
            CrossEncoder(**chosen, **options).fit(data, callbacks=[steps], verbose=0)
            seconds[way].append(steps.medians())
            progress(f"turn {turn}, {way}: {seconds[way][-1][0]:.2f} s a step")
    medians = {way: np.median(found, axis=0) for way, found in seconds.items()}
    result: dict[str, Any] = {"benchmark": "cross_encoder_training", "backbone": arguments.backbone}
    for way, (wall, cpu) in medians.items():
        ratios = {"ratio": medians["full"][0] / wall, "cpu_ratio": medians["full"][1] / cpu}
        result[way] = {"steps_per_second": round(1 / wall, 3)} | {name: round(r, 2) for name, r in ratios.items()}
    report(result, "cross_encoder_training" if arguments.record else None)


if __name__ == "__main__":
    main()
