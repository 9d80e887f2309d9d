"""What records and calls say: lists, tables and statistics."""
