"""The comparison itself: frames in, frames out."""
