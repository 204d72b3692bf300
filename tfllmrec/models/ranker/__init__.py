"""Parts that rankers share: candidate lists, training, raw texts."""
