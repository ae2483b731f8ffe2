"""The service as a Dagster resource: one that runs elsewhere, or a local one that is started and stopped here."""

import os
import queue
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import dagster as dg
import grpc
from pydantic import Field

from . import access, targets
from ._proto import component_pb2, customer_health_pb2_grpc, inspect_pb2, run_pb2, stream_pb2

BINARY = "CUSTOMER_HEALTH_BIN"

# Reasons for which trying the same again may help; those of the contract.
RETRYABLE = {"OUTPUT_CONFLICT", "RESOURCE_EXHAUSTED", "UNAVAILABLE"}

# Reasons of this side: there is no program that starts, or no address that can be called. Trying again does not help.
NOT_STARTED = "NOT_STARTED"
INVALID_TARGET = "INVALID_TARGET"


class ServiceError(Exception):
    """A call that failed, with the service's reason and message."""

    def __init__(self, reason: str, code: str, message: str):
        super().__init__(message)
        self.reason = reason
        self.code = code

    @property
    def retryable(self) -> bool:
        return self.reason in RETRYABLE

    @classmethod
    def of(cls, error: grpc.RpcError) -> "ServiceError":
        trailers = {key: value for key, value in (error.trailing_metadata() or ())}
        code = error.code().name
        return cls(trailers.get("customer-health-reason", code), code, error.details() or code)

    def failure(self) -> dg.Failure:
        """What a step fails with."""
        metadata = {"reason": self.reason, "grpc_code": self.code}
        return dg.Failure(description=f"{self.reason}: {self}", metadata=metadata, allow_retries=self.retryable)


class HealthScoreClient:
    """Calls of the service, with the resource's metadata and timeout; what fails is a `ServiceError`."""

    def __init__(
        self,
        channel: grpc.Channel,
        metadata: Sequence[tuple[str, str]],
        timeout: float | None,
        until: float | None = None,
    ):
        self._stub = customer_health_pb2_grpc.CustomerHealthServiceStub(channel)
        self._metadata = metadata
        self._timeout = timeout
        # The moment at which plain calls are given up, by the monotonic clock.
        self._until = until

    def materialize(self, request: run_pb2.MaterializeRequest) -> Iterator[run_pb2.MaterializeResponse]:
        """Events of a run; leaving the iteration in whatever way cancels the run."""
        yield from self._events(self._stub.Materialize(request, timeout=self._timeout, metadata=self._metadata))

    def materialize_stream(
        self, parts: Iterator[stream_pb2.MaterializeStreamRequest]
    ) -> Iterator[stream_pb2.MaterializeStreamResponse]:
        """The same for a run whose inputs are sent along."""
        yield from self._events(self._stub.MaterializeStream(parts, timeout=self._timeout, metadata=self._metadata))

    def materialize_sync(self, request: run_pb2.MaterializeSyncRequest) -> run_pb2.MaterializeSyncResponse:
        return self._plain(self._stub.MaterializeSync, request, self._timeout)

    def validate(
        self,
        component: component_pb2.ComponentSource,
        inputs: Sequence[component_pb2.InputOverride] = (),
        history: str | None = None,
    ) -> inspect_pb2.ValidateComponentResponse:
        request = inspect_pb2.ValidateComponentRequest(component=component, inputs=inputs, history=history or "")
        return self._plain(self._stub.ValidateComponent, request, 60)

    def describe(
        self,
        component: component_pb2.ComponentSource,
        inputs: Sequence[component_pb2.InputOverride] = (),
        history: str | None = None,
    ) -> inspect_pb2.DescribeComponentResponse:
        request = inspect_pb2.DescribeComponentRequest(component=component, inputs=inputs, history=history or "")
        return self._plain(self._stub.DescribeComponent, request, 60)

    def explain(self, request: inspect_pb2.ExplainCustomerRequest) -> inspect_pb2.ExplainCustomerResponse:
        return self._plain(self._stub.ExplainCustomer, request, self._timeout)

    def scorecards(self) -> inspect_pb2.ListScorecardsResponse:
        return self._plain(self._stub.ListScorecards, inspect_pb2.ListScorecardsRequest(), 60)

    def _plain(self, method: Any, request: Any, timeout: float | None) -> Any:
        if self._until is not None:
            left = max(0.0, self._until - time.monotonic())
            timeout = left if timeout is None else min(timeout, left)
        call = method.future(request, timeout=timeout, metadata=self._metadata)
        try:
            return call.result()
        except grpc.RpcError as error:
            raise ServiceError.of(error) from None
        finally:
            call.cancel()

    def _events(self, call: Any) -> Iterator[Any]:
        try:
            yield from call
        except grpc.RpcError as error:
            raise ServiceError.of(error) from None
        finally:
            call.cancel()


class HealthScoreServiceResource(dg.ConfigurableResource):
    """Where the scores are computed.

    With a `target`, a service that runs there; without one, the local program `customer-health serve`, which is started on a
    free port of the loopback interface when it is needed, and stopped behind it.
    """

    target: str | None = Field(
        default=None,
        description="HOST:PORT, http://HOST:PORT, https://HOST:PORT or a gRPC target such as unix:/run/scores.sock of a running "
        "service; a local one is started without it.",
    )
    tls: bool = Field(default=False, description="Whether to use TLS; so it is where one of the three files is given.")
    ca_file: str | None = Field(default=None, description="PEM file with the authorities to trust, in place of the system's.")
    cert_file: str | None = Field(default=None, description="PEM file with this client's certificate.")
    key_file: str | None = Field(default=None, description="PEM file with the key of this client's certificate.")
    token: str | None = Field(default=None, description="Bearer token that is sent with each call.")
    metadata: dict[str, str] = Field(default={}, description="Headers that are sent with each call.")
    timeout_seconds: float | None = Field(default=None, description="Longest time that a run may take; without end if left out.")
    ready_timeout_seconds: float = Field(
        default=30, description="Longest time that a run waits until the service says that it serves."
    )
    load_timeout_seconds: float = Field(
        default=2, description="Longest time that the loading of a code location waits for services that do not answer."
    )
    binary: str | None = Field(
        default=None,
        description=f"Program to start where there is no target; ${BINARY}, else customer-health in the PATH if left out.",
    )
    allow: list[str] = Field(default=[], description="Folders and prefixes of object stores that the local program may use, beside those of the component.")
    memory_limit: str | None = Field(default=None, description="Memory of the local program before it spills to disk, as 2GiB.")

    @contextmanager
    def connect(self, allow: Sequence[str] = (), within: float | None = None) -> Iterator[HealthScoreClient]:
        """A client of the service once it serves. `allow` are folders that a local one needs.

        With `within`, all that is asked has to be answered in so many seconds, and a service that refuses is not tried again.
        """
        until = time.monotonic() + within if within is not None else None
        if self.target:
            with self._client(self.target, None, until) as client:
                yield client
            return
        ready = self.ready_timeout_seconds if within is None else min(within, self.ready_timeout_seconds)
        with _Local(self.program(), [*allow, *self.allow], self.memory_limit, hurried=within is not None) as local:
            with self._client(local.address(ready), local, until) as client:
                yield client

    def program(self) -> str:
        """The local program."""
        named = self.binary or os.environ.get(BINARY)
        found = shutil.which(named or "customer-health")
        if found is None:
            raise ServiceError(
                NOT_STARTED,
                "UNAVAILABLE",
                f"cannot find the program {named or 'customer-health'}\n"
                f"  hint: put customer-health into the PATH or name it in ${BINARY}, or give `target` the address of a service",
            )
        return found

    @contextmanager
    def _client(self, target: str, local: "_Local | None", until: float | None) -> Iterator[HealthScoreClient]:
        try:
            place = targets.parse(target, {"tls": self.tls, "ca_file": self.ca_file, "cert_file": self.cert_file})
        except ValueError as error:
            raise ServiceError(INVALID_TARGET, "INVALID_ARGUMENT", str(error)) from None
        options = [
            ("grpc.max_receive_message_length", -1),
            ("grpc.max_send_message_length", -1),
            # A machine that vanishes is noticed in the midst of a long run.
            ("grpc.keepalive_time_ms", 30_000),
            ("grpc.keepalive_timeout_ms", 20_000),
            # A company's proxy leads out of this machine, never back into it.
            ("grpc.enable_http_proxy", 0 if place.local else 1),
        ]
        metadata = [(key.lower(), value) for key, value in self.metadata.items()]
        if self.token:
            metadata.append(("authorization", f"Bearer {self.token}"))
        if self.tls or place.tls or self.ca_file or self.cert_file:
            read = lambda path: Path(path).read_bytes() if path else None  # noqa: E731
            credentials = grpc.ssl_channel_credentials(read(self.ca_file), read(self.key_file), read(self.cert_file))
            channel = grpc.secure_channel(place.address, credentials, options)
        else:
            if self.token and not place.local:
                raise ServiceError(
                    "DENIED", "UNAUTHENTICATED", "a token is not sent without encryption\n  hint: give `tls: true` or `ca_file`"
                )
            channel = grpc.insecure_channel(place.address, options)
        with channel:
            self._wait(channel, place, metadata, local, until)
            yield HealthScoreClient(channel, metadata, self.timeout_seconds, until)

    def _wait(
        self,
        channel: grpc.Channel,
        place: targets.Target,
        metadata: list[tuple[str, str]],
        local: "_Local | None",
        until: float | None,
    ) -> None:
        """Waits until the standard health service says SERVING (field 1, value 1)."""
        check = channel.unary_unary("/grpc.health.v1.Health/Check")
        deadline = time.monotonic() + self.ready_timeout_seconds
        if until is not None:
            deadline = min(deadline, until)
        while True:
            try:
                if check(b"", timeout=max(0.1, deadline - time.monotonic()), metadata=metadata) == b"\x08\x01":
                    return
                problem = "it says that it does not serve"
            except grpc.RpcError as error:
                if error.code() == grpc.StatusCode.UNIMPLEMENTED:
                    return  # no health service in front of it
                if error.code() not in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.DEADLINE_EXCEEDED):
                    raise ServiceError.of(error) from None
                problem = error.details() or error.code().name
            if local is not None:
                local.check()
            # While a location loads, one that is not there is not waited for.
            if time.monotonic() >= deadline or (local is None and until is not None):
                through = f"\n  hint: it is called through the proxy of ${place.proxy}" if place.proxy else ""
                raise ServiceError("UNAVAILABLE", "UNAVAILABLE", f"no service at {place.address}: {problem}{through}")
            time.sleep(0.1)


class _Local:
    """A service of one's own: a child process on a free port of the loopback interface."""

    def __init__(self, program: str, allow: Sequence[str], memory_limit: str | None, hurried: bool = False):
        # One that was asked a question in a hurry has nothing to finish.
        self._grace = 0.2 if hurried else 10.0
        # Its standard input is a pipe that nobody else holds, so that it ends with this process even where that is killed.
        self._command = [program, "serve", "--listen", "127.0.0.1:0", "--until-stdin-closes"]
        for place in dict.fromkeys(filter(None, map(access.argument, allow))):
            self._command += ["--allow", place]
        if memory_limit:
            self._command += ["--memory-limit", memory_limit]

    def __enter__(self) -> "_Local":
        self._log = tempfile.TemporaryFile("w+", errors="replace")
        self._process = subprocess.Popen(
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=self._log, text=True
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._process.terminate()
        try:
            self._process.wait(self._grace)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._process.stdin.close()  # type: ignore[union-attr]
        self._log.close()

    def address(self, timeout: float) -> str:
        """The address that it listens on."""
        lines: queue.Queue[str] = queue.Queue()

        def read() -> None:
            with self._process.stdout:  # type: ignore[union-attr]
                for line in self._process.stdout:  # type: ignore[union-attr]
                    lines.put(line)
            lines.put("")

        threading.Thread(target=read, daemon=True).start()
        deadline = time.monotonic() + timeout
        try:
            while line := lines.get(timeout=max(0.0, deadline - time.monotonic())):
                if "listening on http://" in line:
                    return line.strip().rpartition("//")[2]
        except queue.Empty:
            raise self._error("UNAVAILABLE", f"it did not start within {timeout:.3g} s") from None
        self._process.wait(5)
        raise self._ended()

    def check(self) -> None:
        """Raises where it ended."""
        if self._process.poll() is not None:
            raise self._ended()

    def _ended(self) -> ServiceError:
        """One that ends on its own does so again when it is started again; one that was killed may not."""
        code = self._process.returncode
        return self._error(NOT_STARTED if code and code > 0 else "UNAVAILABLE", f"it ended with exit code {code}")

    def _error(self, reason: str, what: str) -> ServiceError:
        self._log.seek(0)
        told = self._log.read()[-2000:].strip()
        return ServiceError(reason, "UNAVAILABLE", f"{' '.join(self._command[:2])}: {what}\n{told}".strip())
