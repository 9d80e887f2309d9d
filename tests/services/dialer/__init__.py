"""Tests of `services/dialer`."""
