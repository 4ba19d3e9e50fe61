"""The project's files: configuration, paths, tables, and what is stale."""
