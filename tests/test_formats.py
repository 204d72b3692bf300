"""Format numbers: what is refused, and what the sentence advises."""

import pytest

from tfllmrec.errors import InputError
from tfllmrec.formats import require_format


def test_the_known_number_passes():
    require_format("runs/films", 2, 2, "train again")


@pytest.mark.parametrize(
    ("number", "remedy"), [(1, "train again"), (3, "upgrade tfllmrec, or train again"), ("2", "train again")]
)
def test_another_number_is_refused_with_a_remedy(number, remedy):
    with pytest.raises(InputError) as error:
        require_format("runs/films", number, 2, "train again")
    expected = f"runs/films has format {number}; this version of tfllmrec reads format 2: {remedy}"
    assert str(error.value) == expected
