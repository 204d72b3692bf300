"""A client for TF Serving and for the embedded model server: string ids in, items with titles out."""

from collections.abc import Sequence
from typing import Any, Self

import grpc
import numpy as np

from tfllmrec_client.calls import Answer, Call
from tfllmrec_client.connection import Connection
from tfllmrec_client.responses import RecommendedItem


class Client(Connection):
    """Asks one model of a model server over gRPC; it needs no TensorFlow, and threads may share it.

    Args:
        server: "host:port" of the gRPC interface; or several that share the requests, each of which may be away.
        model: the model's name there.
        version: a version number; None asks the newest.
        label: a version label such as "stable", instead of a version.
        timeout: seconds an answer may take. Until then a request that no server took is sent again, up to three times.
        credentials: for TLS, as `grpc.ssl_channel_credentials` makes them; None for no encryption.

    Raises:
        InputError: both a version and a label, no server, or among several one whose name nobody knows.

    Example:
        >>> with Client("localhost:8500", "films") as client:
        ...     client.recommend(users=["42"], k=2)
        [[RecommendedItem(item_id='260', title='Star Wars (1977)', score=7.1), ...]]
    """

    _transport = grpc

    def recommend(
        self,
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        k: int = 10,
        *,
        exclude: Sequence[Sequence[str]] | None = None,
        user_features: Sequence[Sequence[str]] | None = None,
        scenarios: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> list[list[RecommendedItem]]:
        """The k best items for users, for histories given on the spot, or for both row by row.

        A known user without a given history is served from the stored one, anybody with a history from that, and
        a row with neither from popularity. Unknown ids and "" are nothing. Seen items do not come back.

        Args:
            users: user ids.
            histories: item ids, oldest first, one sequence a row.
            k: items a row; fewer come back where fewer are left.
            exclude: item ids that must not come back, one sequence a row.
            user_features: what is told of users, such as "gender=F", instead of what is stored, one sequence a row;
                for models that have `retrieve_with_features`.
            scenarios: where the items are to be shown, one name a row, for models that read it.
            timeout: seconds, instead of the client's.

        Raises:
            InputError: none of users, histories and features, rows that do not match, k below 1, a string for a
                sequence, a scenario that the model does not know, features and scenarios at once.
            RequestError: k is more than the export answers, or the server refuses, is not there, or is too slow.
        """
        call = self._calls.recommend(users, histories, k, exclude, user_features, scenarios)
        return self._ask(call, timeout)

    def next_items(
        self,
        histories: Sequence[Sequence[str]],
        k: int = 10,
        *,
        exclude: Sequence[Sequence[str]] | None = None,
        timeout: float | None = None,
    ) -> list[list[RecommendedItem]]:
        """The k best items to follow each history, for models that have `next_items`; popular ones after an empty one.

        Raises:
            InputError, RequestError: as `recommend`.
        """
        return self._ask(self._calls.next_items(histories, k, exclude), timeout)

    def similar_items(
        self,
        items: Sequence[str],
        k: int = 10,
        *,
        exclude: Sequence[Sequence[str]] | None = None,
        timeout: float | None = None,
    ) -> list[list[RecommendedItem]]:
        """The k items nearest to each item, for models that have `similar_items`; none for an unknown item.

        Raises:
            InputError, RequestError: as `recommend`.
        """
        return self._ask(self._calls.similar_items(items, k, exclude), timeout)

    def rank(
        self,
        candidates: Sequence[Sequence[str]],
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        *,
        scenarios: Sequence[str] | None = None,
        timeout: float | None = None,
    ) -> list[list[float]]:
        """Scores of candidates for users, for histories given on the spot, or for both row by row.

        For models that have `rank`; histories are read as in `recommend`. "", unknown candidates and those that the
        scenario does not have are told the lowest float32 there is.

        Args:
            candidates: item ids, one sequence a row.
            users: user ids.
            histories: item ids, oldest first, one sequence a row.
            scenarios: one name a row, for models that read it.
            timeout: seconds, instead of the client's.

        Returns:
            As many scores in a row as it has candidates; only their order means something.

        Raises:
            InputError, RequestError: as `recommend`.
        """
        return self._ask(self._calls.rank(candidates, users, histories, scenarios), timeout)

    def rank_texts(
        self,
        candidates: Sequence[Sequence[str]],
        histories: Sequence[Sequence[str]],
        *,
        timeout: float | None = None,
    ) -> list[list[float]]:
        """The same of raw texts, for models that have `rank_texts`; a search query may be a history's last text."""
        return self._ask(self._calls.rank_texts(candidates, histories), timeout)

    def interests(
        self,
        users: Sequence[str] | None = None,
        histories: Sequence[Sequence[str]] | None = None,
        *,
        scenarios: Sequence[str] | None = None,
        texts: Sequence[Sequence[str]] | None = None,
        timeout: float | None = None,
    ) -> list[list[tuple[str, float]]]:
        """What users are interested in, for models that have `interests`: labels and chances, the strongest first.

        Args:
            users: user ids.
            histories: item ids, oldest first, one sequence a row.
            scenarios: one name a row, for models that read it.
            texts: what users wrote, instead of what is stored, one sequence a row; asks `interests_with_texts`.
            timeout: seconds, instead of the client's.

        Raises:
            InputError, RequestError: as `recommend`.
        """
        return self._ask(self._calls.interests(users, histories, scenarios, texts), timeout)

    def predict(self, signature: str, /, timeout: float | None = None, **inputs: Any) -> dict[str, np.ndarray]:
        """The outputs of any signature by name, from arrays or nested lists; strings come back as `str`.

        Python's integers are sent as int32 and its floats as float32, which is what signatures take.

        Raises:
            RequestError: the server refuses, is not there, or is too slow.
        """
        return self._ask(self._calls.predict(signature, inputs), timeout)

    def status(self, timeout: float | None = None) -> dict[int, str]:
        """The state of every version of the model: AVAILABLE, LOADING, END and so on.

        Raises:
            RequestError: the server has no such model, is not there, or is too slow.
        """
        return self._ask(self._calls.status(), timeout)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _ask(self, call: Call[Answer], timeout: float | None) -> Answer:
        try:
            return call.read(self._send(call, timeout))
        except grpc.RpcError as error:
            raise self._refusal(error, timeout) from error
