"""The settings in the words of each client: librdkafka's properties, kafka-python's arguments. Nothing is opened here."""

from __future__ import annotations

import ssl
from typing import Any

from connectors.kafka.oauth import TokenSource, token_source
from connectors.kafka.settings import Settings

POLL_PATIENCE_MS = (
    30 * 60 * 1000
)  # an applier may work that long on one batch before its partitions are given away
SESSION_MS = 10_000


def librdkafka(settings: Settings) -> dict[str, Any]:
    """What producers and consumers have in common; the file's own `librdkafka` table wins."""
    config: dict[str, Any] = {
        "bootstrap.servers": settings.bootstrap_servers,
        "client.id": settings.client_id,
        "security.protocol": settings.security_protocol,
        "allow.auto.create.topics": False,
        "log_level": 2,  # what has failed is told to `error_cb`, and a broker that is away would fill the terminal
    }
    if "SASL" in settings.security_protocol:
        config["sasl.mechanisms"] = settings.sasl_mechanism
        if settings.sasl_mechanism == "OAUTHBEARER":
            config["oauth_cb"] = _for_librdkafka(token_source(settings))
        else:
            config |= {"sasl.username": settings.username, "sasl.password": settings.password}
    if "SSL" in settings.security_protocol:
        files = {
            "ssl.ca.location": settings.ssl_ca,
            "ssl.certificate.location": settings.ssl_certificate,
            "ssl.key.location": settings.ssl_key,
            "ssl.key.password": settings.ssl_key_password,
            "ssl.endpoint.identification.algorithm": "https" if settings.ssl_check_hostname else "none",
        }
        config |= {name: value for name, value in files.items() if value}
    return config | settings.librdkafka


def _for_librdkafka(tokens: TokenSource) -> Any:
    def callback(_config: str) -> tuple[str, float, str, dict[str, str]]:
        return (*tokens(), "cdc", {})

    return callback


def librdkafka_producer(settings: Settings) -> dict[str, Any]:
    """Order per key, no duplicates by retries, and as many partitions' hashes as Java's clients make."""
    config = {
        "enable.idempotence": True,
        "acks": "all",
        "compression.type": settings.compression,
        "partitioner": "murmur2_random",
        "linger.ms": settings.linger * 1000,
        "message.timeout.ms": int(settings.delivery_timeout * 1000),
        "queue.buffering.max.kbytes": max(settings.max_bytes >> 10, 1),
        "queue.buffering.max.messages": 0,  # bytes alone are the bound
        # whether a record is too large is for its topic to say, and `publisher.py` asks that
        "message.max.bytes": 1_000_000_000,
        "delivery.report.only.error": True,
    }
    if settings.transactional:
        config |= {
            "transactional.id": f"{settings.topic_prefix}-cdc",
            "transaction.timeout.ms": 15 * 60 * 1000,
        }
    return config | librdkafka(settings)


def librdkafka_consumer(settings: Settings, group: str) -> dict[str, Any]:
    """Offsets are ours to keep: where to start is told with each assignment."""
    config = {
        "group.id": group,
        "enable.auto.commit": False,
        "enable.auto.offset.store": False,
        "auto.offset.reset": "error",
        "isolation.level": "read_committed",
        "enable.partition.eof": True,  # the markers of transactions stand behind the last record: where is the end?
        "partition.assignment.strategy": "roundrobin",  # topics with one partition would else all go to one member
        "max.poll.interval.ms": POLL_PATIENCE_MS,
        "session.timeout.ms": SESSION_MS,
        "queued.max.messages.kbytes": max(
            settings.max_bytes >> 11, 1
        ),  # half of it; the other is for batches
        "fetch.wait.max.ms": 100,
        "topic.metadata.refresh.interval.ms": int(settings.discover_interval * 1000),  # new partitions
        "fetch.error.backoff.ms": 100,
        "fetch.queue.backoff.ms": 5,  # after its queue was full; a second, as it is without, lets the queue run dry
    }
    return config | librdkafka(settings)


def kafka_python(settings: Settings) -> dict[str, Any]:
    """What kafka-python's producers, consumers and administration have in common."""
    config: dict[str, Any] = {
        "bootstrap_servers": settings.bootstrap_servers.split(","),
        "client_id": settings.client_id,
        "security_protocol": settings.security_protocol,
        "bootstrap_timeout_ms": int(settings.connect_timeout * 1000),
    }
    if "SASL" in settings.security_protocol:
        config["sasl_mechanism"] = settings.sasl_mechanism
        if settings.sasl_mechanism == "OAUTHBEARER":
            config["sasl_oauth_token_provider"] = _provider(token_source(settings))
        else:
            config |= {"sasl_plain_username": settings.username, "sasl_plain_password": settings.password}
    if "SSL" in settings.security_protocol:
        config["ssl_context"] = ssl_context(settings)
    return config


def ssl_context(settings: Settings) -> ssl.SSLContext:
    """Raises OSError (of which ssl.SSLError is one) if a file cannot be used."""
    context = ssl.create_default_context(cafile=settings.ssl_ca or None)
    context.check_hostname = settings.ssl_check_hostname
    if settings.ssl_certificate:
        context.load_cert_chain(settings.ssl_certificate, settings.ssl_key, settings.ssl_key_password or None)
    return context


def _provider(tokens: TokenSource) -> Any:
    from kafka.net.sasl.oauth import AbstractTokenProvider

    class Provider(AbstractTokenProvider):  # type: ignore[misc]  # it has no types
        def token(self) -> str:
            return tokens()[0]

    return Provider()


def kafka_python_producer(settings: Settings) -> dict[str, Any]:
    """As `librdkafka_producer`."""
    config = {
        "enable_idempotence": True,
        "acks": "all",
        "compression_type": None if settings.compression == "none" else settings.compression,
        "linger_ms": settings.linger * 1000,
        "delivery_timeout_ms": int(settings.delivery_timeout * 1000),
        "request_timeout_ms": int(min(settings.delivery_timeout / 2, 30) * 1000),
        "max_request_size": 1_000_000_000,
        "max_block_ms": int(settings.delivery_timeout * 1000),
        "batch_size": 128 << 10,
        "metadata_max_age_ms": int(settings.discover_interval * 1000),  # added partitions
        "allow_auto_create_topics": False,
    }
    if settings.transactional:
        config |= {
            "transactional_id": f"{settings.topic_prefix}-cdc",
            "transaction_timeout_ms": 15 * 60 * 1000,
        }
    return config | kafka_python(settings)


def kafka_python_consumer(settings: Settings, group: str) -> dict[str, Any]:
    """As `librdkafka_consumer`."""
    config = {
        "group_id": group,
        "enable_auto_commit": False,
        "auto_offset_reset": "none",
        "isolation_level": "read_committed",
        "max_poll_interval_ms": POLL_PATIENCE_MS,
        "session_timeout_ms": SESSION_MS,
        "fetch_max_bytes": max(settings.max_bytes >> 1, 1),
        "fetch_max_wait_ms": 100,
        "metadata_max_age_ms": int(settings.discover_interval * 1000),
        "allow_auto_create_topics": False,
    }
    return config | kafka_python(settings)
