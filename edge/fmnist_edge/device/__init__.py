"""How is this machine? What works, how fast it is, how warm."""
