"""Item content: tokens, words, Word2Vec, BERT, and the vectors that they give."""
