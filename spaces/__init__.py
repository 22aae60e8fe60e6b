"""What may be searched: space files and their meaning."""
