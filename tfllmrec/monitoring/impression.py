"""Record of the recommendation log."""

import base64
from typing import Self

from pydantic import BaseModel, ConfigDict, model_validator


class Impression(BaseModel):
    """Served list of recommended items: one line of the recommendation log.

    Attributes:
        time: Unix time in seconds.
        model: model name.
        version: version that served the list.
        label: requested version label; "" for a request without a label.
        signature: signature that served the list.
        user: pseudonym of the user, see `tfllmrec.data.pseudonymisation.pseudonyms`; "" for a request without a user.
        item_ids: items, best first.
        scores: one score per item; empty if the request did not ask for scores.
    """

    model_config = ConfigDict(strict=True, frozen=True, extra="forbid", allow_inf_nan=False)

    time: float
    model: str
    version: int
    label: str
    signature: str
    user: str
    item_ids: list[str]
    scores: list[float]

    @model_validator(mode="after")
    def _has_a_score_per_item(self) -> Self:
        if self.scores and len(self.scores) != len(self.item_ids):
            raise ValueError(f"{len(self.item_ids)} items have {len(self.scores)} scores")
        return self


def sampling_position(pseudonym: str) -> float:
    """Return the position of a pseudonym in [0, 1). A sample contains the positions below its rate.

    Example:
        >>> sampling_position("tqhybpldhke3urnjxrqxfaumswtqnfzo")
        0.6096115553255004
    """
    return int.from_bytes(base64.b32decode(pseudonym[:8].upper())) / 2**40
