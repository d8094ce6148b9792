"""Change data capture from PostgreSQL into warehouses: the engine."""

__version__ = "0.1.0"
