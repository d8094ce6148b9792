"""Metrics over OpenTelemetry's protocol, as a collector gets them: over real HTTP, in its own encoding."""

from __future__ import annotations

import gzip
import queue
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from typing import Any

import pytest
from opentelemetry.proto.collector.metrics.v1.metrics_service_pb2 import ExportMetricsServiceRequest

from cdc.config import OtelSettings
from cdc.meters import Meters
from cdc.metrics import told_registry
from cdc.otel import OtelExport
from tests.unit.test_alerts import everything

Received = queue.Queue[tuple[str | None, Any]]


@pytest.fixture
def collector() -> Iterator[tuple[str, Received]]:
    received: Received = queue.Queue()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            body = gzip.decompress(body) if self.headers.get("Content-Encoding") == "gzip" else body
            received.put((self.headers.get("X-Key"), ExportMetricsServiceRequest.FromString(body)))
            self.send_response(200)
            self.end_headers()

        def log_message(self, *_: object) -> None: ...

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{server.server_port}/v1/metrics", received
        server.shutdown()
        thread.join()


def test_a_collector_gets_what_metrics_shows(collector: tuple[str, Received]) -> None:
    endpoint, received = collector
    meters = Meters()
    meters.retries.inc(3)
    for seconds in (0.002, 0.2, 400):
        meters.flush_seconds.observe(seconds)
    settings = OtelSettings(endpoint=endpoint, headers={"X-Key": "k"}, interval=0.05)
    with OtelExport(settings, [told_registry(everything), meters.registry]):
        key, request = received.get(timeout=20)
    assert key == "k"
    (resource,) = request.resource_metrics
    assert {each.key: each.value.string_value for each in resource.resource.attributes}[
        "service.name"
    ] == "cdc"
    metrics = {each.name: each for each in resource.scope_metrics[0].metrics}
    assert metrics["cdc_retries"].sum.data_points[0].as_double == 3
    assert metrics["cdc_retries"].sum.is_monotonic
    (behind,) = metrics["cdc_behind_seconds"].gauge.data_points
    assert ([each.key for each in behind.attributes], behind.as_double) == (["warehouse"], 0)
    (flush,) = metrics["cdc_flush_seconds"].histogram.data_points
    assert (flush.count, flush.sum, sum(flush.bucket_counts)) == (3, 400.202, 3)
    assert flush.bucket_counts[-1] == 1  # beyond the last bound
    assert len(flush.bucket_counts) == len(flush.explicit_bounds) + 1


def test_a_collector_that_is_away_is_told_of_and_no_more(capsys: pytest.CaptureFixture[str]) -> None:
    settings = OtelSettings(endpoint="http://127.0.0.1:9/v1/metrics", interval=3600)
    with OtelExport(settings, [Meters().registry]):
        pass
    assert "otel.not_sent" in capsys.readouterr().out


def test_without_an_endpoint_nothing_runs() -> None:
    before = threading.active_count()
    with OtelExport(OtelSettings(), []):
        assert threading.active_count() == before
