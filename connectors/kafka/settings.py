"""`[transport]` with `kind = "kafka"`: where the brokers are, how to come in, what the topics are like, and the limits.

One table serves both clients; `clients.py` translates it for each.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from cdc.config import Count, Seconds, TransportSettings

Prefix = Annotated[str, Meta(pattern=r"^[A-Za-z0-9._-]{1,180}$")]
Option = str | int | float | bool


class Settings(TransportSettings, kw_only=True, frozen=True):
    """`max_bytes`, which every transport has, bounds what waits here for the brokers, and what waits for a warehouse."""

    kind: Literal["kafka"] = "kafka"
    bootstrap_servers: str
    """`host:port`, several with commas between."""
    topic_prefix: Prefix
    """Every topic's name begins with it; one reader per prefix."""
    client: Literal["librdkafka", "kafka-python"] = "librdkafka"
    """Which client carries rows: librdkafka is many times faster, kafka-python needs no compiled code."""
    client_id: str = "cdc"
    connect_timeout: Seconds = 10.0

    security_protocol: Literal["PLAINTEXT", "SSL", "SASL_PLAINTEXT", "SASL_SSL"] = "PLAINTEXT"
    sasl_mechanism: Literal["PLAIN", "SCRAM-SHA-256", "SCRAM-SHA-512", "OAUTHBEARER"] = "PLAIN"
    username: str = ""
    password: str = ""
    oauth_token: str = ""
    """For OAUTHBEARER: the token itself; or let `oauth_token_url` give one (grant type client_credentials)."""
    oauth_token_url: str = ""
    oauth_client_id: str = ""
    oauth_client_secret: str = ""
    oauth_scope: str = ""
    ssl_ca: str = ""
    """PEM file of the CAs to believe; empty: those of this machine."""
    ssl_certificate: str = ""
    """PEM file of this client's certificate, where brokers ask for one …"""
    ssl_key: str = ""
    """… and of its private key."""
    ssl_key_password: str = ""
    ssl_check_hostname: bool = True

    partitions: Count = 1
    """Of a table's topic when it is made. Rows of one key stay in one partition, and partitions are shared out to appliers."""
    replication_factor: Annotated[int, Meta(ge=-1)] = -1
    """Of a topic when it is made; -1: the brokers' default."""
    cleanup_policy: Literal["delete", "compact", "compact,delete"] = "delete"
    """Of tables' topics."""
    retention_hours: float = 168.0
    """Of tables' topics; -1: for ever. A warehouse that stays away for longer must be filled anew."""
    topic: dict[str, str] = {}
    """Any further settings of Kafka's for tables' topics: { "segment.bytes" = "104857600" }."""
    compression: Literal["lz4", "zstd", "snappy", "gzip", "none"] = "lz4"
    linger: Annotated[float, Meta(ge=0)] = 0.02
    """Seconds that records wait for company under load."""
    delivery_timeout: Seconds = 120.0
    """Seconds to wait in place for a broker that is away; after that the line starts again from the slot, until it is back."""
    oversized: Literal["fail", "raise", "dead_letter"] = "fail"
    """A record over its topic's limit: stop, raise the topic's limit, or put it on `<prefix>.cdc-dead-letters`."""
    max_record_bytes: Annotated[int, Meta(ge=1 << 20, le=1 << 29)] = 64 << 20
    """How far a topic's limit is raised, and the limit of dead letters."""
    transactional: bool = False
    """Kafka transactions around whole transactions of the source, for consumers that read committed records only."""
    transaction_rows: Count = 10_000
    """A Kafka transaction is committed at the first commit of the source after this many rows, and at each flush."""

    group: str = ""
    """Consumer groups are named `<group>-<warehouse>`; empty: the topic prefix."""
    discover_interval: Seconds = 10.0
    """Seconds between looks for new topics and partitions."""
    missing_history: Literal["fail", "accept"] = "fail"
    """The start of a topic is gone (retention) and a warehouse has not seen it: stop, or begin with what is there."""
    librdkafka: dict[str, Option] = {}
    """Any further settings of librdkafka's, for producer and consumer: { "socket.keepalive.enable" = true }."""

    def __post_init__(self) -> None:
        if "SASL" in self.security_protocol:
            if self.sasl_mechanism == "OAUTHBEARER":
                if not (self.oauth_token or self.oauth_token_url):
                    raise ValueError("OAUTHBEARER needs oauth_token or oauth_token_url")
            elif not (self.username and self.password):
                raise ValueError(f"{self.sasl_mechanism} needs username and password")
        if bool(self.ssl_certificate) != bool(self.ssl_key):
            raise ValueError("ssl_certificate and ssl_key belong together")

    @property
    def progress_topic(self) -> str:
        return f"{self.topic_prefix}.cdc-progress"

    @property
    def dead_letter_topic(self) -> str:
        return f"{self.topic_prefix}.cdc-dead-letters"

    def group_of(self, warehouse: str) -> str:
        return f"{self.group or self.topic_prefix}-{warehouse}"

    def copy(self, **changes: object) -> Settings:
        """The same but for some."""
        return msgspec.structs.replace(self, **changes)
