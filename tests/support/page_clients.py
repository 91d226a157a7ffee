"""Many clients of a page, in a process that others come before: python page_clients.py PORT CLIENTS PICTURES FILE..."""

import http.client
import json
import os
import sys
import threading
import time
from collections import Counter
from pathlib import Path


def main() -> None:
    os.nice(10)  # they stand for other machines
    port, clients, pictures = map(int, sys.argv[1:4])
    contents = [Path(name).read_bytes() for name in sys.argv[4:]]
    counts: Counter[str] = Counter()
    lock = threading.Lock()

    def post_all(client: int) -> None:
        for number in range(pictures):
            status, label = post(port, contents[(client + number) % len(contents)], counts, lock)
            with lock:
                counts[f"{status} {(client + number) % len(contents)} {label}"] += 1

    threads = [threading.Thread(target=post_all, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    print(json.dumps(counts))


def post(port: int, content: bytes, counts: "Counter[str]", lock: threading.Lock) -> tuple[int, str]:
    """Until there is an answer that is no 503."""
    while True:
        connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
        try:
            connection.request("POST", "/api/classify", content)
            answer = connection.getresponse()
            body = answer.read()
            if answer.status != 503:
                return answer.status, json.loads(body).get("label", "")
            with lock:
                counts["503"] += 1
            time.sleep(float(answer.headers["Retry-After"]))
        except OSError as error:
            return 0, type(error).__name__
        finally:
            connection.close()


if __name__ == "__main__":
    main()
