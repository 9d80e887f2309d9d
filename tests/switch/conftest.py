"""A database of a switch's own."""

import psycopg2
import pytest


@pytest.fixture
def database(postgres, word):
    """Give the address of an empty database, as a switch is told it."""
    address = str(postgres.url).replace("+psycopg2", "")
    connection = psycopg2.connect(address)
    connection.autocommit = True
    with connection.cursor() as cursor:
        cursor.execute(f"create database switch_{word}")
    connection.close()
    return f"{address.rpartition('/')[0]}/switch_{word}"
