"""Phrases: pairs of words that occur together, learnt by gensim and joined to one word."""

from collections.abc import Iterable, Sequence

from gensim.models.phrases import ENGLISH_CONNECTOR_WORDS, FrozenPhrases, Phrases

_OPTIONS = {"threshold": 0.5, "scoring": "npmi", "connector_words": ENGLISH_CONNECTOR_WORDS}


def learn_phrases(sentences: Iterable[Sequence[str]]) -> list[str]:
    """Return the pairs of words that occur together five times or more and have a high pointwise mutual information.

    The score is normalised pointwise mutual information (Bouma, 2009). English connector words such as "of" and "the"
    may stand between the two words.

    Example:
        >>> learn_phrases([["new", "york"], ["new", "man"], ["old", "man"], ["old", "car"], ["new", "car"]] * 5)
        ['new_york']
    """
    return list(Phrases(sentences, min_count=5, **_OPTIONS).export_phrases())


def join_phrases(sentences: Iterable[Sequence[str]], phrases: Iterable[str]) -> list[list[str]]:
    """Return the sentences with every phrase of `learn_phrases` joined to one word.

    Example:
        >>> join_phrases([["the", "lord", "of", "the", "rings"]], ["lord_of_the_rings"])
        [['the', 'lord_of_the_rings']]
    """
    model = FrozenPhrases(Phrases(**_OPTIONS))
    model.phrasegrams = dict.fromkeys(phrases, 1.0)  # any score above the threshold
    return [[word for word, _ in model.analyze_sentence(sentence)] for sentence in sentences]
