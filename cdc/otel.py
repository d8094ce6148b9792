"""The metrics over OpenTelemetry's protocol (OTLP over HTTP), for whoever collects that way: the extra `otel`.

What /metrics shows is sent as it is, from the same collectors, so that there is one set of figures. Names are Prometheus's.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Iterable, Iterator
from typing import Any

import structlog
from prometheus_client import CollectorRegistry
from prometheus_client.core import Metric

from cdc import __version__
from cdc.config import OtelSettings
from cdc.errors import ConfigError

log = structlog.get_logger()


class OtelExport:
    """Sends from entering to leaving the context; without an endpoint, nothing. A collector that is away costs log lines."""

    def __init__(self, settings: OtelSettings, registries: Iterable[CollectorRegistry]) -> None:
        self._settings = settings
        self._registries = list(registries)
        self._begun = time.time_ns()
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._run, name="otel", daemon=True)
        self._exporter = _exporter(settings) if settings.endpoint else None

    def __enter__(self) -> OtelExport:
        if self._exporter is not None:
            self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        if self._exporter is not None:
            self._thread.join()
            self._exporter.shutdown()

    def _run(self) -> None:
        while not self._over.wait(self._settings.interval):
            self._send()
        self._send()

    def _send(self) -> None:
        from opentelemetry.sdk.metrics.export import MetricExportResult

        assert self._exporter is not None
        if self._exporter.export(self._data(), timeout_millis=5000) is not MetricExportResult.SUCCESS:
            log.warning("otel.not_sent", endpoint=self._settings.endpoint)

    def _data(self) -> Any:
        from opentelemetry.sdk.metrics import export
        from opentelemetry.sdk.resources import Resource
        from opentelemetry.sdk.util.instrumentation import InstrumentationScope

        families = [family for registry in self._registries for family in registry.collect()]
        metrics = [each for family in families for each in self._converted(family)]
        scope = export.ScopeMetrics(InstrumentationScope("cdc", __version__), metrics, "")
        resource = Resource.create({"service.name": self._settings.service, "service.version": __version__})
        return export.MetricsData([export.ResourceMetrics(resource, [scope], "")])

    def _converted(self, family: Metric) -> Iterator[Any]:
        from opentelemetry.sdk.metrics import export

        cumulative = export.AggregationTemporality.CUMULATIVE
        data: Any
        if family.type == "histogram":
            data = export.Histogram(list(self._histograms(family)), cumulative)
        else:
            points = [self._point(sample.labels, sample.value) for sample in family.samples]
            counts = family.type == "counter"
            data = export.Sum(points, cumulative, is_monotonic=True) if counts else export.Gauge(points)
        if data.data_points:
            yield export.Metric(family.name, family.documentation, family.unit, data)

    def _point(self, labels: dict[str, str], value: float) -> Any:
        from opentelemetry.sdk.metrics.export import NumberDataPoint

        return NumberDataPoint(labels, self._begun, time.time_ns(), value)

    def _histograms(self, family: Metric) -> Iterator[Any]:
        """One for each set of labels. Prometheus counts up to each bound, OpenTelemetry between two."""
        from opentelemetry.sdk.metrics.export import HistogramDataPoint

        found: dict[tuple[tuple[str, str], ...], dict[str, float]] = {}
        for sample in family.samples:
            labels = tuple(sorted((name, text) for name, text in sample.labels.items() if name != "le"))
            kind = sample.labels.get("le") or sample.name.removeprefix(family.name)
            found.setdefault(labels, {})[kind] = sample.value
        for labels, values in found.items():
            total, count = values.pop("_sum"), int(values.pop("_count"))
            bounds = sorted(float(bound) for bound in values)
            upto = {float(bound): int(value) for bound, value in values.items()}
            counts = [
                upto[bound] - before
                for bound, before in zip(bounds, [0, *(upto[b] for b in bounds)], strict=False)
            ]
            yield HistogramDataPoint(
                dict(labels),
                self._begun,
                time.time_ns(),
                count,
                total,
                counts,
                bounds[:-1],
                float("nan"),
                float("nan"),
            )


def _exporter(settings: OtelSettings) -> Any:
    try:
        from opentelemetry.exporter.otlp.proto.http.metric_exporter import OTLPMetricExporter
    except ImportError as error:
        raise ConfigError(
            "metrics cannot be sent over OpenTelemetry",
            where="[otel] endpoint",
            why=str(error),
            hint="pip install 'cdc[otel]'",
        ) from error
    return OTLPMetricExporter(endpoint=settings.endpoint, headers=settings.headers, timeout=5)
