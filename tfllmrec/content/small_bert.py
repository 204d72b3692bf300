"""A small BERT that learns from nothing but a catalogue's own texts; it needs no network."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfllmrec.content.nlp import import_keras_nlp
from tfllmrec.content.pretrained import Bert, text_dataset
from tfllmrec.content.wordpieces import learn_wordpieces
from tfllmrec.errors import InputError

_BATCH = 64
_MASKED = 0.15  # of the tokens of a text are to be guessed, as with every BERT


def small_bert(
    texts: Sequence[str],
    *,
    vocabulary_size: int = 8000,
    layers: int = 2,
    dim: int = 128,
    heads: int = 2,
    length: int = 64,
    epochs: int = 10,
    seed: int = 0,
    verbose: bool = False,
) -> Bert:
    """Learn a WordPiece vocabulary of texts, then a BERT that guesses their masked tokens.

    Letter case and accents are not told apart, Chinese is read character by character, and every character of the texts
    is known. Equal texts and options give equal weights on the same machine.

    Args:
        texts: what the model is to know about, such as `item_texts(items)`; empty ones are skipped.
        vocabulary_size: tokens, at most; but all characters of the texts are among them in any case.
        layers: of the transformer.
        dim: width of a token.
        heads: of the attention; a divisor of dim.
        length: tokens of a text that the model has places for, with [CLS] and [SEP].
        epochs: passes over the texts.
        seed: of the weights, the masks and the order of the texts.
        verbose: whether Keras shows its progress.

    Raises:
        InputError: there is no word in the texts, or an option is none of its kind.

    Example:
        >>> bert = small_bert(item_texts(data.items))
        >>> vectors = text_vectors(item_texts(data.items), bert)
        >>> bert.save("models/our-films")
    """
    import keras

    keras_nlp = import_keras_nlp()

    sizes = {"vocabulary_size": vocabulary_size, "layers": layers, "dim": dim, "heads": heads, "epochs": epochs}
    for option, value, least in [*((*size, 1) for size in sizes.items()), ("length", length, 3), ("seed", seed, 0)]:
        if value < least:
            raise InputError(f"{option} is {value}: give {least} or more")
    if dim % heads:
        raise InputError(f"dim is {dim} and heads is {heads}: give a dim that is a multiple of heads")
    vocabulary = learn_wordpieces(texts, vocabulary_size)
    tokenizer = keras_nlp.models.BertTokenizer(vocabulary, lowercase=True, strip_accents=True)
    keras.utils.set_random_seed(seed)
    backbone = keras_nlp.models.BertBackbone(
        len(vocabulary), layers, heads, dim, intermediate_dim=4 * dim, max_sequence_length=length
    )
    bert = Bert(backbone, tokenizer)
    _train(bert, [text for text in texts if text.strip()], epochs, seed, verbose=verbose)
    return bert


def _train(bert: Bert, texts: list[str], epochs: int, seed: int, *, verbose: bool) -> None:
    """Masked-language-model training."""
    import keras

    keras_nlp = import_keras_nlp()
    import tensorflow as tf

    read = bert.preprocessor(bert.backbone.max_sequence_length)
    ids = np.concatenate([tokens["token_ids"] for tokens in text_dataset(texts).batch(1024).map(read)])
    ids = ids[:, : (ids != 0).sum(axis=1).max()]  # no text is longer
    pooler = bert.backbone.get_layer("pooled_dense")
    pooler.trainable = False  # no masked token hangs on it, which Keras would warn of
    model = keras_nlp.models.BertMaskedLM(bert.backbone)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight"),
        jit_compile=False,  # XLA would compile it for every length of text
    )
    model.optimizer.build(model.trainable_variables)  # made in the first step, they would have it traced twice
    steps = math.ceil(len(ids) / _BATCH)
    whole, real = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.float32)
    inputs = dict.fromkeys(("token_ids", "segment_ids", "padding_mask", "mask_positions"), whole)
    given = tf.data.Dataset.from_generator(lambda: _masked(ids, bert, seed), output_signature=(inputs, whole, real))
    model.fit(given, steps_per_epoch=steps, epochs=epochs, verbose=int(verbose))
    pooler.trainable = True


def _masked(ids: np.ndarray, bert: Bert, seed: int) -> Iterator[tuple[dict[str, Any], Any, Any]]:
    """Batches without end: every text once an epoch, beside others of its length, with other masks each time.

    The masks are drawn outside `tf.data`, where the same generator draws the rows of a batch at once, in any order.
    """
    keras_nlp = import_keras_nlp()

    generator = keras_nlp.layers.MaskedLMMaskGenerator(
        vocabulary_size=bert.tokenizer.vocabulary_size(),
        mask_selection_rate=_MASKED,
        mask_selection_length=math.ceil(_MASKED * ids.shape[1]),
        mask_token_id=bert.tokenizer.mask_token_id,
        unselectable_token_ids=bert.tokenizer.special_token_ids,
    )
    draw, lengths = np.random.default_rng(seed), (ids != 0).sum(axis=1)
    ends = range(_BATCH, len(ids), _BATCH)
    while True:
        of_one_length = np.split(np.lexsort((draw.random(len(ids)), lengths)), ends)
        for batch in draw.permutation(len(of_one_length)):
            rows = of_one_length[batch]
            texts = ids[rows, : lengths[rows].max()]
            drawn = generator(texts)
            given = {
                "token_ids": drawn["token_ids"],
                "segment_ids": np.zeros_like(texts),
                "padding_mask": (texts != 0).astype(np.int32),
                "mask_positions": drawn["mask_positions"],
            }
            yield given, drawn["mask_ids"], drawn["mask_weights"]
