"""Search spaces: their files and their meaning."""
