"""The declaration of the interests that an export predicts."""

import tensorflow as tf

from tfllmrec.models.base.cores import call_model, flags_of, model_inputs, scenario_flags
from tfllmrec.models.base.signature import Core, Input, InputKind, OutputKind, Outputs, Signature
from tfllmrec.models.multi_task.scoring import MultiTaskModels

_OUTPUTS = {"labels": OutputKind.LABELS, "scores": OutputKind.SCORES}


def interest_signatures(built: MultiTaskModels) -> list[Signature]:
    """Return `interests`, and with user texts `interests_with_options`; nothing for a model without that task."""
    if built.interest_model is None:
        return []
    core = interests_core(built)
    outputs, aliases = _OUTPUTS | flags_of(core.inputs), ("interests_with_texts",)
    short = tuple(spec for spec in core.inputs if spec.kind != InputKind.TEXTS)
    meaning = (
        "Labels of a user's next items with their probabilities, highest first, after a history given in the request "
        "or else the stored one."
    )
    signatures = [Signature("interests", core, outputs, meaning, short, labels=built.labels)]
    if built.texts is not None:
        meaning = "`interests` with texts of the user, such as searches, which have precedence over stored ones."
        signatures.append(
            Signature("interests_with_options", core, outputs, meaning, labels=built.labels, aliases=aliases)
        )
    return signatures


def interests_core(built: MultiTaskModels) -> Core:
    """Return the core that computes labels int32 and scores float32, [B, labels], highest first."""
    model, texts = built.interest_model, built.texts

    def interests(inputs: dict[str, tf.Tensor]) -> Outputs:
        written = {} if texts is None else {"written": inputs["texts"]}
        probabilities = call_model(model, {**inputs, **written})
        scores, positions = tf.math.top_k(probabilities, probabilities.shape[1])
        return {"labels": positions + 1, "scores": scores, **scenario_flags(inputs)}

    inputs = model_inputs(model)
    if texts is not None:
        inputs = (*inputs, Input(InputKind.TEXTS, "texts", encoder=texts.encoder))
    return Core("interests", interests, inputs, built.history_length)
