"""Addresses as people write them are taken, or refused before any waiting."""

import time

import pytest

from dagster_customer_health import HealthScoreServiceResource, ServiceError, targets


@pytest.mark.parametrize(
    ("text", "address", "tls", "local"),
    [
        ("127.0.0.1:50051", "127.0.0.1:50051", False, True),
        (" localhost:50051\n", "localhost:50051", False, True),
        ("127.0.0.1:50051/", "127.0.0.1:50051", False, True),
        ("[::1]:50051", "[::1]:50051", False, True),
        ("scores.internal:443", "scores.internal:443", False, False),
        ("http://127.0.0.1:50051", "127.0.0.1:50051", False, True),
        ("HTTP://[::1]:50051/", "[::1]:50051", False, True),
        ("https://scores.internal:50051", "scores.internal:50051", True, False),
        ("dns:///127.0.0.1:50051", "dns:///127.0.0.1:50051", False, True),
        ("dns:scores.internal:50051", "dns:scores.internal:50051", False, False),
        ("ipv4:127.0.0.1:1,127.0.0.2:2", "ipv4:127.0.0.1:1,127.0.0.2:2", False, True),
        ("ipv4:127.0.0.1:1,10.0.0.1:2", "ipv4:127.0.0.1:1,10.0.0.1:2", False, False),
        ("unix:///run/scores.sock", "unix:///run/scores.sock", False, True),
        ("dns:50051", "dns:50051", False, False),  # a host of that name
    ],
)
def test_what_is_taken(text, address, tls, local):
    assert targets.parse(text, {}) == targets.Target(address, tls, local)


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("localhost", "the port is missing"),
        ("http://localhost", "the port is missing"),
        ("dns:///scores.internal", "the port is missing"),
        ("[::1]", "the port is missing"),
        ("localhost:", "the port is missing"),
        ("localhost:http", "`http` is no port"),
        ("localhost:0", "`0` is no port"),
        ("localhost:65536", "`65536` is no port"),
        ("::1:50051", "in brackets"),
        (":50051", "there is no host"),
        ("", "the port is missing"),
        ("http://127.0.0.1:50051/scores", "more behind the port"),
        ("https://127.0.0.1:50051?x=1", "more behind the port"),
        ("https://me:secret@scores.internal:50051", "does not belong there"),
        ("grpc://127.0.0.1:50051", "`grpc://` is not known"),
        ("scores internal:50051", "is no host"),
    ],
)
def test_what_is_refused(text, why):
    with pytest.raises(ValueError, match=why) as caught:
        targets.parse(text, {})
    assert "give HOST:PORT" in str(caught.value) and "secret" not in str(caught.value)


def test_tls_and_an_address_without_it_do_not_go_together():
    with pytest.raises(ValueError, match="`ca_file` asks for it"):
        targets.parse("http://scores.internal:50051", {"tls": False, "ca_file": "ca.pem"})


def test_a_wrong_address_is_refused_at_once_and_not_tried_again():
    started = time.monotonic()
    with pytest.raises(ServiceError, match="the port is missing") as caught, HealthScoreServiceResource(target="here").connect():
        pass
    assert time.monotonic() - started < 1 and not caught.value.retryable


def test_a_wrong_address_is_told_at_load(project):
    project.attributes(customer_data_asset_key="customers", service={"target": "http://scores.internal/health"})
    with pytest.raises(Exception) as caught, project.load():
        pass
    assert "more behind the port" in str(caught.value.__cause__ or caught.value)


@pytest.fixture
def proxy(monkeypatch):
    for name in ("http_proxy", "https_proxy", "grpc_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    for name in ("no_proxy", "NO_PROXY", "no_grpc_proxy"):
        monkeypatch.delenv(name, raising=False)


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "http://127.0.0.1", "dns:///127.0.0.1"])
def test_no_proxy_stands_before_this_machine(proxy, serve, host):
    _, address = serve()
    with HealthScoreServiceResource(target=f"{host}:{address.rpartition(':')[2]}", ready_timeout_seconds=5).connect() as client:
        assert client.scorecards().scorecards


def test_a_proxy_before_another_machine_is_told(proxy):
    with pytest.raises(ServiceError, match=r"through the proxy of \$grpc_proxy"):
        with HealthScoreServiceResource(target="192.0.2.1:50051", ready_timeout_seconds=0.2).connect():
            pass
