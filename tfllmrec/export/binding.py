"""Bind declared signatures to strings, look-ups and widths, as TensorFlow functions with named inputs."""

import inspect
from collections.abc import Callable, Mapping, Sequence
from inspect import Parameter
from typing import Any, NoReturn

import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.id_mapper import IdMapper
from tfllmrec.export.numeric_core import NumericCore
from tfllmrec.export.string_ops import Strings, known, widened
from tfllmrec.export.target import Target
from tfllmrec.layers.history import most_recent
from tfllmrec.layers.top_items import LOWEST
from tfllmrec.models.base.cores import MAX_CANDIDATES
from tfllmrec.models.base.signature import Input, InputKind, OutputKind, Outputs, Signature

EXCLUDED_BASE = 8
"""Exclusions of compiled cores are padded to a power of this number: 1, 8, 64, 512, 4096, ..."""

_NAMES = {
    InputKind.USER: "user_id",
    InputKind.HISTORY: "history",
    InputKind.EXCLUDED: "exclude_item_ids",
    InputKind.CANDIDATES: "candidate_item_ids",
    InputKind.ITEM: "item_id",
    InputKind.FEATURES: "user_features",
    InputKind.SCENARIO: "scenario",
    InputKind.TEXTS: "texts",
}
"""Standard names of served inputs, by kind."""
_SCALAR_KINDS = {InputKind.USER, InputKind.ITEM, InputKind.SCENARIO}
"""Kinds with one value per row, shape [B]; all others have shape [B, any]."""

Values = dict[str, tf.Tensor]


def served_name(input_: Input) -> str:
    """Return the name of an input in requests with ids."""
    return input_.name or _NAMES[input_.kind]


def check_kinds(signature: Signature) -> None:
    """Check the kinds of a signature.

    Raises:
        InputError: If an input or an output is of an unknown kind.
    """
    for input_ in signature.core.inputs:
        if input_.kind not in _NAMES:
            _raise_unknown_kind(signature, f"input {input_.argument}", input_.kind, ", ".join(_NAMES))
    for name, kind in signature.outputs.items():
        if kind not in {*OutputKind}:
            _raise_unknown_kind(signature, f"output {name}", kind, ", ".join(OutputKind))


def _raise_unknown_kind(signature: Signature, part: str, kind: str, available: str) -> NoReturn:
    raise InputError(
        f"export: {part} of signature {signature.name} has unknown kind {kind!r}: choose one of {available}"
    )


class BoundSignature(tf.Module):
    """Signature bound to the ids and the target of an export.

    Args:
        signature: declaration of the signature.
        core: core of the signature, for the target.
        ids: look-ups between ids and indices.
        target: target of the export; inputs of compiled cores are padded to few widths.
    """

    def __init__(self, signature: Signature, core: NumericCore, ids: IdMapper, target: Target) -> None:
        super().__init__(name=signature.name)
        check_kinds(signature)
        self._signature, self._core, self._ids, self._target = signature, core, ids, target
        self._length = signature.core.history_length
        self._labels: Any = None if signature.labels is None else Strings(signature.labels.tokens)
        parts = [signature.core.call, *(input_.encoder for input_ in signature.core.inputs)]
        self._modules = [part for part in parts if isinstance(part, tf.Module)]  # tracked for their variables

    def with_ids(self) -> Any:
        """Return the signature for strings, as a `tf.function`."""
        specs = [
            tf.TensorSpec([None] if input_.kind in _SCALAR_KINDS else [None, None], tf.string, served_name(input_))
            for input_ in self._signature.request
        ]

        def call(*strings: tf.Tensor) -> Outputs:
            request = dict(zip(self._signature.request, strings, strict=True))
            inputs = self._indices(request)
            return self._served(self._core(self._widened(inputs)), inputs)

        return _by_name(call, specs)

    def with_indices(self) -> Any:
        """Return the core as a `tf.function` of indices; stored histories are not read."""
        specs = [self._index_spec(input_) for input_ in self._signature.request]

        def call(*indices: tf.Tensor) -> Outputs:
            names = [input_.argument for input_ in self._signature.request]
            inputs = self._known(dict(zip(names, indices, strict=True)))
            inputs |= self._neutral(inputs)
            return self._filled(self._core(self._widened(inputs)), inputs)

        return _by_name(call, specs)

    def _index_spec(self, input_: Input) -> tf.TensorSpec:
        widths = {InputKind.HISTORY: self._length, InputKind.FEATURES: self._ids.feature_columns}
        shape = [None] if input_.kind in _SCALAR_KINDS else [None, widths.get(input_.kind)]
        return tf.TensorSpec(shape, tf.int32, input_.argument)

    def _indices(self, request: Mapping[Input, tf.Tensor]) -> Values:
        """Look up the strings of a request, and add the stored histories of its users."""
        ids: Any = self._ids
        by_kind = {input_.kind: tensor for input_, tensor in request.items() if input_.kind != InputKind.TEXTS}
        inputs: Values = {}
        for kind, strings in by_kind.items():
            match kind:
                case InputKind.USER:
                    inputs["user"] = ids.users(strings)
                case InputKind.FEATURES:
                    inputs["user_features"] = most_recent(ids.features(strings), ids.feature_columns)
                case InputKind.SCENARIO:
                    inputs["scenario"] = ids.scenarios(strings)
                case _:
                    inputs[str(kind)] = ids.items(strings)
        if "history" in inputs:
            inputs |= self._with_stored(inputs)
        inputs |= self._neutral(inputs, next(iter(request.values())))
        return inputs | self._texts(request, inputs.get("user"))

    def _with_stored(self, inputs: Values) -> Values:
        """Return the history that the core reads and all items to exclude, including stored histories."""
        requested, user = inputs["history"], inputs.get("user")
        excluded = [inputs["exclude"], requested] if "exclude" in inputs else []
        if user is None:
            history = most_recent(requested, self._length)
        else:
            history = self._ids.history(user, requested, self._length)
            excluded += [self._ids.stored(user)] if excluded else []
        return {"history": history, **({"exclude": tf.concat(excluded, axis=1)} if excluded else {})}

    def _texts(self, request: Mapping[Input, tf.Tensor], user: tf.Tensor | None) -> Values:
        """Return the texts for the core: encoded if the input has an encoder, otherwise strings."""
        texts: Values = {}
        for input_ in self._signature.core.inputs:
            if input_.kind == InputKind.TEXTS:
                strings = request.get(input_)
                texts[input_.argument] = strings if input_.encoder is None else input_.encoder(strings, user)
        return texts

    def _neutral(self, inputs: Values, batch: tf.Tensor | None = None) -> Values:
        """Return neutral values for inputs of the core that the request lacks."""
        rows = tf.shape(next(iter(inputs.values())) if batch is None else batch)[0]
        widths = {"history": self._length, "user_features": self._ids.feature_columns}
        shapes = {
            input_.argument: [rows] if input_.kind in _SCALAR_KINDS else [rows, widths.get(input_.argument, 0)]
            for input_ in self._signature.core.inputs
            if input_.kind != InputKind.TEXTS
        }
        return {name: tf.zeros(shape, tf.int32) for name, shape in shapes.items() if name not in inputs}

    def _known(self, inputs: Values) -> Values:
        """Replace unknown indices by 0 and truncate histories."""
        ids: Any = self._ids
        lookups = {"user": ids.users, "user_features": ids.features, "scenario": ids.scenarios}
        checked = {name: known(tensor, lookups.get(name, ids.items).size) for name, tensor in inputs.items()}
        if "history" in checked:
            checked["history"] = most_recent(checked["history"], self._length)
        return checked

    def _widened(self, inputs: Values) -> Values:
        """Truncate candidates to `MAX_CANDIDATES`, and pad inputs of compiled cores to few widths."""
        inputs = dict(inputs)
        if "candidates" in inputs:
            inputs["candidates"] = inputs["candidates"][:, :MAX_CANDIDATES]
        if self._target.compiled and self._signature.core.compiled:
            for name, base in (("exclude", EXCLUDED_BASE), ("candidates", 2)):
                if name in inputs:
                    inputs[name] = widened(inputs[name], base)
        return inputs

    def _filled(self, outputs: Outputs, inputs: Values) -> Outputs:
        """Pad scores to the number of candidates in the request, with float32's lowest for truncated candidates."""
        if "candidates" not in inputs:
            return dict(outputs)
        width = tf.shape(inputs["candidates"])[1]

        def fill(scores: tf.Tensor) -> tf.Tensor:
            scores = scores[:, :width]
            return tf.pad(scores, [[0, 0], [0, width - tf.shape(scores)[1]]], constant_values=LOWEST)

        kinds = self._signature.outputs
        return {name: fill(value) if kinds[name] == OutputKind.SCORES else value for name, value in outputs.items()}

    def _served(self, outputs: Outputs, inputs: Values) -> Outputs:
        """Replace indices in outputs by ids, titles and labels."""
        served: Outputs = {}
        for name, value in self._filled(outputs, inputs).items():
            match self._signature.outputs[name]:
                case OutputKind.ITEMS:
                    served |= self._ids.named(value)
                case OutputKind.LABELS:
                    served[name] = self._labels(value)
                case _:
                    served[name] = value
        return served


def _by_name(call: Callable[..., Outputs], specs: Sequence[tf.TensorSpec]) -> Any:
    """Convert a function of positional tensors to a `tf.function` with the names of the specs as arguments."""
    parameters = [Parameter(spec.name, Parameter.POSITIONAL_OR_KEYWORD) for spec in specs]
    call.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    return tf.function(call, input_signature=specs, autograph=False)
