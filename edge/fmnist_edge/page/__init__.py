"""The same for a browser, and for programs: a web server beside the camera's loop."""
