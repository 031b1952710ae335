"""`python -m stevedore_api.probe`: exit 0 if the server here is ready; an image's health."""

import http.client
import os
import sys

_TIMEOUT_S = 2.0


def main() -> int:
    """Ask `/readyz` on the loopback address; return the exit status."""
    port = int(os.environ.get("STEVEDORE_PORT", "8000"))
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_TIMEOUT_S)
    try:
        connection.request("GET", "/readyz")
        return 0 if connection.getresponse().status == http.HTTPStatus.OK else 1
    except OSError as error:
        sys.stderr.write(f"nothing answers on port {port}: {error}\n")
        return 1
    finally:
        connection.close()


if __name__ == "__main__":
    sys.exit(main())
