"""Generated tables of all kinds, read by the library and, independently, by PyArrow.

    python -m benchmarks.robustness.tables [--tables 2000] [--record]

Hypothesis generates tables with ids, times, categories and user features in the types, formats and containers that
people have (`benchmarks/robustness/generated_tables.py`). PyArrow, which is told the format of text, reads the same
columns. A table is right if ids, times, the order of every user's items, categories and features agree; it is refused
if the library raises an `InputError`; otherwise it is misread.

Prints one JSON line: numbers of right, refused and misread tables, in total and by type of times, type of item ids and
container. Target: none misread.
It takes two minutes.
"""

import tempfile
from collections import Counter
from pathlib import Path

import numpy as np
import pyarrow as pa
from hypothesis import HealthCheck, given, settings

from benchmarks.common import benchmark_parser, progress, report
from benchmarks.robustness.generated_tables import GeneratedTables, generated_tables, read_ids, read_seconds
from tfllmrec.data import Dataset
from tfllmrec.data.user_features import UserFeatures
from tfllmrec.errors import InputError

KINDS = ("timestamp", "item_id", "container")
OUTCOMES = ("right", "refused", "misread")
_TOLERANCE = 1e-6  # seconds, of float64


def main() -> None:
    """Run the benchmark."""
    parser = benchmark_parser(__doc__)
    parser.add_argument("--tables", type=int, default=2000, metavar="N")
    options = parser.parse_args()
    outcomes: dict[str, Counter[tuple[str, str]]] = {kind: Counter() for kind in KINDS}

    @settings(max_examples=options.tables, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
    @given(generated_tables())
    def read(tables: GeneratedTables) -> None:
        result = outcome(tables)
        for kind in KINDS:
            outcomes[kind][tables.kinds[kind], result] += 1
        if result == "misread":
            progress(f"misread: {tables.kinds}")

    read()
    by_kind = {kind: _nested(counter) for kind, counter in outcomes.items()}
    totals = {name: sum(counts.get(name, 0) for counts in by_kind["container"].values()) for name in OUTCOMES}
    result = {"benchmark": "tables", "tables": outcomes["container"].total(), **totals, **by_kind}
    report(result, "tables" if options.record else None)


def _nested(counter: Counter[tuple[str, str]]) -> dict[str, dict[str, int]]:
    counts: dict[str, dict[str, int]] = {}
    for (kind, name), count in sorted(counter.items()):
        counts.setdefault(kind, {})[name] = count
    return counts


def outcome(tables: GeneratedTables) -> str:
    """Return one of `OUTCOMES`."""
    with tempfile.TemporaryDirectory() as folder:
        try:
            data = tables.read(Path(folder))
            features = UserFeatures.from_dataset(data, ["zip", "age"], min_users=1)
        except InputError:
            return "refused"
    agrees = _same_interactions(tables, data) and _same_items(tables, data) and _same_features(tables, data, features)
    return "right" if agrees else "misread"


def _same_interactions(tables: GeneratedTables, data: Dataset) -> bool:
    columns = tables.interactions
    users, items = (read_ids(columns[name]).to_pylist() for name in ("user_id", "item_id"))
    times = read_seconds(columns["timestamp"], tables.kinds["timestamp"])
    expected = sorted(zip(users, times, items, strict=True))
    table = data.interactions
    rows = list(zip(table["user_id"], table["timestamp"], table["item_id"], strict=True))
    return [(row[0], row[2]) for row in rows] == [(row[0], row[2]) for row in expected] and np.allclose(
        [row[1] for row in rows], [row[1] for row in expected], rtol=0, atol=_TOLERANCE
    )


def _same_items(tables: GeneratedTables, data: Dataset) -> bool:
    categories = tables.items["categories"]
    if pa.types.is_list(categories.type):
        categories = pa.array(["|".join(labels) for labels in categories.to_pylist()])
    expected = dict(zip(read_ids(tables.items["item_id"]).to_pylist(), categories.to_pylist(), strict=True))
    own = dict(zip(data.items["item_id"], data.items["categories"], strict=True))
    return own == {item: expected[item] for item in own}


def _same_features(tables: GeneratedTables, data: Dataset, features: UserFeatures) -> bool:
    columns = tables.users
    ages = columns["age"].cast(pa.float64()).cast(pa.int64()).cast(pa.string())
    rows = zip(read_ids(columns["user_id"]).to_pylist(), columns["zip"].to_pylist(), ages.to_pylist(), strict=True)
    expected = {user: [f"zip={code}", f"age={age}" if age else ""] for user, code, age in rows}
    stored = features.vocabulary.ids(features.stored)
    return all(stored[row].tolist() == expected[user] for row, user in enumerate(data.user_vocabulary.tokens) if row)


if __name__ == "__main__":
    main()
