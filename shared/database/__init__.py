"""PostgreSQL: the tables, who writes which, and how to reach them."""
