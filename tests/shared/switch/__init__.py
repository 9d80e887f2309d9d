"""Tests of `shared/switch`."""
