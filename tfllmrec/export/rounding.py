"""The cost of an export's precision: ndcg@10 of trained and of stored weights."""

from tfllmrec.data.splits import Targets
from tfllmrec.export.precision import StoredWeights
from tfllmrec.models.base.recommender import Recommender


def cost_of_rounding(recommender: Recommender, targets: Targets, precision: str) -> dict[str, str]:
    """Return a line for the model card with the validation ndcg@10 of the stored weights; empty for float32.

    Args:
        recommender: a fitted recommender.
        targets: validation targets.
        precision: precision of the export.

    Example:
        >>> cost_of_rounding(recommender, targets, "int8")
        {'validation ndcg@10 in int8': '0.0981, -0.0002 beside float32'}
    """
    if precision == "float32":
        return {}
    weights = StoredWeights([recommender.scorer], precision, recommender.built.backbone)
    with weights.in_use():
        stored = recommender.with_own_trace()  # traced here: the threads that rank do not see the weights in use
    rounded, trained = (model.evaluate(targets)["ndcg@10"] for model in (stored, recommender))
    return {f"validation ndcg@10 in {precision}": f"{rounded:.4f}, {rounded - trained:+.4f} beside float32"}
