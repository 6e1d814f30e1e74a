"""Send requests to the service, and print the answers: ``python -m ask '[["GET", "/readings/1"], …]'``.

A request is its method, its path, a body and headers; of a header, ``@2`` is the ETag of the answer number 2.
"""

import json
import sys
from typing import Any

from facilities_service.main import create_app
from facilities_service.settings import Settings
from fastapi.testclient import TestClient


def main() -> None:
    answers: list[tuple[int, dict[str, str], str]] = []
    with TestClient(create_app(Settings())) as client:
        for method, path, *rest in json.loads(sys.argv[1]):
            body = rest[0] if rest else None
            headers = rest[1] if len(rest) > 1 else {}
            options: dict[str, Any] = {} if body is None else {"json": body}
            sent = {
                name: answers[int(value[1:])][1]["etag"] if value.startswith("@") else value
                for name, value in headers.items()
            }
            print(method, path)
            answer = client.request(method, path, headers=sent, **options)
            answers.append((answer.status_code, dict(answer.headers), answer.text))
    print(json.dumps(answers))


if __name__ == "__main__":
    main()
