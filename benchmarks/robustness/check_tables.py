"""Peak memory and duration of `tfllmrec check` on ten million generated interactions.

    python -m benchmarks.robustness.check_tables [--rows 10000000]

Long-tailed interactions of a million users with 200,000 items, and an items table. They are checked as Parquet with
Unix seconds and as CSV with texts such as "31/12/2020 23:59:59", each in a process of its own.

Prints one JSON line: for both formats, seconds, peak resident memory in GiB, and the counts of the findings by name.
Target: less than a minute and 2 GiB. It takes two minutes.
"""

import json
import tempfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.csv as csv
import pyarrow.parquet as pq

from benchmarks.common import benchmark_parser, progress, report
from benchmarks.robustness.commands import run_command

USERS, ITEMS, CHUNK = 1_000_000, 200_000, 1_000_000
FIRST, LAST = 1_600_000_000, 1_700_000_000
DATE_TEXT = "%d/%m/%Y %H:%M:%S"


def main() -> None:
    parser = benchmark_parser(__doc__)
    parser.add_argument("--rows", type=int, default=10_000_000, help="number of interactions")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        formats = {name: measure(Path(folder) / name, options.rows) for name in ("parquet", "csv")}
    result = {"benchmark": "check_tables", "rows": options.rows, "users": USERS, "items": ITEMS, "formats": formats}
    report(result, "check_tables" if options.record else None)


def measure(folder: Path, rows: int) -> dict[str, object]:
    """Write the tables in the format of the folder's name, and check them."""
    folder.mkdir()
    items = ids("item", ITEMS)
    pq.write_table(pa.table({"item_id": items, "title": items}), folder / "items.parquet")
    tables = interactions(rows, items, as_text=folder.name == "csv")
    first = next(tables)
    path = folder / f"interactions.{folder.name}"
    writer = csv.CSVWriter(path, first.schema) if folder.name == "csv" else pq.ParquetWriter(path, first.schema)
    with writer:
        writer.write_table(first)
        for table in tables:
            writer.write_table(table)
    progress(f"wrote {path.stat().st_size / 2**20:.0f} MiB of {folder.name}")
    usage = run_command("check", folder, "--json")
    findings = {finding["name"]: finding["count"] for finding in json.loads(usage.stdout)["findings"]}
    return {"seconds": round(usage.seconds.wall, 1), "peak_gib": round(usage.peak_gib, 2), "findings": findings}


def interactions(rows: int, items: pa.Array, *, as_text: bool) -> Iterator[pa.Table]:
    """Yield interactions in chunks; few users and items have most of them."""
    random, users = np.random.default_rng(0), ids("user", USERS)
    for start in range(0, rows, CHUNK):
        size = min(CHUNK, rows - start)
        times = pa.array(random.integers(FIRST, LAST, size)).cast(pa.timestamp("s"))
        yield pa.table(
            {
                "user_id": users.take(pa.array((USERS * random.random(size) ** 2).astype(int))),
                "item_id": items.take(pa.array((ITEMS * random.random(size) ** 3).astype(int))),
                "timestamp": pc.strftime(times, DATE_TEXT) if as_text else times.cast(pa.int64()),
            }
        )


def ids(name: str, count: int) -> pa.Array:
    return pa.array([f"{name}-{number:08}" for number in range(count)])


if __name__ == "__main__":
    main()
