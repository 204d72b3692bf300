"""A client for TF Serving and for the embedded model server: string ids in, items with titles out."""

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from tfllmrec.errors import InputError
from tfllmrec.questions import RankQuestions, questions, rank_questions
from tfllmrec.serving.connection import Connection
from tfllmrec.serving.status import invalid


class RecommendedItem(NamedTuple):
    """One place of an answer, best first.

    Attributes:
        item_id: the item.
        title: its title; the id where it has none.
        score: comparable within one answer.
    """

    item_id: str
    title: str
    score: float


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
        if user_features is not None and scenarios is not None:
            raise InputError("recommend: no model reads both user_features and scenarios; leave one of them out")
        asked = questions(users, histories, exclude, user_features, scenarios)
        inputs = {
            "user_id": np.array(asked.users, object),
            "history": _rows_of_ids(asked.histories),
            "exclude_item_ids": _rows_of_ids(asked.excluded),
        }
        if scenarios is not None:
            return self._items("recommend", k, timeout, inputs | {"scenario": np.array(asked.scenarios, object)})
        if user_features is None:
            return self._items("retrieve", k, timeout, inputs)
        told = {"user_features": _rows_of_ids(asked.features)}
        return self._items("retrieve_with_features", k, timeout, inputs | told)

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
        asked = questions(None, histories, exclude)
        inputs = {"history": _rows_of_ids(asked.histories), "exclude_item_ids": _rows_of_ids(asked.excluded)}
        return self._items("next_items", k, timeout, inputs)

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
        asked = questions(items, None, exclude)
        return self._items(
            "similar_items",
            k,
            timeout,
            {"item_id": np.array(asked.users, object), "exclude_item_ids": _rows_of_ids(asked.excluded)},
        )

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
        asked = rank_questions(candidates, users, histories, scenarios)
        inputs = {
            "user_id": np.array(asked.users, object),
            "history": _rows_of_ids(asked.histories),
            "candidate_item_ids": _rows_of_ids(asked.candidates),
        }
        if scenarios is not None:
            inputs["scenario"] = np.array(asked.scenarios, object)
        return self._scores("rank", asked, timeout, inputs)

    def rank_texts(
        self,
        candidates: Sequence[Sequence[str]],
        histories: Sequence[Sequence[str]],
        *,
        timeout: float | None = None,
    ) -> list[list[float]]:
        """The same of raw texts, for models that have `rank_texts`; a search query may be a history's last text."""
        asked = rank_questions(candidates, histories=histories)
        texts = {
            "history_texts": _rows_of_ids(asked.histories),
            "candidate_texts": _rows_of_ids(asked.candidates),
        }
        return self._scores("rank_texts", asked, timeout, texts)

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
        asked = questions(users, histories, None, scenarios=scenarios, texts=texts, call="interests")
        inputs = {"user_id": np.array(asked.users, object), "history": _rows_of_ids(asked.histories)}
        if scenarios is not None:
            inputs["scenario"] = np.array(asked.scenarios, object)
        signature = "interests"
        if texts is not None:
            signature, inputs["texts"] = "interests_with_texts", _rows_of_ids(asked.texts)
        answer = self._answer(signature, timeout, inputs)
        rows = zip(answer["labels"].tolist(), answer["scores"].tolist(), strict=True)
        return [list(zip(labels, scores, strict=True)) for labels, scores in rows]

    def _answer(self, signature: str, timeout: float | None, inputs: dict[str, Any]) -> dict[str, np.ndarray]:
        """What a model answers, where it knows the scenarios."""
        answer = self.predict(signature, timeout, **inputs)
        known = answer.get("scenario_known")
        if known is not None and not known.all():
            wrong = inputs["scenario"][int(np.argmin(known))]
            raise InputError(f"{signature}: {self.model} knows no scenario {wrong!r}; its model card names them")
        return answer

    def _scores(
        self, signature: str, asked: RankQuestions, timeout: float | None, inputs: dict[str, Any]
    ) -> list[list[float]]:
        """Without the column that stands first, and without the padding."""
        rows = self._answer(signature, timeout, inputs)["scores"][:, 1:].tolist()
        return [row[: len(given)] for row, given in zip(rows, asked.candidates, strict=True)]

    def _items(
        self, signature: str, k: int, timeout: float | None, inputs: dict[str, Any]
    ) -> list[list[RecommendedItem]]:
        if k < 1:
            raise InputError(f"{signature}: k is {k}, and must be at least 1")
        answer = self._answer(signature, timeout, inputs)
        there = answer["item_ids"].shape[1]
        if k > there:
            raise invalid(
                f"{signature}: k is {k}, and {self.model} was exported with {there} places: export it with more"
            )
        columns = (answer[name][:, :k].tolist() for name in ("item_ids", "titles", "scores"))
        return [
            [RecommendedItem(*place) for place in zip(*row, strict=True) if place[0]]
            for row in zip(*columns, strict=True)
        ]


def _rows_of_ids(rows: Sequence[Sequence[str]]) -> np.ndarray:
    """Rows of one width, each with "" first: a server that pads them again repeats that, which is nothing."""
    ids = np.full((len(rows), 1 + max(map(len, rows), default=0)), "", object)
    for row, given in zip(ids, rows, strict=True):
        row[1 : 1 + len(given)] = given
    return ids
