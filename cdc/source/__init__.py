"""PostgreSQL, the source: from bytes of the replication stream to events."""
