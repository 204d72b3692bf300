"""TensorFlow module of a recommender: variables, look-ups and signatures."""

from typing import Any

import tensorflow as tf

from tfllmrec.errors import InputError
from tfllmrec.export.binding import BoundSignature
from tfllmrec.export.id_mapper import IdMapper
from tfllmrec.export.numeric_core import NumericCore
from tfllmrec.export.precision import StoredWeights
from tfllmrec.export.scann_index import ApproximateItems, with_approximate_core
from tfllmrec.export.target import CPU, Target
from tfllmrec.models.base.recommender import Recommender
from tfllmrec.models.base.signature import Signature


class Servable(tf.Module):
    """Variables, look-ups, stored histories and signatures of an export.

    Keras models are not attributes: the C++ runtime would not find their variables (loading would succeed and the
    first request fail). Their `tf.Variable`s are attributes, and functions call the models.

    Args:
        recommender: a fitted recommender.
        top_k: number of results per request, K, limited to the number of items.
        target: target of the export.
        precision: see `export`; the functions must be traced inside `stored.in_use()`.
        index: see `export`.

    Attributes:
        top_k: K.
        ids: look-ups between ids and indices.
        stored: weights of the models in the precision of the export.
        weights_: variables of the stored weights.
        declared: signatures that the recommender declares.
        cores: cores for the target, by name.
        approximate: approximate retrieval, or None.
    """

    approximate: ApproximateItems | None = None

    def __init__(
        self,
        recommender: Recommender,
        top_k: int = 100,
        *,
        target: Target = CPU,
        precision: str = "float32",
        index: str = "exact",
    ) -> None:
        super().__init__(name="servable")
        built, fitted_data = recommender.built, recommender.fitted_data
        self.top_k, self._main = min(top_k, len(fitted_data.items)), recommender.main_signature
        self.ids = IdMapper(fitted_data)
        self.stored = StoredWeights(built.all_served, precision, built.backbone)
        self.weights_ = self.stored.variables
        with self.stored.in_use():
            declared = recommender.signatures(self.top_k)
            if index == "scann":
                self.approximate = ApproximateItems(built, fitted_data, self.ids, self.top_k)
                declared = [with_approximate_core(signature, self.approximate) for signature in declared]
        self.declared: tuple[Signature, ...] = tuple(declared)
        self.cores = {signature.core.name: NumericCore(signature.core, target) for signature in declared}
        self._bound = [
            BoundSignature(signature, self.cores[signature.core.name], self.ids, target) for signature in declared
        ]
        self._calls = [signature.core.call for signature in declared if isinstance(signature.core.call, tf.Module)]
        self._check_names()

    def signatures(self) -> dict[str, Any]:
        """Return all signatures by name, as `tf.function`s with named inputs."""
        functions: dict[str, Any] = {}
        for signature, bound in zip(self.declared, self._bound, strict=True):
            function = bound.with_ids()
            numeric = bound.with_indices() if signature.with_ids else None
            for name in (signature.name, *signature.aliases):
                functions[name] = function
                if numeric is not None:
                    functions[f"{name}_ids"] = numeric
        return {"serving_default": functions[self._main], **functions}

    def meanings(self) -> dict[str, str]:
        """Return the descriptions of the signatures in the model card, by name."""
        meanings = {"serving_default": f"The main signature, `{self._main}`."}
        for signature in self.declared:
            meanings[signature.name] = signature.meaning
            meanings |= dict.fromkeys(signature.aliases, f"Alias of `{signature.name}`.")
            if signature.with_ids:
                core = "with indices instead of ids, 0 for padding. Stored histories are neither read nor excluded."
                for name in (signature.name, *signature.aliases):
                    meanings[f"{name}_ids"] = f"`{name}` {core}"
        return meanings

    def _check_names(self) -> None:
        names = [name for signature in self.declared for name in (signature.name, *signature.aliases)]
        repeated = {name for name in names if names.count(name) > 1}
        if repeated:
            raise InputError(f"export: several signatures are named {', '.join(sorted(repeated))}; rename them")
