"""Tests of `services/directory`."""
