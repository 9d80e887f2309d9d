"""Measures the product beside its limits and its peers: `make bench`. Never a test."""
