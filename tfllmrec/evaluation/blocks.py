"""Blocks of rows that are scored at a time, so that memory does not grow with the product of rows and items."""

from collections.abc import Iterable, Iterator

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


def ragged_blocks(widths: Iterable[int], *, cells: int, most: int = 512) -> Iterator[slice]:
    """Yield blocks of rows of different widths, so that a wide row does not make all blocks small.

    Args:
        widths: the width of every row.
        cells: the most cells of a block that is padded to its widest row; a block of one row may have more.
        most: the most rows of a block.

    Yields:
        Blocks; a single empty block if there are no rows.

    Example:
        >>> list(ragged_blocks([2, 2, 9, 1], cells=8))
        [slice(0, 2, None), slice(2, 3, None), slice(3, 4, None)]
    """
    start, stop, widest = 0, 0, 0
    for stop, width in enumerate(widths, 1):
        widest = max(widest, width)
        if stop - start > 1 and (stop - start > most or (stop - start) * widest > cells):
            yield slice(start, stop - 1)
            start, widest = stop - 1, width
    yield slice(start, stop)
