"""Ray's job service as a network shows it on a bad day: it drops connections, falls silent, forgets
jobs. The protocol is Ray's; what runs is one job whose log the test writes."""

import asyncio
import contextlib
import threading
from collections.abc import Coroutine, Iterator
from typing import Any

import ray
from aiohttp import WSMsgType, web

_VERSION = {"version": "4", "ray_version": ray.__version__, "ray_commit": "", "session_name": ""}


class JobService:
    """One job; all of it is set by the test, from any thread."""

    def __init__(self) -> None:
        self.log = ""
        self.status = "RUNNING"
        self.exit_code: int | None = None
        self.knows_job = True
        self.tails_only = -1
        """Of how many characters of the log a follower hears; all where it is negative."""

        self.connections = 0
        self.url = ""
        self._loop = asyncio.new_event_loop()
        self._open: set[web.WebSocketResponse] = set()
        self._answering = asyncio.Event()
        self._answering.set()

    def drop(self) -> None:
        """Break off whatever follows the log now."""
        self._do(self._drop())

    def fall_silent(self) -> None:
        """Take connections and say nothing more."""
        self._loop.call_soon_threadsafe(self._answering.clear)

    def speak(self) -> None:
        """Answer again."""
        self._loop.call_soon_threadsafe(self._answering.set)

    def end(self, status: str, code: int | None) -> None:
        """The job ends so."""
        self.exit_code, self.status = code, status

    async def _drop(self) -> None:
        for socket in list(self._open):
            transport = socket._req.transport if socket._req else None
            if transport:
                transport.abort()

    def _do(self, work: Coroutine[Any, Any, None]) -> None:
        asyncio.run_coroutine_threadsafe(work, self._loop).result(timeout=60)

    async def _version(self, request: web.Request) -> web.Response:
        await self._answering.wait()
        return web.json_response(_VERSION)

    async def _info(self, request: web.Request) -> web.Response:
        await self._answering.wait()
        name = request.match_info["job"]
        if not self.knows_job:
            return web.Response(status=404, text=f"Job {name} does not exist")
        about = {"type": "SUBMISSION", "submission_id": name, "entrypoint": "casas-ray plan x"}
        return web.json_response(
            {**about, "status": self.status, "driver_exit_code": self.exit_code}
        )

    async def _logs(self, request: web.Request) -> web.Response:
        await self._answering.wait()
        return web.json_response({"logs": self.log})

    async def _tail(self, request: web.Request) -> web.WebSocketResponse:
        await self._answering.wait()
        socket = web.WebSocketResponse()
        await socket.prepare(request)
        self.connections += 1
        self._open.add(socket)
        sent = 0
        try:
            while not socket.closed:
                await self._answering.wait()
                until = len(self.log) if self.tails_only < 0 else self.tails_only
                ended = self.status != "RUNNING" and self.tails_only < 0
                if sent < until:
                    # In pieces that end anywhere, as a network's do.
                    piece = self.log[sent : min(until, sent + 7)]
                    await socket.send_str(piece)
                    sent += len(piece)
                elif ended:
                    await socket.close()
                else:
                    with contextlib.suppress(asyncio.TimeoutError):
                        heard = await asyncio.wait_for(socket.receive(), 0.02)
                        if heard.type in (WSMsgType.CLOSE, WSMsgType.CLOSED, WSMsgType.CLOSING):
                            break
        except ConnectionError:
            pass
        finally:
            self._open.discard(socket)
        return socket

    def _serve(self, ready: threading.Event) -> None:
        asyncio.set_event_loop(self._loop)
        app = web.Application()
        app.router.add_get("/api/version", self._version)
        app.router.add_get("/api/jobs/{job}", self._info)
        app.router.add_get("/api/jobs/{job}/logs", self._logs)
        app.router.add_get("/api/jobs/{job}/logs/tail", self._tail)
        runner = web.AppRunner(app, shutdown_timeout=0.1)
        self._loop.run_until_complete(runner.setup())
        site = web.TCPSite(runner, "127.0.0.1", 0)
        self._loop.run_until_complete(site.start())
        self.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
        ready.set()
        self._loop.run_forever()
        self._loop.run_until_complete(runner.cleanup())


@contextlib.contextmanager
def job_service() -> Iterator[JobService]:
    """A service with a job that has begun."""
    service, ready = JobService(), threading.Event()
    thread = threading.Thread(target=service._serve, args=(ready,), daemon=True)
    thread.start()
    assert ready.wait(60)
    try:
        yield service
    finally:
        service.speak()
        service._loop.call_soon_threadsafe(service._loop.stop)
        thread.join(timeout=10)
