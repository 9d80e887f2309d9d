"""The HTTP face: requests in, commands out; what is asked is read from the tables.

Publishes to `voice.commands`; keeps the queues of subscribers; writes the table `subscriptions`.
"""
