"""Takes call detail records from the switches, and keeps what calls were.

Consumes `cdr.raw`, `cdr.events` and `cdr.commands`; owns the tables `cdrs`, `calls` and
`call_events`; publishes to `voice.cdr`.
"""
