"""Results of a study as records and files."""
