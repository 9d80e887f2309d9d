"""What a route returns. Flask's own type does not survive flask-openapi's reading of it."""

from typing import Any, TypeAlias

from flask import Response

Answer: TypeAlias = Response | dict[str, Any] | tuple[Any, int] | tuple[Any, int, dict[str, str]]
