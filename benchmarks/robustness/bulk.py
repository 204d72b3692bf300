"""Peak memory and rate of `tfllmrec recommend --all`, beside the bare matrix product and top-k.

    python -m benchmarks.robustness.bulk [--users 100000] [--items 50000]

A two-tower is fitted for one epoch on generated interactions, ten a user, and saved as a run. The command recommends
ten items to every user in a process of its own. The bare computation in this process, once before and once after it,
multiplies as many random vectors of the same width with the matrix of items and selects the ten highest, for 512 users
at a time and without ids, histories or files.

Prints one JSON line: users per second of the command, which include its start and loading the run, and of the bare
computation, by wall-clock and by CPU time, which depends little on other work on the machine; and the command's peak
resident memory in GiB. Target: less than 2 GiB. It takes two minutes.
"""

import tempfile
import time
from pathlib import Path

import numpy as np
import pandas as pd
import pyarrow.parquet as pq
import tensorflow as tf

from benchmarks.common import Seconds, benchmark_parser, progress, report
from benchmarks.robustness.commands import run_command
from tfllmrec import TwoTower
from tfllmrec.data import Dataset
from tfllmrec.training.runs import Run, Source

DIM, K, HISTORY, BLOCK = 64, 10, 10, 512


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--users", type=int, default=100_000, help="number of users")
    parser.add_argument("--items", type=int, default=50_000, help="number of items")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        run, out = Path(folder) / "run", Path(folder) / "lists"
        Run(fitted(options.users, options.items), Source("generated")).save(run)
        bare = [bare_seconds(options.users, options.items)]
        usage = run_command("recommend", run, "--all", "--out", out, "-k", str(K))
        if usage.status or pq.read_table(out).num_rows != options.users:
            raise RuntimeError("recommend --all did not write a row for each user")
        bare.append(bare_seconds(options.users, options.items))
    mean = Seconds(*np.mean(bare, axis=0).tolist())
    result = {
        "benchmark": "bulk",
        "users": options.users,
        "items": options.items,
        "peak_gib": round(usage.peak_gib, 2),
        "users_per_second": rates(options.users, usage.seconds),
        "bare_users_per_second": rates(options.users, mean),
    }
    report(result, "bulk" if options.record else None)


def fitted(users: int, items: int) -> TwoTower:
    """Return a two-tower fitted on interactions in which all items occur."""
    random = np.random.default_rng(0)
    rows = users * HISTORY
    chosen = np.append(np.arange(items), (items * random.random(rows - items) ** 3).astype(int))
    data = Dataset.from_frames(
        pd.DataFrame(
            {
                "user_id": np.repeat([f"user-{user:08}" for user in range(users)], HISTORY),
                "item_id": np.array([f"item-{item:08}" for item in range(items)])[random.permutation(chosen)],
                "timestamp": np.arange(rows),
            }
        )
    )
    progress(f"fitting on {data.summary()}")
    return TwoTower(dim=DIM, epochs=1).fit(data, verbose=0)


def rates(users: int, seconds: Seconds) -> dict[str, int]:
    """Return users per second."""
    return {name: round(users / value) for name, value in seconds._asdict().items()}


def bare_seconds(users: int, items: int) -> Seconds:
    """Return the duration of the matrix product with top-k."""
    random = np.random.default_rng(1)
    queries = random.normal(size=(users, DIM)).astype(np.float32)
    table = tf.constant(random.normal(size=(items + 1, DIM)).astype(np.float32))

    @tf.function(input_signature=[tf.TensorSpec([None, DIM], tf.float32)])
    def best(block: tf.Tensor) -> tuple[tf.Tensor, tf.Tensor]:
        return tf.math.top_k(tf.matmul(block, table, transpose_b=True), K)

    best(queries[:BLOCK])  # traces
    wall, cpu = time.perf_counter(), time.process_time()
    for start in range(0, users, BLOCK):
        best(queries[start : start + BLOCK])[1].numpy()
    seconds = Seconds(time.perf_counter() - wall, time.process_time() - cpu)
    progress(f"bare: {rates(users, seconds)} users per second")
    return seconds


if __name__ == "__main__":
    main()
