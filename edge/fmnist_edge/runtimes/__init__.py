"""A model file's bytes to a session that turns tiles into probabilities; formats.py lists the kinds."""
