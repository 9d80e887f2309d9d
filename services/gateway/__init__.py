"""The HTTP face: requests in, commands out; what is asked is read from the tables.

Publishes to `voice.commands`; keeps the queues of subscribers and brings events to webhooks; writes
the tables `subscriptions`, `webhook_deliveries` and `tokens`.
"""
