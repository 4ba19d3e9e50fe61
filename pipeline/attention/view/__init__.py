"""Attention maps drawn: in the terminal, as pictures, as a page."""
