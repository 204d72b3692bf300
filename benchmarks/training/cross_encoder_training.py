"""Speed of fine-tuning a cross-encoder: full, LoRA or frozen BERT, in float32 and bfloat16.

    python -m benchmarks.training.cross_encoder_training --backbone all-minilm-l6-v2 [--record]

Lists of the demo data, 4 lists of 8 pairs per step. The modes take turns; a turn is a separate fit that stops after a
few steps, the first of which do not count.

Prints one JSON line: median steps per second of each mode, and its ratio to full fine-tuning by wall-clock time
(`ratio`) and by CPU time (`cpu_ratio`). Target: LoRA reaches 1.2 times the speed of full fine-tuning.
"""

import time
from typing import Any

import keras
import numpy as np

from benchmarks.common import benchmark_parser, progress, report
from tfllmrec import CrossEncoder
from tfllmrec.data import load_demo

MODES: dict[str, dict[str, Any]] = {
    "full": {},
    "full, bfloat16": {"precision": "bfloat16"},
    "lora": {"tuning": "lora"},
    "lora, bfloat16": {"tuning": "lora", "precision": "bfloat16"},
    "frozen": {"tuning": "frozen"},
}
UNCOUNTED = 3
"""First steps, in which TensorFlow traces and warms up."""


class StepSeconds(keras.callbacks.Callback):
    """Measures the steps of a fit and stops it.

    Args:
        steps: number of steps that count.

    Attributes:
        seconds: wall-clock and CPU time after each step.
    """

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps, self.seconds = steps, [(time.perf_counter(), time.process_time())]

    def on_train_batch_end(self, batch: int, logs: Any = None) -> None:
        """Record the time, and stop after the last step."""
        self.seconds.append((time.perf_counter(), time.process_time()))
        if batch + 1 == UNCOUNTED + self.steps:
            self.model.stop_training = True

    def medians(self) -> np.ndarray:
        """Return median wall-clock and CPU seconds per step."""
        return np.median(np.diff(np.array(self.seconds), axis=0)[UNCOUNTED:], axis=0)


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--backbone", default="all-minilm-l6-v2")
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--steps", type=int, default=10, help="steps per turn that count")
    arguments = parser.parse_args()
    data = load_demo(min_item_interactions=5)
    seconds: dict[str, list[np.ndarray]] = {mode: [] for mode in MODES}
    for turn in range(arguments.turns):
        for mode, options in MODES.items():
            steps = StepSeconds(arguments.steps)
            lists = {"backbone": arguments.backbone, "batch_size": 4, "list_size": 8, "epochs": 1}
            CrossEncoder(**lists, **options).fit(data, callbacks=[steps], verbose=0)
            seconds[mode].append(steps.medians())
            progress(f"turn {turn}, {mode}: {seconds[mode][-1][0]:.2f} s a step")
    medians = {mode: np.median(turns, axis=0) for mode, turns in seconds.items()}
    result: dict[str, Any] = {"benchmark": "cross_encoder_training", "backbone": arguments.backbone}
    for mode, (wall, cpu) in medians.items():
        ratios = {"ratio": medians["full"][0] / wall, "cpu_ratio": medians["full"][1] / cpu}
        result[mode] = {"steps_per_second": round(1 / wall, 3)} | {
            name: round(ratio, 2) for name, ratio in ratios.items()
        }
    report(result, "cross_encoder_training" if arguments.record else None)


if __name__ == "__main__":
    main()
