"""Records and events as text in the terminal."""
