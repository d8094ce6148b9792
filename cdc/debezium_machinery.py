"""Properties of a Debezium connector that are about Connect, or about how Debezium works inside: they would set nothing here.

`include.schema.comments` and `heartbeat.topics.prefix` are not read by Debezium's connector for PostgreSQL.
"""

from __future__ import annotations

_NAMES = """
config.action.reload connection.validation.timeout.ms connector.class connector.plugin.version custom.metric.tags
custom.sanitize.pattern database.query.timeout.ms database.server.name database.tcpKeepAlive errors.log.enable
errors.log.include.messages errors.max.retries errors.retry.delay.max.ms errors.retry.timeout
executor.shutdown.timeout.ms flush.lsn.source group.id heartbeat.topics.prefix include.schema.changes
include.schema.comments incremental.snapshot.chunk.size listeners lsn.flush.mode lsn.flush.timeout.action
lsn.flush.timeout.ms max.batch.size max.queue.size max.queue.size.in.bytes name offset.flush.interval.ms
offset.flush.timeout.ms offset.storage.file.filename plugin.path poll.interval.ms publication.autocreate.mode
publish.via.partition.root query.fetch.size retriable.restart.connector.wait.ms schema.refresh.mode
signal.poll.interval.ms slot.drop.on.stop slot.max.retries slot.retry.delay.ms snapshot.delay.ms snapshot.fetch.size
snapshot.lock.timeout.ms snapshot.locking.mode snapshot.max.threads snapshot.max.threads.multiplier
snapshot.tables.order.by.row.count statistics.metrics.enabled status.update.interval.ms streaming.delay.ms
table.ignore.builtin tasks.max tasks.max.enforce topic.cache.size topic.creation.default.partitions
topic.creation.default.replication.factor topic.creation.enable topic.creation.groups xmin.fetch.interval.ms
"""
MACHINERY = frozenset(_NAMES.split())
