"""Many pictures: finding them, reading them, and printing what they are."""
