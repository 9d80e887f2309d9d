"""Queues for those who want to hear events: made, kept, watched and taken away."""
