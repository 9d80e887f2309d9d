"""Tests of `shared/messages`."""
