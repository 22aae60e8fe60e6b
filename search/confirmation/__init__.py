"""The confirmation of a search's result: finalists and references trained anew on fresh seeds."""
