"""Tests of `shared/broker`."""
