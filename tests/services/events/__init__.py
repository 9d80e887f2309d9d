"""Tests of `services/events`."""
