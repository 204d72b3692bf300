"""Python blocks of Markdown pages, and the tables that they read."""

import re
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

ROOT = Path(__file__).parents[2]

_BLOCK = re.compile(
    r"<!-- test: setup\n(?P<setup>.*?)-->|<!-- test: skip \((?P<reason>[^)]+)\) -->\s*```python\n.*?^```$"
    r"|^```python\n(?P<shown>.*?)^```$",
    re.DOTALL | re.MULTILINE,
)


@dataclass(frozen=True)
class Block:
    """Python code of a page.

    Attributes:
        page: the path of the page.
        line: the number of its first line.
        code: the code.
    """

    page: Path
    line: int
    code: str

    def run(self, namespace: dict[str, object]) -> None:
        """Execute the code, with the page's line numbers in tracebacks."""
        exec(compile("\n" * (self.line - 1) + self.code, str(self.page), "exec"), namespace)


def python_blocks(page: Path) -> list[Block]:
    """Return the blocks to run: hidden set-up, and shown code that no `<!-- test: skip (reason) -->` precedes."""
    text = page.read_text(encoding="utf-8")
    blocks = []
    for match in _BLOCK.finditer(text):
        group = next((name for name in ("setup", "shown") if match[name] is not None), None)
        if group:
            blocks.append(Block(page, text.count("\n", 0, match.start(group)) + 1, match[group]))
    return blocks


_ITEMS = ["1", "2", "260", "589", "1196", *(str(number) for number in range(2000, 2019))]
_USERS = ["42", "7", *(str(number) for number in range(100, 122))]
_GENRES = ("Drama", "Comedy", "Drama|Crime", "Comedy|Romance")


def write_tables(folder: str, *, scenarios: bool = False) -> None:
    """Write a small data set as CSV files: 24 users, 24 items, 10 interactions per user.

    Args:
        folder: a new folder.
        scenarios: whether interactions name one of the scenarios films and books.
    """
    random = np.random.default_rng(0)
    rows = [
        (user, _ITEMS[item], 1_600_000_000 + 60 * (100 * number + step), random.integers(1, 6))
        for number, user in enumerate(_USERS)
        for step, item in enumerate(random.permutation(len(_ITEMS))[:10])
    ]
    interactions = pd.DataFrame(rows, columns=["user_id", "item_id", "timestamp", "rating"])
    if scenarios:
        interactions["scenario"] = np.where(interactions["item_id"].astype(int) % 2, "films", "books")
    genres = [_GENRES[number % len(_GENRES)] for number in range(len(_ITEMS))]
    items = pd.DataFrame({"item_id": _ITEMS, "title": [f"Film {item}" for item in _ITEMS], "categories": genres})
    number = np.arange(len(_USERS))
    users = pd.DataFrame(
        {"user_id": _USERS, "gender": np.where(number % 2, "F", "M"), "age": np.where(number % 3, 25, 35)}
    )
    Path(folder).mkdir()
    for name, table in {"interactions": interactions, "items": items, "users": users}.items():
        table.to_csv(Path(folder) / f"{name}.csv", index=False)
