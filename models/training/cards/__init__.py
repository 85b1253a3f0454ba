"""What a training run leaves for people: the card, its page and its curves."""
