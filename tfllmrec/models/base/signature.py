"""Declarations of the signatures of an exported model: numeric cores, and the kinds of their inputs and outputs.

A family declares numeric cores. `tfllmrec.export` binds each kind of input and output to strings, look-ups, widths,
warm-up requests and the model card.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from enum import StrEnum

import tensorflow as tf

from tfllmrec.data.vocabulary import Vocabulary

Outputs = dict[str, tf.Tensor]


class InputKind(StrEnum):
    """Kinds of inputs, by the name that a core's argument has."""

    USER = "user"
    """User indices, int32 [B]."""
    HISTORY = "history"
    """Item indices, int32 [B, L], oldest first, zeros on the right."""
    EXCLUDED = "exclude"
    """Item indices that must not be returned, int32 [B, any]."""
    CANDIDATES = "candidates"
    """Item indices to score, int32 [B, N]."""
    ITEM = "item"
    """Item indices, int32 [B]."""
    FEATURES = "user_features"
    """Feature indices of users, int32 [B, F]."""
    SCENARIO = "scenario"
    """Scenario indices, int32 [B]."""
    TEXTS = "texts"
    """Strings [B, any], passed to the core as they are, or through the input's encoder."""


class OutputKind(StrEnum):
    """Kinds of outputs."""

    ITEMS = "items"
    """Item indices int32 [B, K]; served as the ids and titles of the items."""
    LABELS = "labels"
    """Label indices int32 [B, G]; served as strings."""
    SCORES = "scores"
    """Scores float32 [B, any]; one per candidate where the signature has candidates."""
    VECTORS = "vectors"
    """Vectors float32 [B, D], or one number per row, float32 [B]."""
    FLAGS = "flags"
    """Booleans [B]."""


@dataclass(frozen=True)
class Input:
    """An input of a core.

    Attributes:
        kind: the kind of the input.
        name: the name of the served input; by default the standard name of the kind. Texts also reach the core by it.
        encoder: for texts, maps (strings [B, any] or None, user indices int32 [B]) to the numbers that the core reads.
    """

    kind: InputKind
    name: str = ""
    encoder: Callable[[tf.Tensor | None, tf.Tensor], tf.Tensor] | None = None

    @property
    def argument(self) -> str:
        """The name of the core's argument."""
        return self.name if self.name and self.kind == InputKind.TEXTS else str(self.kind)


USER, HISTORY, EXCLUDED = Input(InputKind.USER), Input(InputKind.HISTORY), Input(InputKind.EXCLUDED)
CANDIDATES, ITEM = Input(InputKind.CANDIDATES), Input(InputKind.ITEM)
FEATURES, SCENARIO = Input(InputKind.FEATURES), Input(InputKind.SCENARIO)


@dataclass(frozen=True, eq=False)
class Core:
    """A function of tensors that one or several signatures call.

    Attributes:
        name: the alias of the function in the SavedModel.
        call: maps the inputs by argument name to outputs by name, with the batch on the first axis of all tensors.
        inputs: all that `call` reads. A signature that leaves some out passes neutral values.
        history_length: items of a history that `call` reads, L.
        compiled: whether XLA compiles it for GPUs and TPUs.
    """

    name: str
    call: Callable[[dict[str, tf.Tensor]], Outputs]
    inputs: tuple[Input, ...]
    history_length: int = 0
    compiled: bool = True


@dataclass(frozen=True, eq=False)
class Signature:
    """A signature of an exported model.

    Attributes:
        name: the name of the signature.
        core: computes the outputs.
        outputs: the kind of every output that `core` returns, by name.
        meaning: a sentence for the model card.
        inputs: the inputs of a request; None takes all of the core's.
        labels: the labels that an output of that kind indexes.
        aliases: further names of the same signature.
        with_ids: whether the export has the core alone as well, as `<name>_ids`.
    """

    name: str
    core: Core
    outputs: Mapping[str, OutputKind]
    meaning: str
    inputs: tuple[Input, ...] | None = None
    labels: Vocabulary | None = None
    aliases: tuple[str, ...] = ()
    with_ids: bool = False

    @property
    def request(self) -> tuple[Input, ...]:
        """The inputs of a request."""
        return self.core.inputs if self.inputs is None else self.inputs
