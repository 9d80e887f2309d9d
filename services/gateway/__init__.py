"""The HTTP face: requests in, commands out; what is asked is read from the tables.

Publishes to `voice.commands`; consumes nothing; writes no table.
"""
