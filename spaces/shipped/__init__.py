"""The spaces that come with the project: one TOML file each, in the format of a user's own."""
