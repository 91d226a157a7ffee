"""Where frames come from: one file for each kind of camera, and the feed that keeps the newest frame."""
