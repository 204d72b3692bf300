"""Client for TF Serving and for the embedded model server: string ids in, items with titles out."""

from collections.abc import Iterable, Mapping
from typing import Any, Self

import grpc
import numpy as np

from tfllmrec_client.connection import Connection
from tfllmrec_client.results import CandidateScores, ItemEmbeddings, QueryEmbeddings, ScoredItems, ScoredLabels
from tfllmrec_client.rpc import Result, Rpc


class Client(Connection):
    """Client for one model of a model server, over gRPC. Threads may share it.

    Results are lists with one entry per row of the request, and have `columns()`, a dict of lists, for example for
    `pandas.DataFrame(client.recommend(["42"]).columns())`. Arguments with one entry per row, and their rows, are any
    iterables of strings, read once: lists, generators, arrays, columns of tables. Every call raises an InputError if
    its arguments are invalid, and a RequestError if the server refuses the request, cannot be reached, or exceeds the
    timeout.

    Args:
        server: "host:port" of the gRPC interface, or several, which share the requests; those that cannot be reached
            are passed over.
        model: the model's name on the server.
        version: a version number; None for the newest version.
        label: a version label such as "stable", instead of a version.
        timeout: seconds until a request fails. Within them, one that fails with UNAVAILABLE is sent up to three times
            more.
        credentials: for TLS, from `grpc.ssl_channel_credentials`; None for no encryption.

    Raises:
        InputError: If there are both a version and a label, there is no server, or the name of one among several
            cannot be resolved.

    Example:
        >>> with Client("localhost:8500", "films") as client:
        ...     client.recommend(users=["42"], k=2)
        [[ScoredItem(item_id='260', title='Star Wars (1977)', score=7.1), ...]]
    """

    _transport = grpc

    def recommend(
        self,
        users: Iterable[str] | None = None,
        histories: Iterable[Iterable[str]] | None = None,
        k: int = 10,
        *,
        exclude: Iterable[Iterable[str]] | None = None,
        user_features: Iterable[Iterable[str]] | None = None,
        scenarios: Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> ScoredItems:
        """Recommend the k best items for users, for histories, or for both row by row.

        A row with a history is served from that history, a known user without one from the stored history, and any
        other row from popularity. Unknown ids and "" are ignored. Items of the history are not returned.

        Args:
            users: user ids.
            histories: item ids, oldest first, one sequence per row.
            k: items per row; fewer are returned if fewer are left.
            exclude: ids of items that are not returned, one sequence per row.
            user_features: features such as "gender=F", instead of the stored ones, one sequence per row; for models
                with the signature `retrieve_with_features`.
            scenarios: one scenario per row, for models that read scenarios.
            timeout: seconds, instead of the client's.

        Returns:
            The items of every row, best first. `columns()` has row, user_id, rank, item_id, title and score.

        Raises:
            InputError: If users, histories and features are all omitted, the numbers of rows differ, k is below 1, a
                string takes the place of a list, the model does not know a scenario, or there are both features and
                scenarios.
            RequestError: If k is more than the export returns, or the request fails.
        """
        rpc = self._requests.recommend(users, histories, k, exclude, user_features, scenarios)
        return self._call(rpc, timeout)

    def next_items(
        self,
        histories: Iterable[Iterable[str]],
        k: int = 10,
        *,
        exclude: Iterable[Iterable[str]] | None = None,
        timeout: float | None = None,
    ) -> ScoredItems:
        """Recommend the k best items to follow each history, and popular items after an empty one.

        For models with the signature `next_items`.

        Args:
            histories: item ids, oldest first, one sequence per row.
            k: items per row; fewer are returned if fewer are left.
            exclude: ids of items that are not returned, one sequence per row.
            timeout: seconds, instead of the client's.

        Returns:
            The items of every row, best first. `columns()` has row, rank, item_id, title and score.
        """
        return self._call(self._requests.next_items(histories, k, exclude), timeout)

    def similar_items(
        self,
        items: Iterable[str],
        k: int = 10,
        *,
        exclude: Iterable[Iterable[str]] | None = None,
        timeout: float | None = None,
    ) -> ScoredItems:
        """Return the k items with the highest cosine similarity to each item, and none for an unknown item.

        For models with the signature `similar_items`.

        Args:
            items: item ids.
            k: items per row; fewer are returned if fewer are left.
            exclude: ids of items that are not returned, one sequence per row.
            timeout: seconds, instead of the client's.

        Returns:
            The items of every row, most similar first. `columns()` has row, query_item_id, rank, item_id, title and
            score.
        """
        return self._call(self._requests.similar_items(items, k, exclude), timeout)

    def rank(
        self,
        candidates: Iterable[Iterable[str]],
        users: Iterable[str] | None = None,
        histories: Iterable[Iterable[str]] | None = None,
        *,
        scenarios: Iterable[str] | None = None,
        timeout: float | None = None,
    ) -> CandidateScores:
        """Score candidates for users, for histories, or for both row by row.

        For models with the signature `rank`. Histories are read as in `recommend`. "", unknown candidates and those
        outside the scenario have the lowest float32 as their score.

        Args:
            candidates: item ids, one sequence per row.
            users: user ids.
            histories: item ids, oldest first, one sequence per row.
            scenarios: one scenario per row, for models that read scenarios.
            timeout: seconds, instead of the client's.

        Returns:
            The scores of every row, in the order of its candidates; only their order is meaningful. `columns()` has
            row, user_id, rank, item_id and score.
        """
        return self._call(self._requests.rank(candidates, users, histories, scenarios), timeout)

    def rank_texts(
        self,
        candidates: Iterable[Iterable[str]],
        histories: Iterable[Iterable[str]],
        *,
        timeout: float | None = None,
    ) -> CandidateScores:
        """Score raw texts after histories of raw texts, for models with the signature `rank_texts`.

        Args:
            candidates: texts, one sequence per row. Blank ones have the lowest float32 as their score.
            histories: texts, oldest first, one sequence per row; a search query may be the last one.
            timeout: seconds, instead of the client's.

        Returns:
            The scores of every row, in the order of its candidates; only their order is meaningful. `columns()` has
            row, rank, text and score.
        """
        return self._call(self._requests.rank_texts(candidates, histories), timeout)

    def interests(
        self,
        users: Iterable[str] | None = None,
        histories: Iterable[Iterable[str]] | None = None,
        *,
        scenarios: Iterable[str] | None = None,
        texts: Iterable[Iterable[str]] | None = None,
        timeout: float | None = None,
    ) -> ScoredLabels:
        """Predict what users are interested in, as labels with probabilities.

        For models with the signature `interests`.

        Args:
            users: user ids.
            histories: item ids, oldest first, one sequence per row.
            scenarios: one scenario per row, for models that read scenarios.
            texts: texts that users wrote, instead of the stored ones, one sequence per row; for models with the
                signature `interests_with_texts`.
            timeout: seconds, instead of the client's.

        Returns:
            The labels of every row, the most probable first. `columns()` has row, user_id, rank, label and score.
        """
        return self._call(self._requests.interests(users, histories, scenarios, texts), timeout)

    def embed_queries(
        self,
        users: Iterable[str] | None = None,
        histories: Iterable[Iterable[str]] | None = None,
        *,
        timeout: float | None = None,
    ) -> QueryEmbeddings:
        """Compute the query vectors of users, of histories, or of both row by row.

        For models with the signature `embed_query`. Histories are read as in `recommend`. The score of an item is
        the dot product of query and item vector, plus the item's bias for models that have biases.

        Args:
            users: user ids.
            histories: item ids, oldest first, one sequence per row.
            timeout: seconds, instead of the client's.

        Returns:
            User ids and vectors, float32 [B, D].
        """
        return self._call(self._requests.embed_queries(users, histories), timeout)

    def embed_items(self, items: Iterable[str], *, timeout: float | None = None) -> ItemEmbeddings:
        """Look up the vectors of items, for models with the signature `embed_items`.

        Args:
            items: item ids.
            timeout: seconds, instead of the client's.

        Returns:
            Item ids, vectors float32 [B, D], zeros for unknown items, and biases float32 [B] for models that have them.
        """
        return self._call(self._requests.embed_items(items), timeout)

    def predict(
        self, signature: str, inputs: Mapping[str, Any], *, timeout: float | None = None
    ) -> dict[str, np.ndarray]:
        """Call any signature of the model.

        Lists of strings, int and float are sent as string, int32 and float32, which are the dtypes that signatures
        take; arrays keep their dtype. A list without elements is sent as strings.

        Rows of strings that differ in length, or are all empty, are padded with "", and every row gets an additional ""
        first; an output with one column per input column, such as the scores of `rank`, then has one for it. Other rows
        are sent unchanged. A server that batches pads them with their first element, so start them with "" if their
        length varies between requests.

        Args:
            signature: the name of the signature.
            inputs: (nested) lists or other iterables, numbers, strings or numpy arrays by input name.
            timeout: seconds, instead of the client's.

        Returns:
            The outputs by name; strings are object arrays of `str`.

        Raises:
            InputError: If an input has rows of different lengths that are not strings, a number beyond the range of its
                dtype, mixed types, or a type that cannot be sent.
            RequestError: If the request fails.

        Example:
            >>> client.predict("embed_items", {"item_ids": ["260", "1196"]})["embeddings"].shape
            (2, 64)
        """
        return self._call(self._requests.predict(signature, inputs), timeout)

    def status(self, timeout: float | None = None) -> dict[int, str]:
        """Return the state of every version of the model: AVAILABLE, LOADING, END and others."""
        return self._call(self._requests.status(), timeout)

    def close(self) -> None:
        """Close the connection."""
        self._channel.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def _call(self, rpc: Rpc[Result], timeout: float | None) -> Result:
        try:
            return rpc.parse(self._send(rpc, timeout))
        except grpc.RpcError as error:
            raise self._request_error(error, timeout) from error
