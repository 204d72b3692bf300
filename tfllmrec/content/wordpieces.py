"""WordPiece vocabulary of the catalog's texts, split in the same way as by the BERT tokenizer of KerasNLP."""

from collections.abc import Sequence
from unicodedata import category, normalize

from tfllmrec.content.text_tensors import import_keras_nlp, normalise_spaces, text_dataset
from tfllmrec.errors import InputError

_SPECIAL_TOKENS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]


def learn_wordpieces(texts: Sequence[str], size: int) -> list[str]:
    """Learn a vocabulary: BERT's special tokens ([PAD] first), every character, and word pieces that occur twice.

    Letter case and accents are removed; a Chinese character is a word. Equal texts give equal vocabularies.

    Args:
        texts: training texts.
        size: maximum number of tokens; all characters are included even if they are more.

    Raises:
        InputError: If the texts contain no word.

    Example:
        >>> learn_wordpieces(["Dé", "花 do"], 100)
        ['[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]', '##e', '##o', 'd', '花', 'e', 'o']
    """
    # `compute_word_piece_vocabulary` of KerasNLP is slow and drops all but the 1,000 most frequent characters. Its
    # dependency `tokenizers` has a trainer.
    from tokenizers import Tokenizer, models, pre_tokenizers, trainers

    words = _characters_of_words(texts)
    characters = sorted({character for word in words for character in word})
    if not any(character[-1].isalnum() for character in characters):
        raise InputError(f"texts: there is no word to learn from in {len(texts)} texts; give titles, names or plots")
    tokenizer = Tokenizer(models.WordPiece(unk_token="[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.Split("\n", "removed")
    # Characters are passed as special tokens because the trainer would number them in hash order, and the numbers
    # break ties between equal counts.
    trainer = trainers.WordPieceTrainer(
        vocab_size=size, min_frequency=2, special_tokens=_SPECIAL_TOKENS + characters, show_progress=False
    )
    joined = (word[0] + "".join(piece[2:] for piece in word[1:]) for word in words)
    tokenizer.train_from_iterator(joined, trainer)
    vocabulary = tokenizer.get_vocab()
    return sorted(vocabulary, key=lambda piece: vocabulary[piece])


def _characters_of_words(texts: Sequence[str]) -> list[list[str]]:
    """Return all words of the texts, each as a list of characters ("d", "##i", "##e")."""
    keras_nlp = import_keras_nlp()

    characters = _normalised_characters(texts)
    vocabulary = [*_SPECIAL_TOKENS, *characters, *(f"##{character}" for character in characters)]
    # With single characters as vocabulary, the tokenizer normalises and splits words and leaves them as characters.
    tokenizer = keras_nlp.models.BertTokenizer(vocabulary, lowercase=True, strip_accents=True, dtype="string")
    words: list[list[str]] = []
    batches = text_dataset(texts).batch(1024)
    for pieces in batches.map(lambda batch: tokenizer(normalise_spaces(batch)).flat_values):
        for piece in map(bytes.decode, pieces.numpy()):
            if len(piece) > 2 and piece.startswith("##"):
                words[-1].append(piece)
            elif piece != "[UNK]":  # a word that exceeds the tokenizer's maximum length
                words.append([piece])
    return words


def _normalised_characters(texts: Sequence[str]) -> list[str]:
    """Return all characters of the texts after accents are stripped and case is folded."""
    characters: set[str] = set()
    for text in texts:
        stripped = "".join(character for character in normalize("NFD", text) if category(character) != "Mn")
        characters.update(normalize("NFKC", stripped.casefold()))
    return sorted(
        character for character in characters if not character.isspace() and category(character) not in ("Cc", "Cs")
    )
