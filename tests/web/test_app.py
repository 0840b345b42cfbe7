"""The parts together: bounds, addresses, failures, logs, metrics."""

from __future__ import annotations

import errno
import io
import json
import re
import subprocess
import sys

import prometheus_client.values
import pytest

from scim_server import create_app
from scim_server.errors import Unavailable
from scim_server.operations import users
from tests.web.conftest import Caller


def lines_of(capsys) -> list[dict]:
    return [json.loads(line) for line in capsys.readouterr().err.splitlines() if line.startswith("{")]


def test_importing_the_package_is_cheap():
    code = "import sys, scim_server; sys.exit('flask' in sys.modules or 'sqlalchemy' in sys.modules)"

    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


def test_every_answer_has_the_headers_that_never_change(app):
    for path in ("/healthz", "/scim/v2/Users", "/nowhere", "/scim/v2/Users?filter=%00"):
        headers = app.test_client().get(path, headers={"X-Request-Id": "req-1"}).headers

        assert headers["X-Content-Type-Options"] == "nosniff"
        assert headers["Cache-Control"] == "no-store"
        assert headers["X-Request-Id"] == "req-1"


@pytest.mark.parametrize("path", ["/scim/v2/Users", "/admin/v1/mappings/x", "/jit/v1/login"])
def test_no_route_reads_more_than_the_bound(make_app, path):
    app = make_app(max_body_bytes=2000)

    announced = app.test_client().post(path, data=b"x" * 2001)

    assert announced.status_code == 413
    assert "2000" in announced.get_json(force=True)["detail"]


@pytest.mark.parametrize(("size", "status"), [(20_000, 400), (200_000, 413)])
def test_a_body_without_a_length_is_bounded_too(make_app, make_token, size, status):
    small = make_app(max_body_bytes=100_000)

    response = small.test_client().post(
        "/scim/v2/Users",
        input_stream=io.BytesIO(b"x" * size),
        headers={"Authorization": f"Bearer {make_token('scim')}", "Transfer-Encoding": "chunked"},
        environ_overrides={"wsgi.input_terminated": True, "CONTENT_LENGTH": ""},
    )

    assert response.status_code == status


def test_an_address_or_headers_beyond_all_measure_are_refused_in_the_right_form(app):
    client = app.test_client()

    long = client.get("/scim/v2/Users?filter=" + "x" * 140_000)
    large = client.get("/admin/v1/seats", headers={"X-Large": "x" * 70_000})

    assert (long.status_code, long.get_json(force=True)["status"]) == (414, "414")
    assert (large.status_code, large.get_json(force=True)["status"]) == (431, 431)


def test_a_configured_address_is_used_whatever_the_request_says(make_app, make_token):
    public = make_app(base_url="https://scim.example.com")

    response = public.test_client().post(
        "/scim/v2/Users",
        json={"userName": "ada"},
        headers={
            "Authorization": f"Bearer {make_token('scim')}",
            "Host": "evil.example",
            "X-Forwarded-Host": "evil.example",
            "X-Forwarded-Proto": "gopher",
            "Forwarded": "host=evil.example",
        },
    )

    assert "evil" not in response.text + str(response.headers)
    assert response.headers["Location"].startswith("https://scim.example.com/scim/v2/Users/")


@pytest.mark.parametrize(
    ("proxies", "expected"), [(0, "http://localhost/"), (1, "https://scim.example.com/")]
)
def test_forwarded_headers_count_only_behind_a_trusted_proxy(make_app, proxies, expected):
    client = make_app(trusted_proxies=proxies).test_client()

    forwarded = {"X-Forwarded-Host": "scim.example.com", "X-Forwarded-Proto": "https"}
    document = client.get("/scim/v2/ServiceProviderConfig", headers=forwarded)

    assert document.get_json(force=True)["meta"]["location"].startswith(expected)


@pytest.mark.parametrize("surface", ["scim", "owner"])
def test_a_failure_that_nobody_foresaw_tells_its_id_and_not_its_cause(caller, monkeypatch, capsys, surface):
    def broken(*args, **kwargs):
        raise KeyError("the secret cause")

    monkeypatch.setattr("scim_server.operations.queries.search", broken)
    monkeypatch.setattr("scim_server.operations.seats.overview", broken)

    response = caller(surface).get({"scim": "/Users", "owner": "/seats"}[surface], X_Request_Id="req-7")

    assert response.status_code == 500
    assert response.headers["X-Request-Id"] == "req-7"
    assert "secret" not in response.text
    assert "KeyError" not in response.text
    [line] = [line for line in lines_of(capsys) if line["event"] == "unexpected error"]
    assert line["request_id"] == "req-7"
    assert "the secret cause" in line["exception"]


def test_a_database_that_is_away_is_no_empty_list(caller, monkeypatch):
    scim = caller("scim")

    def away(*args, **kwargs):
        raise Unavailable("The database is not available at the moment; try again shortly.")

    monkeypatch.setattr("scim_server.store.search.find", away)
    monkeypatch.setattr("scim_server.store.database.Database.read", away)
    response = scim.get("/Users")

    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) > 0
    assert scim.app.test_client().get("/readyz").status_code == 503
    assert scim.app.test_client().get("/healthz").status_code == 200


def test_why_the_database_is_away_is_in_the_log_and_not_in_the_answer(capsys):
    app = create_app({"database_url": "postgresql://scim:secret@127.0.0.1:1/scim"})

    response = app.test_client().get("/readyz", headers={"X-Request-Id": "req-7"})

    assert response.status_code == 503
    assert "127.0.0.1" not in response.text
    [line] = [line for line in lines_of(capsys) if line["event"] == "unavailable"]
    assert (line["level"], line["request_id"]) == ("warning", "req-7")
    assert 'connection to server at "127.0.0.1", port 1 failed' in line["reason"]
    assert "secret" not in json.dumps(line)


def test_a_setting_that_is_unknown_is_a_line_of_the_log(monkeypatch, tmp_path, capsys):
    monkeypatch.setenv("SCIM_DATABASE_URL", f"sqlite:///{tmp_path}/scim.sqlite3")
    monkeypatch.setenv("SCIM_POOL_SISE", "3")

    create_app().extensions["scim_seats"].database.close()

    [line] = lines_of(capsys)
    assert line["event"] == "SCIM_POOL_SISE is no setting of scim-server; SCIM_POOL_SIZE is."
    assert line["level"] == "warning"


def test_a_request_is_one_line_without_secrets_or_people(make_app, make_token, capsys):
    scim = Caller(make_app(log_level="info"), make_token("scim"), "/scim/v2")

    scim.get('/Users?filter=userName eq "ada@example.com"&count=1', User_Agent="Okta SCIM Client 1.0.0")

    [line] = lines_of(capsys)
    assert line["event"] == "request"
    assert line["route"] == "/scim/v2/Users"
    assert (line["method"], line["status"]) == ("GET", 200)
    assert line["parameters"] == ["filter", "count"]
    assert line["user_agent"] == "Okta SCIM Client 1.0.0"
    assert line["organization"] and line["token"] and line["request_id"] and line["duration_ms"] > 0
    assert "ada@example.com" not in json.dumps(line)
    assert scim.token not in json.dumps(line)


def test_metrics_count_by_route_and_name_what_clients_do(scim, user, app):
    scim.patch(f"/Users/{user['id']}", {"op": "Replace", "path": "active", "value": "False"})
    app.test_client().open("/scim/v2/Users", method="BREW")

    text = app.test_client().get("/metrics").text

    assert 'scim_requests_total{method="PATCH",route="/scim/v2/Users/<resource_id>",status="200"} 1.0' in text
    assert 'scim_requests_total{method="OTHER",route="(none)",status="405"} 1.0' in text
    [token] = re.findall(
        r'scim_client_deviations_total{deviation="boolean_as_text",token="([^"]+)"} 1.0', text
    )
    assert token not in scim.token  # it is named by its id
    assert user["id"] not in text


def test_what_is_done_is_answered_where_it_cannot_be_counted(scim, app, capsys, monkeypatch):
    def fail(*_):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("scim_server.observability.Metrics.observe", fail)

    created = scim.post("/Users", {"userName": "ada@example.com"})

    assert created.status_code == 201
    assert lines_of(capsys)[-1]["uncounted"] == "[Errno 28] No space left on device"


def test_metrics_whose_directory_is_gone_are_unavailable(app, monkeypatch, tmp_path):
    monkeypatch.setenv("PROMETHEUS_MULTIPROC_DIR", str(tmp_path / "gone"))

    answer = app.test_client().get("/metrics")

    assert answer.status_code == 503
    assert "start the server anew" in answer.get_json(force=True)["detail"]


def test_files_of_counters_grow_without_holes(tmp_path):
    file = tmp_path / "counter_1.db"
    counters = prometheus_client.values.MmapedDict(str(file))

    for number in range(2_000):
        counters.write_value(f"{number} {'x' * 50}", 1.0, 0.0)

    assert file.stat().st_blocks * 512 >= file.stat().st_size > 100_000
    assert counters.read_value(f"0 {'x' * 50}") == (1.0, 0.0)
    counters.close()


def test_a_database_without_the_present_schema_is_not_ready(app, monkeypatch):
    monkeypatch.setattr("scim_server.store.schema.HEAD", "from the future")

    response = app.test_client().get("/readyz")

    assert response.status_code == 503
    assert "db upgrade" in response.get_json(force=True)["detail"]


def test_a_write_goes_through_its_transaction(scim, monkeypatch):
    create = users.create

    def stores_and_fails(tx, call, document, projection):
        create(tx, call, document, projection)
        raise Unavailable("too late")

    monkeypatch.setattr("scim_server.operations.users.create", stores_and_fails)

    assert scim.post("/Users", {"userName": "ghost"}).status_code == 503
    assert scim.get("/Users").get_json(force=True)["totalResults"] == 0
