"""A cluster's job service, behind its dashboard: every question to it is answered in a bounded
time, or refused in a line."""

import logging
import os
import time
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.client import HTTPException
from typing import TypeVar

import ray
from ray.exceptions import AuthenticationError
from ray.job_submission import JobDetails, JobSubmissionClient

from casas_ray.config import Machine
from casas_ray.errors import CasasError, ClusterError, SettingsError, first_line
from casas_ray.files import why
from casas_ray.run.reach import in_time

Value = TypeVar("Value")
Say = Callable[[str], None]

PATIENCE_SECONDS = 60.0
"""For a cluster that stops answering: it is asked again for so long."""

_KNOCK_SECONDS = 5.0
_ANSWER_SECONDS = 20.0
_SEND_SECONDS = 600.0
_AGAIN_SECONDS = 1.0
_NO_SUCH_JOB = "404"


class Dashboard:
    """What answers at an address; it was seen to be Ray's, and to take our token."""

    def __init__(self, address: str, client: JobSubmissionClient) -> None:
        self.address = address
        self.client = client

    def ask(self, question: Callable[[], Value], *, patience: float = 0.0) -> Value:
        """What the cluster answers; while it does not, it is asked again for so many seconds.

        Raises:
            ClusterError: it does not answer, or no longer takes our token.
            RuntimeError: it answers that it will not, or that it knows of no such job.
        """
        end = time.monotonic() + patience
        while True:
            try:
                return in_time(question, seconds=_ANSWER_SECONDS)
            except AuthenticationError:
                raise wants_token(self.address) from None
            except (OSError, HTTPException, RuntimeError) as error:
                refused = isinstance(error, RuntimeError)
                if refused and (not patience or _NO_SUCH_JOB in first_line(error)):
                    raise
                if time.monotonic() >= end:
                    raise unreachable(self.address, why(error)) from None
                time.sleep(_AGAIN_SECONDS)

    def send(self, question: Callable[[], Value]) -> Value:
        """As `ask`, of a question that carries files."""
        try:
            return in_time(question, seconds=_SEND_SECONDS)
        except OSError as error:
            raise unreachable(self.address, why(error)) from None

    def job(self, name: str, *, patience: float = 0.0) -> JobDetails:
        """What is known of a job.

        Raises:
            ClusterError: the cluster does not answer, or knows of no such job.
        """
        try:
            return self.ask(lambda: self.client.get_job_info(name), patience=patience)
        except RuntimeError as error:
            raise _no_such_job(self.address, name, error) from None

    def download(self, path: str) -> urllib.request.Request:
        """The request for a path below the address, with our token."""
        headers = dict(self.client._headers)  # the client's own, which has no public name
        return urllib.request.Request(f"{self.address.rstrip('/')}/{path}", headers=headers)


@contextmanager
def reached(machine: Machine) -> Iterator[Dashboard]:
    """The dashboard that a machine names, once it has answered; what it answers within the block
    and Ray never would is told in one line.

    Raises:
        SettingsError: the machine names none.
        ClusterError: nobody answers there, or not to us, or nothing that Ray says.
    """
    with _trusting_no_answer(machine):
        yield _connected(machine)


def _connected(machine: Machine) -> Dashboard:
    address = machine.dashboard
    if not address:
        raise SettingsError(
            f"machine '{machine.name}' has no dashboard address.",
            hint="take --machine local-head, or give --dashboard http://HOST:8265",
        )
    logging.getLogger("ray").setLevel(logging.WARNING)
    for name in ("ray.dashboard.modules.job.sdk", "ray.dashboard.modules.dashboard_sdk"):
        logging.getLogger(name).setLevel(logging.ERROR)
    # Ray lets these override the address that it is given.
    for name in ("RAY_ADDRESS", "RAY_API_SERVER_ADDRESS"):
        os.environ.pop(name, None)
    try:
        in_time(lambda: _knock(address), seconds=2 * _KNOCK_SECONDS)
        client = in_time(lambda: JobSubmissionClient(address), seconds=_ANSWER_SECONDS)
    except AuthenticationError:
        raise wants_token(address) from None
    except (OSError, HTTPException, RuntimeError, ValueError) as error:
        raise unreachable(address, why(error)) from None
    return Dashboard(address if "://" in address else f"http://{address}", client)


def refuse_another_ray(dashboard: Dashboard) -> None:
    """Refuse a cluster whose Ray is not of this machine's version; asked before anything is sent.

    Raises:
        ClusterError: it is not.
    """
    answer = dashboard.ask(lambda: dashboard.client._do_request("GET", "/api/version").json())
    there = str(answer["ray_version"])
    if there != ray.__version__:
        raise ClusterError(
            f"the cluster at {dashboard.address} has ray {there}, this machine {ray.__version__}.",
            hint=f"pip install 'ray[default]=={there}' here, or the same version there.",
        )


@contextmanager
def _trusting_no_answer(machine: Machine) -> Iterator[None]:
    """Say in one line that a dashboard's answer is none that Ray's gives."""
    try:
        yield
    except CasasError:
        raise
    # Anything at all: Ray's client indexes whatever JSON comes, and raises as that does.
    except Exception as error:
        raise ClusterError(
            f"what answers at {machine.dashboard} is no Ray dashboard, or one that fails: "
            f"{type(error).__name__}: {first_line(error)}",
            hint="check the address and the head's logs; --debug shows where it failed.",
        ) from error


def unreachable(address: str, reason: str) -> ClusterError:
    """The error that no dashboard answers at an address."""
    return ClusterError(
        f"no Ray dashboard answers at machine.dashboard={address}: {reason}",
        hint="start a head with `ray start --head`, or give another --dashboard",
    )


def wants_token(address: str) -> ClusterError:
    """The error that a cluster does not take our token, or that we have none."""
    return ClusterError(
        f"the cluster at {address} wants its token.",
        hint="put it into ~/.ray/auth_token (mode 0600) or name its file in "
        "RAY_AUTH_TOKEN_PATH, and set RAY_AUTH_MODE=token",
    )


def _no_such_job(address: str, name: str, error: RuntimeError) -> ClusterError:
    if _NO_SUCH_JOB not in first_line(error):
        return ClusterError(
            f"the cluster at {address} does not say how job {name} is: {first_line(error)}",
            hint="`casas-ray jobs` lists those that it knows.",
        )
    return ClusterError(
        f"the cluster at {address} knows of no job {name}.",
        hint="`casas-ray jobs` lists those that it knows; a head that was started anew has "
        "forgotten all.",
    )


def _knock(dashboard: str) -> None:
    """Nothing, when somebody answers at an address; Ray's client would wait for that for ever.

    Raises:
        OSError, HTTPException, ValueError: nobody does, or it is no address.
    """
    address = dashboard if "://" in dashboard else f"http://{dashboard}"
    parts = urllib.parse.urlsplit(address)
    if parts.scheme not in ("http", "https") or not parts.hostname or parts.port == 0:
        raise ValueError("wanted an address such as http://127.0.0.1:8265")
    version = f"{address.rstrip('/')}/api/version"
    try:
        with urllib.request.urlopen(version, timeout=_KNOCK_SECONDS):
            pass
    except urllib.error.HTTPError:
        pass  # somebody: whether it is Ray, and will have us, its client finds out
    except urllib.error.URLError as error:
        raise OSError(str(error.reason)) from None
