"""What a service says when something that it needs is not there."""


class DependencyAway(Exception):
    """Something needed is away. Nothing was done; the same may be tried again later."""
