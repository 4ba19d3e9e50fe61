"""Where reviews come from: files of many kinds and the hub, as parts of a table of raw rows, nothing dropped."""
