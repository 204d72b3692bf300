"""What an item is: its text and categories as tokens."""
