"""Tests of `services/cdr`."""
