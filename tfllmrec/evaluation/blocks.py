"""Blocks of rows that are scored at a time, so that memory does not grow with the product of rows and items."""

MOST_CELLS = 2**26
"""Scores of a block: 256 MB."""


def block_size(columns: int, *, most: int = 512, cells: int | None = None) -> int:
    """Return the number of rows to score at a time, at least 1.

    Args:
        columns: scores of a row.
        most: the most rows.
        cells: the most scores of a block; `MOST_CELLS` by default.
    """
    return max(1, min(most, (cells or MOST_CELLS) // max(1, columns)))


def row_blocks(rows: int, size: int) -> list[slice]:
    """Return blocks of at most `size` rows; a single empty block if there are no rows."""
    return [slice(start, min(start + size, rows)) for start in range(0, max(rows, 1), size)]
