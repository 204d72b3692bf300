"""Effect of the precision of an export on ndcg@10."""

from tfllmrec.data.splits import Targets
from tfllmrec.export.precision import StoredWeights
from tfllmrec.models.base.recommender import Recommender


def cost_of_rounding(recommender: Recommender, targets: Targets, precision: str) -> dict[str, str]:
    """Return the validation ndcg@10 of the stored weights, as a property for the model card; empty for float32.

    Args:
        recommender: a fitted recommender.
        targets: validation targets.
        precision: precision of the export.

    Example:
        >>> cost_of_rounding(recommender, targets, "int8")
        {'validation ndcg@10 in int8': '0.0981, -0.0002 vs. float32'}
    """
    if precision == "float32":
        return {}
    weights = StoredWeights([recommender.scorer], precision, recommender.built.backbone)
    with weights.in_use():
        # Traced here, because the stored weights are in use in this thread only, and other threads rank.
        stored = recommender.with_own_trace()
    rounded, trained = (model.evaluate(targets)["ndcg@10"] for model in (stored, recommender))
    return {f"validation ndcg@10 in {precision}": f"{rounded:.4f}, {rounded - trained:+.4f} vs. float32"}
