"""Small BERT that is trained on the catalog's texts only, without network access."""

import math
from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from tfllmrec.content.bert import Bert
from tfllmrec.content.text_tensors import import_keras_nlp, text_dataset
from tfllmrec.content.wordpieces import learn_wordpieces
from tfllmrec.errors import InputError
from tfllmrec.keras_state import isolated_keras

_BATCH_SIZE = 64
_MASK_RATE = 0.15  # the rate of the original BERT


@isolated_keras()
def train_small_bert(
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
    """Learn a WordPiece vocabulary of the texts and train a BERT on them as a masked language model.

    Letter case and accents are removed, Chinese is split into characters, and the vocabulary contains every character
    of the texts. Equal texts and options give equal weights on the same machine.

    Args:
        texts: training texts, such as `items_to_texts(items)`; empty ones are skipped.
        vocabulary_size: maximum number of tokens; all characters of the texts are included even if they are more.
        layers: transformer layers.
        dim: width of the token states.
        heads: attention heads; a divisor of dim.
        length: maximum tokens per text, including [CLS] and [SEP].
        epochs: passes over the texts.
        seed: of the weights, the masks and the order of the texts.
        verbose: whether Keras shows progress.

    Raises:
        InputError: If the texts contain no word, or an option is out of range.

    Example:
        >>> from tfllmrec.content.bert_vectors import text_vectors
        >>> titles = ["Alien", "Aliens", "Brazil"]
        >>> bert = train_small_bert(titles, dim=8, epochs=1)
        >>> text_vectors(titles, bert).shape
        (3, 8)
        >>> bert.save("models/our-films")
    """
    import keras

    keras_nlp = import_keras_nlp()

    sizes = {"vocabulary_size": vocabulary_size, "layers": layers, "dim": dim, "heads": heads, "epochs": epochs}
    for option, value, minimum in [*((*size, 1) for size in sizes.items()), ("length", length, 3), ("seed", seed, 0)]:
        if value < minimum:
            raise InputError(f"{option} is {value}: give {minimum} or more")
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
    """Train with the masked-language-model loss."""
    import keras

    keras_nlp = import_keras_nlp()
    import tensorflow as tf

    preprocess = bert.preprocessor(bert.backbone.max_sequence_length)
    ids = np.concatenate([tokens["token_ids"] for tokens in text_dataset(texts).batch(1024).map(preprocess)])
    ids = ids[:, : (ids != 0).sum(axis=1).max()]  # the longest text
    pooler = bert.backbone.get_layer("pooled_dense")
    pooler.trainable = False  # the loss does not depend on it, and Keras would warn
    model = keras_nlp.models.BertMaskedLM(bert.backbone)
    model.compile(
        optimizer=keras.optimizers.Adam(1e-3),
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="mean_with_sample_weight"),
        jit_compile=False,  # XLA would compile once per text length
    )
    model.optimizer.build(model.trainable_variables)  # built in the first step, it would cause a second trace
    steps = math.ceil(len(ids) / _BATCH_SIZE)
    int_spec, float_spec = tf.TensorSpec([None, None], tf.int32), tf.TensorSpec([None, None], tf.float32)
    inputs = dict.fromkeys(("token_ids", "segment_ids", "padding_mask", "mask_positions"), int_spec)
    batches = tf.data.Dataset.from_generator(
        lambda: _masked_batches(ids, bert, seed), output_signature=(inputs, int_spec, float_spec)
    )
    model.fit(batches, steps_per_epoch=steps, epochs=epochs, verbose=int(verbose))
    pooler.trainable = True


def _masked_batches(ids: np.ndarray, bert: Bert, seed: int) -> Iterator[tuple[dict[str, Any], Any, Any]]:
    """Yield batches forever: each text once per epoch, batched with texts of its length, with new masks each time.

    The masks are drawn outside of `tf.data`, which would draw them for the rows of a batch in parallel, in any order.
    """
    keras_nlp = import_keras_nlp()

    mask_generator = keras_nlp.layers.MaskedLMMaskGenerator(
        vocabulary_size=bert.tokenizer.vocabulary_size(),
        mask_selection_rate=_MASK_RATE,
        mask_selection_length=math.ceil(_MASK_RATE * ids.shape[1]),
        mask_token_id=bert.tokenizer.mask_token_id,
        unselectable_token_ids=bert.tokenizer.special_token_ids,
    )
    generator, lengths = np.random.default_rng(seed), (ids != 0).sum(axis=1)
    splits = range(_BATCH_SIZE, len(ids), _BATCH_SIZE)
    while True:
        batches_by_length = np.split(np.lexsort((generator.random(len(ids)), lengths)), splits)
        for batch in generator.permutation(len(batches_by_length)):
            rows = batches_by_length[batch]
            token_ids = ids[rows, : lengths[rows].max()]
            masked = mask_generator(token_ids)
            inputs = {
                "token_ids": masked["token_ids"],
                "segment_ids": np.zeros_like(token_ids),
                "padding_mask": (token_ids != 0).astype(np.int32),
                "mask_positions": masked["mask_positions"],
            }
            yield inputs, masked["mask_ids"], masked["mask_weights"]
