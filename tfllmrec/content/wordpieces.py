"""A WordPiece vocabulary of a catalogue's own texts, split as KerasNLP's BERT tokenizer splits them."""

from collections.abc import Sequence
from unicodedata import category, normalize

from tfllmrec.content.nlp import import_keras_nlp
from tfllmrec.content.pretrained import spaced, text_dataset
from tfllmrec.errors import InputError

_SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def learn_wordpieces(texts: Sequence[str], size: int) -> list[str]:
    """The special tokens of a BERT ([PAD] is 0), every character of the texts, and pieces of words that come twice.

    Letter case and accents are gone, a Chinese character is a word. Equal texts give equal vocabularies.

    Args:
        texts: any texts.
        size: tokens, at most; but all characters are among them in any case.

    Raises:
        InputError: there is no word in the texts.

    Example:
        >>> learn_wordpieces(["Dé", "花 do"], 100)
        ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '##e', '##o', 'd', '花', 'e', 'o']
    """
    # KerasHub requires `tokenizers`. Its own `compute_word_piece_vocabulary` is slow, and forgets all characters but
    # the 1,000 most frequent ones.
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    spelt = _spell(texts)
    pieces = sorted({piece for word in spelt for piece in word})
    if not any(piece[-1].isalnum() for piece in pieces):
        raise InputError(f"texts: there is no word to learn from in {len(texts)} texts; give titles, names or plots")
    learner = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    learner.pre_tokenizer = pre_tokenizers.Split("\n", "removed")
    # The trainer would number the pieces as a hash table has them, and number decides where counts are equal.
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=2, special_tokens=_SPECIAL + pieces, show_progress=False
    )
    words = (word[0] + "".join(piece[2:] for piece in word[1:]) for word in spelt)
    learner.train_from_iterator(words, trainer)
    known = learner.get_vocab()
    return sorted(known, key=lambda piece: known[piece])


def _spell(texts: Sequence[str]) -> list[list[str]]:
    """All words of the texts, each letter by letter ("d", "##i", "##e")."""
    keras_nlp = import_keras_nlp()

    letters = _letters(texts)
    vocabulary = [*_SPECIAL, *letters, *(f"##{letter}" for letter in letters)]
    # It leaves words as letters, since it knows nothing longer; so they are split and folded as they will be later.
    tokenizer = keras_nlp.models.BertTokenizer(vocabulary, lowercase=True, strip_accents=True, dtype="string")
    words: list[list[str]] = []
    for pieces in text_dataset(texts).batch(1024).map(lambda batch: tokenizer(spaced(batch)).flat_values):
        for piece in map(bytes.decode, pieces.numpy()):
            if len(piece) > 2 and piece.startswith("##"):
                words[-1].append(piece)
            elif piece != "[UNK]":  # longer than any word is
                words.append([piece])
    return words


def _letters(texts: Sequence[str]) -> list[str]:
    """All characters that can be left of the texts when accents are stripped and case is folded."""
    found: set[str] = set()
    for text in texts:
        bare = "".join(letter for letter in normalize("NFD", text) if category(letter) != "Mn")
        found.update(normalize("NFKC", bare.casefold()))
    return sorted(letter for letter in found if not letter.isspace() and category(letter) not in ("Cc", "Cs"))
