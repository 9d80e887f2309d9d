"""Takes call detail records from the switches, and keeps what calls were.

Consumes `cdr.raw`, `cdr.events` and `cdr.commands`; owns the tables `cdrs` with its months,
`cdr_legs`, `cdr_variants`, `cdr_news`, `calls` and `call_events`; publishes to `voice.cdr` and
`voice.events`.
"""
