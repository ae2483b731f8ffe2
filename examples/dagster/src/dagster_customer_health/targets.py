"""What people write for the address of a service, as gRPC takes it; what it cannot take is refused before any waiting."""

import ipaddress
import os
from collections.abc import Mapping
from dataclasses import dataclass
from urllib.parse import SplitResult, urlsplit

# What gRPC resolves on its own; the rest behind the colon is the resolver's.
_RESOLVERS = ("dns", "ipv4", "ipv6", "unix", "unix-abstract", "vsock", "xds", "google-c2p")
_URLS = {"http": False, "https": True}
# Where gRPC looks for a proxy, and for the hosts that it leaves out: the first that is set counts.
_PROXY = ("grpc_proxy", "https_proxy", "http_proxy")
_HINT = "give HOST:PORT, and `tls: true` for TLS"


@dataclass(frozen=True)
class Target:
    """Where a service is."""

    address: str
    """As gRPC takes it."""
    tls: bool
    """Whether the address itself asks for TLS, as `https://` does."""
    local: bool
    """Whether it is on this machine, where no proxy is."""

    @property
    def proxy(self) -> str | None:
        """Name of the environment variable whose proxy may stand in between."""
        if self.local:
            return None
        return next((name for name in _PROXY if os.environ.get(name)), None)


def parse(text: str, settings: Mapping[str, object]) -> Target:
    """Reads `HOST:PORT`, `http://HOST:PORT`, `https://HOST:PORT` or a target of gRPC's own such as `unix:/run/scores.sock`.

    Raises a `ValueError` that says what is wrong. `settings` are those that are set and mean TLS, by their names.
    """
    given = text.strip()
    scheme, colon, rest = given.partition(":")
    if colon and scheme.lower() in _URLS and rest.startswith("//"):
        return _url(text, given, settings)
    if colon and scheme in _RESOLVERS and not rest.isdigit():
        # A name behind a resolver wants a port as well; without one gRPC takes 443 in silence.
        if scheme == "dns":
            host, port = _host_port(text, rest.rpartition("/")[2])
            return Target(given, tls=False, local=_is_loopback(host))
        local = scheme in ("unix", "unix-abstract") or (scheme in ("ipv4", "ipv6") and _all_loopback(text, rest))
        return Target(given, tls=False, local=local)
    if "://" in given:
        raise _wrong(text, f"`{scheme}://` is not known")
    host, port = _host_port(text, given.removesuffix("/"))
    return Target(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", tls=False, local=_is_loopback(host))


def _url(text: str, given: str, settings: Mapping[str, object]) -> Target:
    url: SplitResult = urlsplit(given)
    if url.username is not None or url.password is not None:
        raise _wrong("...", "a name or a password does not belong there: give `token` or `metadata`")
    if url.path not in ("", "/") or url.query or url.fragment:
        raise _wrong(text, "there is more behind the port")
    tls = _URLS[url.scheme]
    if not tls and (named := next((name for name, value in settings.items() if value), None)):
        raise _wrong(text, f"`http://` is without TLS, and `{named}` asks for it")
    host, port = _host_port(text, url.netloc)
    return Target(f"[{host}]:{port}" if ":" in host else f"{host}:{port}", tls=tls, local=_is_loopback(host))


def _host_port(text: str, given: str) -> tuple[str, int]:
    host, colon, port = given.rpartition(":")
    bracketed = host.startswith("[") and host.endswith("]")
    if not colon or given.endswith("]"):
        raise _wrong(text, "the port is missing")
    if ":" in host and not bracketed:
        raise _wrong(text, "an IPv6 address stands in brackets before its port, as `[::1]:50051`")
    host = host[1:-1] if bracketed else host
    if not host or any(sign.isspace() or sign in "/@?#[]" for sign in host):
        raise _wrong(text, "there is no host" if not host else f"`{host}` is no host")
    if not (port.isascii() and port.isdigit() and 0 < int(port) < 65536):
        raise _wrong(text, f"`{port}` is no port" if port else "the port is missing")
    return host, int(port)


def _is_loopback(host: str) -> bool:
    if host.lower().rstrip(".") == "localhost" or host.lower().rstrip(".").endswith(".localhost"):
        return True
    try:
        return ipaddress.ip_address(host.partition("%")[0]).is_loopback
    except ValueError:
        return False


def _all_loopback(text: str, rest: str) -> bool:
    return all(_is_loopback(_host_port(text, one)[0]) for one in rest.split(","))


def _wrong(text: str, what: str) -> ValueError:
    return ValueError(f"target `{text}`: {what}\n  hint: {_HINT}")
