"""Tells what happens on the switches as business events.

Listens to every switch of the settings on a link of its own and never changes anything there.
Consumes nothing else; publishes to `voice.events`. Owns no table: the journal is its memory.
"""
