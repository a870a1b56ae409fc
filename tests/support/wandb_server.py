"""A W&B server of this machine: as much of the protocol as a run speaks, and all that reached it.

It is the network that is played here, not our code: wandb itself talks to it, over real sockets,
and it can be made to refuse, to stall, to be busy or to die.
"""

import gzip
import json
import re
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Json = dict[str, Any]
KEY = "k" * 40
ENTITY, TEAM = "tester", "my-team"
HISTORY = "wandb-history.jsonl"


class WandbServer:
    """What was received, by run; and how to answer."""

    def __init__(self) -> None:
        self.runs: dict[str, Json] = {}
        """By id: the latest of each field, `history` (rows by place) and `summary`."""

        self.received: list[bytes] = []
        """The body of every request, unpacked."""

        self.files: dict[str, bytes] = {}
        self.artifacts: list[Json] = []
        self.refuse: Callable[[str], int] = lambda path: 0
        """The status to answer a request with, by its path; 0 to answer it well."""

        self.stall: Callable[[str], float] = lambda path: 0.0
        self.refused = 0
        self._http = ThreadingHTTPServer(("127.0.0.1", 0), _handler_of(self))
        self._http.daemon_threads = True
        self._http.handle_error = lambda request, address: None  # who left without a word
        threading.Thread(target=self._http.serve_forever, args=(0.05,), daemon=True).start()

    @property
    def url(self) -> str:
        """What WANDB_BASE_URL is set to."""
        return f"http://127.0.0.1:{self._http.server_port}"

    def history(self, run: str) -> list[Json]:
        """The rows of a run in order, without W&B's own keys."""
        rows = [row for _, row in sorted(self.runs[run]["history"].items())]
        return [{k: v for k, v in row.items() if not k.startswith("_")} for row in rows]

    def close(self) -> None:
        """Stop answering and free the port."""
        self._http.shutdown()
        self._http.server_close()

    def query(self, asked: Json) -> Json:
        """Answer a GraphQL request by the name of its operation."""
        name, given = asked.get("operationName") or _name_in(asked["query"]), asked.get("variables")
        return _ANSWERS.get(name, _unknown)(self, given or {})

    def stream(self, run: str, sent: Json) -> Json:
        """Rows of history and the summary."""
        held = self.run(run)
        for name, part in sent.get("files", {}).items():
            if name == HISTORY:
                lines = enumerate(part["content"], part["offset"])
                held["history"] |= {place: json.loads(line) for place, line in lines}
            elif name == "wandb-summary.json":
                held["summary"] = json.loads(part["content"][-1])
        if sent.get("complete"):
            held["exit_code"] = sent.get("exitcode")
        return {}

    def run(self, name: str) -> Json:
        """What is held of a run."""
        return self.runs.setdefault(name, {"history": {}, "summary": {}, "tags": []})


def _name_in(query: str) -> str:
    found = re.search(r"(?:query|mutation)\s+(\w+)", query)
    return found.group(1) if found else ""


def _unknown(server: WandbServer, given: Json) -> Json:
    return {}


def _viewer(server: WandbServer, given: Json) -> Json:
    teams = {"edges": [{"node": {"name": name, "id": name}} for name in (ENTITY, TEAM)]}
    about = {"id": "me", "entity": ENTITY, "username": ENTITY, "email": "", "flags": "{}"}
    admin = {"admin": False, "apiKeys": {"edges": []}, "name": ENTITY, "deletedAt": None}
    return {"viewer": {**about, **admin, "teams": teams}}


def _bucket(server: WandbServer, name: str) -> Json:
    held = server.run(name)
    project = {"id": "project", "name": held.get("project"), "entity": {"id": "e", "name": ENTITY}}
    return {
        "id": f"id-{name}",
        "name": name,
        "displayName": held.get("displayName") or name,
        "description": "",
        "config": held.get("config") or "{}",
        "sweepName": None,
        "project": project,
        "historyLineCount": len(held["history"]),
        "eventsLineCount": 0,
        "logLineCount": 0,
        "historyTail": json.dumps(
            [json.dumps(row) for _, row in sorted(held["history"].items())[-1:]]
        ),
        "eventsTail": "[]",
        "summaryMetrics": json.dumps(held["summary"]),
        "tags": held["tags"],
        "wandbConfig": json.dumps({"t": 1}),
    }


_LONGEST = {"displayName": 128, "groupName": 128, "project": 128, "jobType": 64}


def _upsert(server: WandbServer, given: Json) -> Json:
    entity = given.get("entity")
    if entity and entity not in (ENTITY, TEAM):
        return {"errors": [{"message": "permission denied", "path": ["upsertBucket"]}]}
    if any(len(given.get(field) or "") > most for field, most in _LONGEST.items()) or any(
        not 1 <= len(tag) <= 64 for tag in given.get("tags") or ()
    ):
        return {"errors": [{"message": "a name is too long", "path": ["upsertBucket"]}]}
    name = given.get("name") or given["id"].removeprefix("id-")
    is_new = name not in server.runs
    held = server.run(name)
    held |= {field: value for field, value in given.items() if value is not None}
    return {"upsertBucket": {"bucket": _bucket(server, name), "inserted": is_new}}


def _resume(server: WandbServer, given: Json) -> Json:
    name = given["name"]
    return {"model": {"bucket": _bucket(server, name) if name in server.runs else None}}


def _upload_urls(server: WandbServer, given: Json) -> Json:
    files = [
        {"name": name, "uploadUrl": f"{server.url}/upload/{given['run']}/{name}"}
        for name in given["files"]
    ]
    return {"createRunFiles": {"runID": given["run"], "uploadHeaders": [], "files": files}}


def _features(server: WandbServer, given: Json) -> Json:
    return {"serverInfo": {"features": []}}


def _artifact_type(server: WandbServer, given: Json) -> Json:
    return {"project": {"artifact": None}}


def _create_artifact(server: WandbServer, given: Json) -> Json:
    asked = given["input"]
    server.artifacts.append(
        {"name": asked["artifactCollectionName"], "type": asked["artifactTypeName"], **asked}
    )
    made = {"id": f"artifact-{len(server.artifacts)}", "state": "PENDING"}
    return {"createArtifact": {"artifact": {**made, "artifactSequence": {"latestArtifact": None}}}}


def _create_manifest(server: WandbServer, given: Json) -> Json:
    file = {
        "id": "file",
        "name": "wandb_manifest.json",
        "displayName": "wandb_manifest.json",
        "uploadUrl": f"{server.url}/upload/manifest/{given.get('artifactID')}",
        "uploadHeaders": [],
    }
    return {"createArtifactManifest": {"artifactManifest": {"id": "manifest", "file": file}}}


def _create_files(server: WandbServer, given: Json) -> Json:
    specs = given.get("input", given).get("artifactFiles") or given.get("artifactFileSpecs")
    edges = [
        {
            "node": {
                "name": one["name"],
                "displayName": one["name"],
                "uploadUrl": f"{server.url}/upload/artifact/{one['name']}",
                "uploadHeaders": [],
                "uploadMultipartUrls": None,
                "storagePath": one["name"],
                "artifact": {"id": one["artifactID"]},
            }
        }
        for one in specs
    ]
    return {"createArtifactFiles": {"files": {"edges": edges}}}


def _commit(server: WandbServer, given: Json) -> Json:
    return {"commitArtifact": {"artifact": {"id": given.get("artifactID"), "digest": ""}}}


_ANSWERS: dict[str, Callable[[WandbServer, Json], Json]] = {
    "Viewer": _viewer,
    "GetViewer": _viewer,
    "UpsertBucket": _upsert,
    "RunResumeStatus": _resume,
    "CreateRunFiles": _upload_urls,
    "ServerFeaturesQuery": _features,
    "ArtifactType": _artifact_type,
    "CreateArtifact": _create_artifact,
    "CreateArtifactManifest": _create_manifest,
    "CreateArtifactFiles": _create_files,
    "CommitArtifact": _commit,
}


def _handler_of(server: WandbServer) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def log_message(self, format: str, *args: object) -> None:
            """Say nothing."""

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PUT(self) -> None:
            self._answer()

        def _answer(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Content-Encoding") == "gzip":
                body = gzip.decompress(body)
            server.received.append(f"{self.path} {self.headers}".encode() + body)
            time.sleep(server.stall(self.path))
            status = server.refuse(self.path)
            if status:
                server.refused += 1
            self._send(status or 200, {} if status else self._good(body))

        def _good(self, body: bytes) -> Json:
            if self.path == "/graphql":
                found = server.query(json.loads(body))
                return found if "errors" in found else {"data": found}
            if self.path.endswith("/file_stream"):
                return server.stream(self.path.split("/")[-2], json.loads(body))
            if self.path.startswith("/upload/"):
                server.files[self.path.removeprefix("/upload/")] = body
            return {}

        def _send(self, status: int, content: Json) -> None:
            text = json.dumps(content).encode()
            self.send_response(status)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(text)))
            self.end_headers()
            self.wfile.write(text)

    return Handler


@contextmanager
def serving() -> Iterator[WandbServer]:
    """A server that ends with the block."""
    server = WandbServer()
    try:
        yield server
    finally:
        server.close()
