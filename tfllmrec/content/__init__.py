"""What an item is: tokens, given vectors, and vectors of its words and of the company it keeps."""
