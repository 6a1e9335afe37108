"""Downloads from a real server on this machine."""

import io
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest

from replicalab_worker.downloads import fetch
from replicalab_worker.pipelines.pinned_files import FetchFailed

BODY = bytes(range(256)) * 10_000


class _Files(BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        if self.path == "/absent":
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(BODY)))
        self.end_headers()
        self.wfile.write(BODY if self.path == "/whole" else BODY[:1000])

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Files) as http:
        thread = threading.Thread(target=http.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{http.server_port}"
        http.shutdown()
        thread.join()


def test_a_download_writes_the_body_and_reports_how_far_it_is(server: str) -> None:
    target, reports = io.BytesIO(), []
    fetch(f"{server}/whole", target, lambda *report: reports.append(report))
    assert target.getvalue() == BODY
    assert reports[-1] == (len(BODY), len(BODY), "downloading whole")


@pytest.mark.parametrize("path", ["absent", "half"])
def test_a_file_that_does_not_come_whole_is_a_failure(server: str, path: str) -> None:
    with pytest.raises(FetchFailed):
        fetch(f"{server}/{path}", io.BytesIO(), lambda *_: None)


def test_a_server_that_is_not_there_is_a_failure() -> None:
    with pytest.raises(FetchFailed):
        fetch("http://127.0.0.1:9/nothing", io.BytesIO(), lambda *_: None)
