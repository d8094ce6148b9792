"""Kafka as the transport. Importing this imports no client."""

from __future__ import annotations

from connectors.kafka.settings import Settings

__all__ = ["REQUIRES", "Settings"]

REQUIRES = ("confluent_kafka", "kafka")
