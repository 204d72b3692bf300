"""The BERT that a configuration names."""

from collections.abc import Sequence

from tfllmrec.content.pretrained import Bert, pretrained
from tfllmrec.content.small_bert import small_bert

SMALL = "small"
"""The name of a BERT that learns from a catalogue's own texts and nothing else."""


def backbone(name: str, texts: Sequence[str], *, length: int, seed: int = 0) -> Bert:
    """A pretrained BERT, or a small one that learns from these texts.

    Args:
        name: "small", or what `tfllmrec.content.pretrained.pretrained` takes.
        texts: of the catalogue.
        length: tokens that a small one has places for, with [CLS] and [SEP].
        seed: of a small one.

    Raises:
        InputError: there is no such BERT, or nothing in the texts to learn from.
    """
    return small_bert(texts, length=length, seed=seed) if name == SMALL else pretrained(name)
