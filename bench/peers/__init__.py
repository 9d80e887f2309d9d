"""What the events service is measured against, each a program of its own."""
