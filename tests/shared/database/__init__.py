"""What the shared database code promises, on a real PostgreSQL."""
