"""Tests of `bench`: that its figures mean what they say. Nothing here is timed."""
