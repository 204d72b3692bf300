"""Interactions of the users in a recommendation log, under their pseudonyms."""

import pandas as pd

from tfllmrec.data.pseudonymisation import pseudonyms
from tfllmrec.errors import InputError

DAY = 86_400.0
"""Seconds."""


def logged_users_interactions(interactions: pd.DataFrame, impressions: pd.DataFrame, key: bytes) -> pd.DataFrame:
    """Return the interactions of users who have impressions.

    Args:
        interactions: columns user_id, item_id and timestamp (Unix seconds).
        impressions: `Impressions.table`.
        key: pseudonym key of the log.

    Returns:
        The columns user (a pseudonym), item_id and timestamp.

    Raises:
        InputError: If the log has known users and none of them has an interaction.
    """
    user_ids = interactions["user_id"].unique()
    pseudonym_of = dict(zip(user_ids, pseudonyms(user_ids, key), strict=True))
    table = pd.DataFrame(
        {
            "user": interactions["user_id"].map(pseudonym_of).astype(str),
            "item_id": interactions["item_id"],
            "timestamp": interactions["timestamp"].astype(float),
        }
    )
    logged_users = set(impressions["user"]) - {""}
    table = table[table["user"].isin(logged_users)]
    if logged_users and table.empty:
        raise InputError(
            f"monitor: none of the {len(user_ids):,} users in the interactions is among the {len(logged_users):,} users"
            " in the recommendation log; use the server's key file and the user ids that were sent to the server"
        )
    return table


def require_overlap(interactions: pd.DataFrame, impressions: pd.DataFrame, window: float) -> None:
    """Raise an InputError if no interaction falls between the first impression and the end of the last window."""
    first, last = impressions["time"].min(), impressions["time"].max()
    if len(interactions) and not interactions["timestamp"].between(first, last + window).any():
        raise InputError(
            f"monitor: no interaction falls within {window / DAY:g} days after an impression: impressions are from "
            f"{_day(first)} to {_day(last)}, interactions (timestamps read as Unix seconds) from "
            f"{_day(interactions['timestamp'].min())} to {_day(interactions['timestamp'].max())}"
        )


def _day(seconds: float) -> str:
    try:
        return str(pd.Timestamp(seconds, unit="s").date())
    except (ValueError, OverflowError):  # out of range, for example milliseconds
        return f"{seconds:g}"
