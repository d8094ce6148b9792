"""Why the brokers cannot be reached, as librdkafka tells it: it knows wrong credentials from closed sockets.

Asked only after a connection has failed, and only if librdkafka is installed.
"""

from __future__ import annotations

from typing import Any

from connectors.kafka import clients
from connectors.kafka.failures import number
from connectors.kafka.settings import Settings

TELLING = (-169, -181, -193)  # authentication, TLS, names that do not resolve
PATIENCE = 5.0


def of(settings: Settings) -> Any:
    """An error that names the reason, or None."""
    try:
        from confluent_kafka import KafkaException, Producer
    except ImportError:
        return None
    heard: list[Any] = []
    config = clients.librdkafka(settings) | {"error_cb": heard.append, "log_level": 0}
    try:
        producer = Producer(config)
        producer.poll(0)
        producer.list_topics(timeout=min(PATIENCE, settings.connect_timeout))
    except KafkaException as error:
        heard.append(error.args[0])
    return next((error for error in heard if number(error) in TELLING), None)
