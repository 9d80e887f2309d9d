"""Tokens of the HTTP API: made, listed and revoked by the administrator."""
