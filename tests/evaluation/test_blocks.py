"""Blocks of rows cover all rows, and stay below a limit."""

from hypothesis import given
from hypothesis import strategies as st

from tfllmrec.evaluation.blocks import block_size, ragged_blocks, row_blocks


@given(widths=st.lists(st.integers(0, 9), max_size=30), cells=st.integers(1, 30), most=st.integers(1, 6))
def test_ragged_blocks(widths: list[int], cells: int, most: int) -> None:
    blocks = list(ragged_blocks(iter(widths), cells=cells, most=most))
    assert [row for block in blocks for row in range(block.start, block.stop)] == list(range(len(widths)))
    assert len(blocks) == 1 or all(block.stop > block.start for block in blocks)
    sizes = [(block.stop - block.start, max(widths[block], default=0)) for block in blocks]
    assert all(rows <= most and (rows <= 1 or rows * widest <= cells) for rows, widest in sizes)
    for (rows, widest), following in zip(sizes, blocks[1:], strict=False):  # no block could take another row
        widest = max(widest, widths[following.start])
        assert rows == most or (rows + 1) * widest > cells


def test_blocks_of_equal_rows() -> None:
    assert [block_size(columns, most=10, cells=30) for columns in (0, 3, 4, 99)] == [10, 10, 7, 1]
    assert row_blocks(5, 2) == [slice(0, 2), slice(2, 4), slice(4, 5)]
    assert row_blocks(0, 2) == [slice(0, 0)]
