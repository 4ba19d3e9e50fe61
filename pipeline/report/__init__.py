"""One reader of results, and a module for each section of the report."""
