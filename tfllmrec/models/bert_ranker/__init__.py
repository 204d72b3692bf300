"""bert_ranker."""
