"""Promises of what puts the product on one machine."""
