"""`cdc demo`: a shop on a PostgreSQL of its own, replicated into DuckDB while it does business."""
