"""Tests of `shared/telephony`."""
