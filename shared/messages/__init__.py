"""Everything the product can be told (commands) and everything it can say (events)."""
