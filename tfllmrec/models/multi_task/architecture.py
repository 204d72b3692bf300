"""The layers of a multi-task network, built from the configuration and the data."""

import keras
import numpy as np

from tfllmrec.data.vocabulary import Vocabulary
from tfllmrec.layers.encoders.recurrent import history_encoder, query_head
from tfllmrec.layers.experts import allowed_experts, expert_mixture, expert_names
from tfllmrec.layers.items import ItemBias, ItemEmbedding
from tfllmrec.models.base.fitted_data import FittedData
from tfllmrec.models.multi_task.config import MultiTaskConfig
from tfllmrec.models.multi_task.heads import label_head, pair_head
from tfllmrec.models.multi_task.network import MultiTaskLayers, MultiTaskNetwork
from tfllmrec.models.multi_task.scenarios import ScenarioFusion, SplitByScenario


def build_network(
    config: MultiTaskConfig,
    fitted_data: FittedData,
    items: ItemEmbedding,
    members: np.ndarray,
    *,
    labels: int,
    text_width: int,
    mean_rating: float = 0.0,
) -> MultiTaskNetwork:
    """Build a network.

    Args:
        config: the configuration.
        fitted_data: the users, items and scenarios.
        items: the item embedding.
        members: the items of every scenario, bool [S + 1, items + 1].
        labels: number of interest labels.
        text_width: width of the vectors of user texts; 0 for a network that does not read them.
        mean_rating: initial output of the head for ratings.
    """
    scenarios = fitted_data.scenarios
    encoder = history_encoder(**config.encoder_options(), precision=config.precision)
    allowed = allowed_experts(network_experts(config, scenarios), config.tasks, _scenario_experts(scenarios))
    layers = MultiTaskLayers(  # in this order: layers draw their seeds when they are created
        items=items,
        bias=ItemBias(items.item_count, trainable="next_item" in config.tasks, name="item_bias"),
        split=SplitByScenario.of(members, name="split_by_scenario"),
        encoder=encoder,
        fusion=ScenarioFusion(_transfers(config, scenarios), name="scenario_fusion"),
        experts=expert_mixture(
            encoder.output.shape[2], config.dim, allowed, hidden_units=config.expert_units, dropout=config.dropout
        ),
        heads={task: _head(task, config, fitted_data, labels, text_width, mean_rating) for task in config.tasks},
    )
    return MultiTaskNetwork.of(layers, config.candidate_dropout, text_width)


def network_experts(config: MultiTaskConfig, scenarios: Vocabulary | None) -> list[str]:
    """Return the names of the experts of a network; see `tfllmrec.layers.experts.expert_names`."""
    own = _scenario_experts(scenarios) if _transfers(config, scenarios) else ()
    return expert_names(config.sharing, config.tasks, experts=config.experts, scenarios=own)


def _head(
    task: str, config: MultiTaskConfig, fitted_data: FittedData, labels: int, text_width: int, mean_rating: float
) -> keras.Model:
    name = f"{task}_head"
    if task in ("next_item", "retrieval"):
        return query_head(config.dim, config.dim, query_dropout=config.query_dropout, name=name)
    if task == "interests":
        return label_head(config.dim, labels, text_width=text_width, dropout=config.dropout, name=name)
    return pair_head(
        config.dim,
        len(fitted_data.users),
        len(fitted_data.items),
        hidden_units=config.pair_units,
        dropout=config.pair_dropout,
        start=mean_rating if task == "rating" else 0.0,
        name=name,
    )


def _transfers(config: MultiTaskConfig, scenarios: Vocabulary | None) -> bool:
    return config.transfer and scenarios is not None and len(scenarios) > 1


def _scenario_experts(scenarios: Vocabulary | None) -> list[str]:
    """Return the names of the scenarios' own experts; one name for a model without scenarios."""
    return ["everywhere"] if scenarios is None else [f"scenario {name}" for name in scenarios.tokens[1:]]
