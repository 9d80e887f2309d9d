"""The health check of a container: `ready.py PORT` ends with 0 when the service there is ready.

It knows the standard library alone and starts fast: five containers run it every few seconds. What
`/readyz` said is printed, and `docker inspect` shows it: which check does not hold.
"""

import sys
from http.client import HTTPConnection, HTTPException


def main(port: int) -> int:
    """Ask once; whatever is no clear yes is a no."""
    connection = HTTPConnection("127.0.0.1", port, timeout=5)
    try:
        connection.request("GET", "/readyz")
        answer = connection.getresponse()
        sys.stdout.write(answer.read(2000).decode(errors="replace"))
    except (OSError, HTTPException) as error:
        sys.stdout.write(f"{type(error).__name__}: {error}")
        return 1
    return 0 if answer.status == 200 else 1  # noqa: PLR2004  (OK)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1])))
