"""Id order: the indices of ids, which data sets of growing tables and fitted models share."""

from collections.abc import Iterable
from dataclasses import dataclass

from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.errors import InputError


@dataclass(frozen=True)
class IdOrder:
    """Order of item, user and scenario ids, which is only appended to.

    A data set sorts its ids, so that one new id changes the indices of all later ones. A data set that is built with
    the order of an earlier one, or of a fitted model, keeps the indices of known ids and appends new ones.

    Attributes:
        items: the items.
        users: the users.
        scenarios: names of scenarios, or None.

    Example:
        >>> import pandas as pd
        >>> from tfllmrec.data import Dataset
        >>> january = pd.DataFrame({"user_id": ["u", "u"], "item_id": ["b", "c"], "timestamp": [1, 2]})
        >>> data = Dataset.from_frames(january)
        >>> february = pd.DataFrame({"user_id": ["t"], "item_id": ["a"], "timestamp": [3]})
        >>> grown = Dataset.from_frames(pd.concat([january, february]), id_order=data.id_order)
        >>> list(grown.item_vocabulary.tokens[1:])
        ['b', 'c', 'a']
    """

    items: Vocabulary
    users: Vocabulary
    scenarios: Vocabulary | None = None

    @classmethod
    def appended(
        cls, items: Iterable[str], users: Iterable[str], scenarios: Iterable[str], *, known: "IdOrder | None" = None
    ) -> "IdOrder":
        """Return the known ids in their order, then the others sorted.

        Args:
            items: item ids; they may repeat.
            users: user ids; they may repeat.
            scenarios: names of scenarios; they may repeat, and "" is ignored.
            known: the order to append to.
        """
        if known is None:
            known = cls(Vocabulary([]), Vocabulary([]))
        names = _appended(known.scenarios or Vocabulary([]), scenarios)
        return cls(_appended(known.items, items), _appended(known.users, users), names if names else None)

    def require_prefix(self, call: str, other: "IdOrder") -> None:
        """Check that the indices of another order mean the same ids in this one.

        Users of the other order may be unknown in this one.

        Args:
            call: name of the call, for the message.
            other: the order of the data that the call reads.

        Raises:
            InputError: If an index of an item, user or scenario means another id in this order, or an item or scenario
                has none.
        """
        pairs = [("items", self.items, other.items), ("users", self.users, other.users)]
        if self.scenarios is not None and other.scenarios is not None:
            pairs.append(("scenarios", self.scenarios, other.scenarios))
        for kind, known, read in pairs:
            if not (read.is_prefix_of(known) or known.is_prefix_of(read)):
                raise InputError(
                    f"{call}: the {kind} of the data are in another order than those of the model; build the data set "
                    "with id_order=model.id_order"
                )
            if kind != "users" and len(read) > len(known):
                advice = "add them with with_items" if kind == "items" else "fit on data that has them"
                raise InputError(
                    f"{call}: the data has {len(read) - len(known):,} {kind} that the model does not have; {advice}"
                )


def _appended(known: Vocabulary, ids: Iterable[str]) -> Vocabulary:
    new = set(ids).difference(known.tokens)
    return Vocabulary([*known.tokens[1:], *sorted(new)]) if new else known
